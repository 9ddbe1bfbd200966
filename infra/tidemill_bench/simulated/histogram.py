"""A histogram of latencies, fine enough to read percentiles off it.

Room: local platform, pure but for numpy.
Tests: tests/infra/tidemill_bench/test_simulated.py.
"""

from __future__ import annotations

from math import ceil
from typing import Final

import numpy as np

from tidemill_load.results.latency import BOUNDS
from tidemill_load.results.result import Latency

FINENESS: Final = 100
"""Parts of each bucket of the histogram that percentiles are read off: they are right to a quarter of a percent."""


class Histogram:
    """Counts of latencies in fine buckets: there are too many to keep each."""

    def __init__(self) -> None:
        fine = np.geomspace(BOUNDS[:-1], BOUNDS[1:], FINENESS, endpoint=False).T.ravel()
        self._bounds = np.append(fine, BOUNDS[-1])
        self._counts = np.zeros(len(self._bounds) + 1, dtype=np.int64)
        self._longest = 0.0

    @property
    def count(self) -> int:
        """Latencies that were added."""
        return int(self._counts.sum())

    def add(self, seconds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        """Add latencies, in seconds."""
        places = np.searchsorted(self._bounds, seconds, side="left")
        self._counts += np.bincount(places, minlength=len(self._counts))
        self._longest = max(self._longest, float(seconds.max(initial=0.0)))

    def percentile(self, share: float) -> float:
        """The upper bound of the part that the nearest rank lies in; 0 of none."""
        if not self.count:
            return 0.0
        place = int(np.searchsorted(np.cumsum(self._counts), max(1, ceil(share * self.count))))
        return min(float(self._bounds[place]), self._longest) if place < len(self._bounds) else self._longest

    def latency(self) -> Latency:
        """Their percentiles and counts, as a result has them."""
        edges = [0, *range(1, len(self._bounds) + 1, FINENESS)]
        counts = [int(part.sum()) for part in np.split(self._counts, edges[1:])]
        return Latency(
            count=self.count,
            p50=self.percentile(0.50),
            p95=self.percentile(0.95),
            p99=self.percentile(0.99),
            max=self._longest,
            bounds=BOUNDS,
            counts=tuple(counts),
        )
