"""The answer of `tidemill cost` as JSON.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/cost/test_command.py.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tidemill_load.cost_model.advice import Option, what_if
from tidemill_load.cost_model.cost import units_per_request

if TYPE_CHECKING:
    from tidemill_cli.commands.cost.answer import Answer
    from tidemill_load.cost_model.prices import Prices


SCHEMA_VERSION = 1
"""Version of the JSON. Fields are added, never renamed; it rises when a reader would misread an old field."""


def as_json(args: argparse.Namespace, answer: Answer, prices: Prices) -> dict[str, Any]:
    """The whole answer, as --json writes it."""
    advice, given = answer.advice, answer.given
    of_log: dict[str, Any] = {}
    if answer.logged and answer.details:
        from tidemill_cli.commands.cost.trace import result

        of_log = result(answer.logged, answer.details)
    return {
        "schema_version": SCHEMA_VERSION,
        "rate": advice.options["direct"].point.rate,
        "p99": args.p99,
        "prices": {"date": prices.date, "region": prices.region},
        "headline": advice.headline,
        "delivery": advice.delivery,
        "buffer": advice.buffer,
        "best": advice.best,
        "assumptions": asdict(given),
        "modes": {mode: _option(option) for mode, option in advice.options.items()},
        "if_instead": [
            {"if": text, "direct": direct.per_million, "buffering": other.per_million}
            for text, direct, other in what_if(advice, answer.load, prices)
        ],
        **of_log,
    }


def _option(option: Option) -> dict[str, Any]:
    bill, units = option.point.bill, units_per_request(option.point.flow, option.given)
    return {
        "window": option.given.window,
        "batch": option.given.batch,
        "flow": asdict(option.point.flow),
        "write_units_per_request": dict(zip(("entities", "forgotten_writers"), units, strict=True)),
        "lines": [asdict(line) | {"per_million": bill.share(line.dollars)} for line in bill.lines],
        "per_million": bill.per_million,
        "month": bill.total,
        "cheaper_from": option.even_from,
        "problems": option.problems,
    }
