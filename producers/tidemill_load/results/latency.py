"""Percentiles and a histogram of latencies.

Room: load, pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Final

from tidemill_load.results.result import Latency

BOUNDS: Final = tuple(float(f"{0.001 * 10 ** (n / 10):.3g}") for n in range(56))
"""Ten buckets for each power of ten, from a millisecond to five minutes: in seconds."""


def latency(seconds: Iterable[float]) -> Latency:
    """Percentiles and histogram of the latencies."""
    every = sorted(seconds)
    if not every:
        return Latency(bounds=BOUNDS, counts=(0,) * (len(BOUNDS) + 1))
    counts = [0] * (len(BOUNDS) + 1)
    for one in every:
        counts[bisect_left(BOUNDS, one)] += 1
    p50, p95, p99 = (percentile(every, share) for share in (0.50, 0.95, 0.99))
    return Latency(count=len(every), p50=p50, p95=p95, p99=p99, max=every[-1], bounds=BOUNDS, counts=tuple(counts))


def percentile(rising: Sequence[float], share: float) -> float:
    """The least of the values that so large a share of them does not exceed (nearest rank); 0 of none."""
    return rising[max(0, ceil(share * len(rising)) - 1)] if rising else 0.0
