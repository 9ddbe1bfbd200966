"""Values that were measured, and their statistics by period.

Room: local platform, pure: time is an argument.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import TypeAlias

from tidemill_local.watching.alarm import Metric, Statistic

Series: TypeAlias = Mapping[int, float]
"""The beginning of a period, in seconds since 1970 -> its value; a period without one is missing."""

KEPT_SECONDS = 3 * 3600
"""Longer than any alarm looks back."""

STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Minimum": min,
    "Maximum": max,
    "SampleCount": len,
    "Average": lambda values: sum(values) / len(values),
}


class Datapoints:
    """The values of metrics."""

    def __init__(self) -> None:
        self._values: defaultdict[Metric, list[tuple[float, float]]] = defaultdict(list)

    def add(self, metric: Metric, at: float, values: Iterable[float]) -> None:
        """Add values of a metric at a time, in seconds since 1970."""
        kept = self._values[metric]
        kept += [(at, value) for value in values]
        while kept and kept[0][0] < at - KEPT_SECONDS:
            kept.pop(0)

    def of(self, metric: Metric) -> Sequence[tuple[float, float]]:
        """The times and values of a metric."""
        return self._values.get(metric, ())

    def series(self, wanted: Statistic, begins: Sequence[int]) -> Series:
        """The statistic of the periods that begin at these times."""
        by_period: dict[int, list[float]] = {begin: [] for begin in begins}
        for at, value in self._values.get(wanted.metric, ()):
            begin = int(at // wanted.period) * wanted.period
            if begin in by_period:
                by_period[begin].append(value)
        return {begin: statistic(wanted.stat, values) for begin, values in by_period.items() if values}


def statistic(stat: str, values: Sequence[float]) -> float:
    """The statistic of some values, at least one.

    Args:
        stat: Sum, Minimum, Maximum, SampleCount, Average, or a percentile such as p99.
        values: in any order.
    """
    if stat in STATISTICS:
        return float(STATISTICS[stat](values))
    return sorted(values)[max(0, ceil(len(values) * float(stat.removeprefix("p")) / 100) - 1)]
