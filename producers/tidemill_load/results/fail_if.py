"""Limits that a load test must keep, as a pipeline states them: `p99>2s`, `lost>0`, `aggregated.write_units>500`.

Room: load, pure. An expression says when the test has failed. It is read by a pattern, never run.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tidemill_load.results.result import MODES, Latency, Measurement, Mode, Result

OPERATORS: Final = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}

TIMES: Final = ("p50", "p95", "p99", "max")
"""Percentiles of the latency. They need a unit."""

SECONDS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0}

PER_MILLION: Final = "dollars_per_million"
"""The whole bill, for a million requests."""

COUNTS: Final = (
    "lost",
    "duplicates",
    "reordered",
    "errors",
    "retries",
    "requests",
    "receipts",
    "accepted",
    "rejected",
    "quarantined",
    "invocations",
    "cold_starts",
    "billed_ms",
    "gb_seconds",
    "records",
    "put_calls",
    "put_units",
    "read_calls",
    "write_calls",
    "read_units",
    "write_units",
    "forgotten_units",
    "object_puts",
    "object_heads",
    "object_bytes",
    "upload_gets",
    "upload_bytes",
    "writers_per_key",
    "item_bytes",
    "reply_messages",
    "sent_rate",
    PER_MILLION,
)

_LIMIT = re.compile(r"\s*(?:(\w+)\s*\.\s*)?(\w+)\s*([<>]=?|==|!=)\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*")


class InvalidLimit(ValueError):
    """Text that is no limit; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Limit:
    """When a load test has failed.

    Attributes:
        text: as it was written.
        mode: whose measurements it is about; None: of all modes that ran.
        metric: of TIMES or COUNTS.
        exceeds: says it of a value and the number.
        number: in seconds where the metric is a time.
    """

    text: str
    mode: Mode | None
    metric: str
    exceeds: Callable[[float, float], bool]
    number: float

    def violations(self, result: Result) -> list[str]:
        """Why the test has failed, a sentence each; none when it has not. What is not known has failed."""
        ran = [one for one in result.measurements if not one.skipped and self.mode in (None, one.mode)]
        if not ran:
            return [f"{self.text}: {f'{self.mode} was not' if self.mode else 'nothing was'} measured"]
        return [reason for one in ran if (reason := self._violation(one))]

    def _violation(self, one: Measurement) -> str | None:
        where = f"{self.text}: {one.mode} at {one.rate:g} requests/s"
        value = _value(one, self.metric)
        if value is None:
            return f"{where}: {self.metric} is not known"
        unit = " s" if self.metric in TIMES else ""
        return f"{where} has {self.metric} {value:.4g}{unit}" if self.exceeds(value, self.number) else None


def parse(text: str) -> Limit:
    """The limit in the text: `[mode.]metric operator number[unit]`.

    Raises:
        InvalidLimit: there is none.
    """
    found = _LIMIT.fullmatch(text)
    if not found:
        raise InvalidLimit(f"{text!r} is no limit; write it like p99>2s, lost>0 or direct.errors>=10")
    mode, metric, sign, number, unit = found.groups()
    if mode is not None and mode not in MODES:
        raise InvalidLimit(f"{text!r}: {mode} is no mode; there are {', '.join(MODES)}")
    if metric not in TIMES + COUNTS:
        raise InvalidLimit(f"{text!r}: {metric} is not measured; there are {', '.join(TIMES + COUNTS)}")
    if unit not in (SECONDS if metric in TIMES else ("",)):
        wants = f"a time: say {number}s or {number}ms" if metric in TIMES else "a count, without a unit"
        raise InvalidLimit(f"{text!r}: {metric} is {wants}")
    return Limit(text.strip(), mode, metric, OPERATORS[sign], float(number) * SECONDS.get(unit, 1.0))


def violations(limits: Iterable[Limit], result: Result) -> list[str]:
    """Why the test has failed, over all limits."""
    return [reason for limit in limits for reason in limit.violations(result)]


def _value(one: Measurement, metric: str) -> float | None:
    if metric in TIMES:
        return _time(one.latency, metric) if one.latency.count else None
    if metric == PER_MILLION:
        return sum(one.bill.values()) * 1e6 / one.requests if one.bill and one.requests else None
    value: float | None = getattr(one, metric)
    return value


def _time(latency: Latency, metric: str) -> float:
    seconds: float = getattr(latency, metric)
    return seconds
