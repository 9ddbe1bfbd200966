"""The verdict of a load test on costs: as measured, by the cost model, and the rate at which both ways are even.

Room: load, pure.
Tests: tests/e2e/test_bench.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill_load.assessment.comparison import MODELLED, comparisons, per_million
from tidemill_load.assessment.reckoned import Reckoned, reckoned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill_load.assessment.comparison import Comparison
    from tidemill_load.results.result import Measurement, Mode, Result


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on the measurements of one rate.

    Attributes:
        rate: requests a second.
        mode: the cheaper of the streamed modes.
        direct: dollars for a million requests, one by one.
        streamed: dollars for a million requests in that mode.
        p99: seconds within which 99 of 100 were answered in it.
        model: the same by the cost model: direct, streamed, p99.
        even: requests a second from which on the mode is cheaper, by the model; None if it never is.
        reckoned: what the model was told.
    """

    rate: float
    mode: Mode
    direct: float
    streamed: float
    p99: float
    model: tuple[float, float, float]
    even: float | None
    reckoned: Reckoned

    @property
    def pays(self) -> bool:
        """Whether the stream was cheaper."""
        return self.streamed < self.direct


def verdicts(result: Result) -> Iterator[Verdict]:
    """For each rate at which there was something to compare, and the model knows it."""
    for chosen in comparisons(result):
        direct = per_million(chosen.direct) if chosen.direct else None
        cheapest = _cheapest(chosen)
        model = reckoned(result, chosen)
        if direct is None or cheapest is None or model is None:
            continue
        streamed, best = cheapest
        mode: Mode = "buffered" if best.mode == "buffered" else "aggregated"
        one, other = model.point("direct"), model.point(mode)
        by_model = (one.per_million, other.per_million, other.flow.p99)
        yield Verdict(chosen.rate, mode, direct, streamed, best.latency.p99, by_model, model.even(mode), model)


def _cheapest(chosen: Comparison) -> tuple[float, Measurement] | None:
    priced = [(cost, one) for one in chosen.streamed if one.mode in MODELLED and (cost := per_million(one)) is not None]
    return min(priced, key=lambda pair: pair[0], default=None)
