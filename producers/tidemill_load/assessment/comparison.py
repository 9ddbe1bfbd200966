"""The measurements of one rate, side by side.

Room: load, pure.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidemill_load.results.result import Measurement, Result

MODELLED: Final = ("buffered", "aggregated")
"""Modes with a stream that the cost model knows."""

ENOUGH: Final = 0.9
"""A sender that reaches less of the rate at which requests were due did not keep up."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The measurements of one rate.

    Attributes:
        rate: requests a second.
        direct: the baseline; None when it did not run.
        streamed: the other modes that ran.
    """

    rate: float
    direct: Measurement | None
    streamed: tuple[Measurement, ...]

    @property
    def best(self) -> Measurement | None:
        """The one with the fewest invocations a request; of equals the one that packs tighter."""
        return _fewest(self.streamed)

    @property
    def modelled(self) -> Measurement | None:
        """The one with the fewest invocations a request among the modes that the cost model knows."""
        return _fewest([one for one in self.streamed if one.mode in MODELLED])

    @property
    def ran(self) -> tuple[Measurement, ...]:
        """All of them, the baseline first."""
        return (self.direct, *self.streamed) if self.direct else self.streamed


def invoked(one: Measurement) -> float:
    """Invocations a request; 0 where they were not counted."""
    return (one.invocations or 0) / one.requests if one.requests else 0.0


def per_million(one: Measurement) -> float | None:
    """Dollars for a million requests at list price; None where not priced."""
    return sum(one.bill.values()) * 1e6 / one.requests if one.bill and one.requests else None


def units_a_request(one: Measurement) -> tuple[float | None, float | None]:
    """Write units of a request: in all, and of them for forgotten writers."""
    if one.write_units is None or not one.requests:
        return None, None
    forgotten = None if one.forgotten_units is None else one.forgotten_units / one.requests
    return one.write_units / one.requests, forgotten


def _fewest(streamed: Sequence[Measurement]) -> Measurement | None:
    return min((one for one in reversed(streamed) if one.invocations), key=invoked, default=None)


def comparisons(result: Result) -> tuple[Comparison, ...]:
    """By rate, rising; rates at which nothing ran are left out."""
    ran = [one for one in result.measurements if one.skipped is None and one.requests]
    rates = sorted({one.rate for one in ran})
    return tuple(_comparison(rate, [one for one in ran if one.rate == rate]) for rate in rates)


def shown(result: Result) -> Comparison | None:
    """The one to speak of first: the highest rate at which there is something to compare and all kept up with it."""
    found = comparisons(result)
    whole = tuple(one for one in found if one.direct and one.best)
    calm = tuple(one for one in whole if all(map(_kept_up, one.ran)))
    return next(reversed(calm or whole or found), None)


def _kept_up(one: Measurement) -> bool:
    return not one.seconds or one.sent_rate >= ENOUGH * one.requests / one.seconds


def _comparison(rate: float, ran: Sequence[Measurement]) -> Comparison:
    direct = next((one for one in ran if one.mode == "direct"), None)
    return Comparison(rate, direct, tuple(one for one in ran if one.mode != "direct"))
