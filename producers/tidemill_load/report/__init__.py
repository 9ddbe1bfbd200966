"""The load test's report: one HTML page that needs nothing else, drawn from the result.

Room: load, report; pure: a result in, a page out. findings.py says it; measured.py, costs.py and modelled.py draw it;
table.py has every figure, page.html is the page. The same result gives the same page.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

from tidemill_load.assessment.comparison import comparisons
from tidemill_load.report import costs, measured, modelled
from tidemill_load.report.findings import findings, headline
from tidemill_load.report.table import tables
from tidemill_load.results.result import MODES
from tidemill_load.wording import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jinja2 import Template

    from tidemill_load.results.result import Result

TARGETS = {"local": "the local platform", "aws": "AWS", "simulated": "a simulated clock"}

CHARTS = (measured.invocations, measured.latency, costs.cost, modelled.window, modelled.units)
"""In the page's order: the saving and its price side by side."""


def render(result: Result) -> str:
    """The page, as HTML. Opens offline, in light and dark, on a phone too; whatever the result holds is escaped.

    Raises:
        ValueError: a histogram's counts do not fit its bounds.
    """
    return _page().render(
        result=result,
        target=TARGETS[result.target],
        headline=headline(result),
        findings=findings(result),
        charts=[chart(result) for chart in CHARTS],
        tables=tables(comparisons(result)),
        conditions=dict(_conditions(result)),
        modes=[mode for mode in MODES if any(one.mode == mode and one.requests for one in result.measurements)],
    )


@cache
def _page() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__name__).joinpath("page.html").read_text("utf-8"))


def _conditions(result: Result) -> Iterator[tuple[str, object]]:
    """What the figures hold for: with the same, the same is found again."""
    yield "started", result.started
    yield "ran on", TARGETS[result.target]
    yield "workload", result.workload.kind
    yield from result.workload.parameters.items()
    yield "seed", result.seed
    yield "sending, of each mode and rate", "the whole trace" if result.seconds is None else duration(result.seconds)
    yield "batching window", duration(result.window)
    yield "batch size", f"{result.batch:,} records"
    yield "config hash", result.config_hash
    yield "prices of", result.price_date or "not priced"
    yield from result.versions.items()
    yield "schema version of the JSON", result.schema_version
