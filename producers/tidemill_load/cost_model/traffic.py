"""Uneven traffic: the requests of each second, and the gaps between requests of the same key or client.

Room: load, pure. A value, made from a log (survey.py) or from scheduled requests, for the cost model (uneven.py).
Tests: tests/producers/tidemill_load/cost_model/test_uneven.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from tidemill_load.results.result import Arrivals

if TYPE_CHECKING:
    from typing import TypeAlias

    Span: TypeAlias = tuple[float, float, float]
    """Least, most, and the number of requests spread evenly between the two."""

    Counts: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]

EDGES: Final = np.geomspace(1e-3, 1e6, 91)
"""Edges in seconds of the bins of gaps: ten bins for each power of ten, and one more on either side."""

BINS: Final = len(EDGES) + 1

FOREVER: Final = BINS
"""The bin of requests that are the first of their kind."""

SAMPLE: Final = 36_000
"""Seconds with requests that a search uses at most; of longer traffic it uses parts from the whole span."""

LONGEST: Final = 10 * SAMPLE
"""Seconds, with or without requests, beyond which a search uses parts too."""

PART: Final = 900
"""Seconds of such a part: three times the longest batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """The distribution of the seconds since the last request of the same kind, such as of the same key.

    Attributes:
        counts: requests in each bin of EDGES, and last the requests that are the first of their kind.
        sums: total seconds of the gaps in each bin.
    """

    counts: Counts
    sums: Counts

    def fresh(self, open_for: Sequence[Span], stretch: float = 1.0) -> float:
        """The share of requests that are the first of their kind in a batch.

        A request is in the same batch as the one before it if that batch stays open for longer than the gap.

        Args:
            open_for: seconds for which a request's batch stays open after it.
            stretch: factor by which all gaps are lengthened.
        """
        requests, every = self.counts.sum(), sum(many for _, _, many in open_for)
        if not requests or not every:
            return 1.0
        gaps = np.append(stretch * self.sums[:-1] / np.maximum(self.counts[:-1], 1e-300), np.inf)
        joined = sum(many * np.clip((high - gaps) / (high - low), 0.0, 1.0) for low, high, many in open_for)
        return float((self.counts * (1 - joined / every)).sum() / requests)


def no_gaps() -> Gaps:
    """The gaps where there are no requests."""
    return Gaps(np.zeros(BINS + 1), np.zeros(BINS + 1))


@dataclass(frozen=True, eq=False)
class Traffic:
    """The requests of a span of time.

    Attributes:
        slots: requests in each second, from the first on.
        seconds: length of the whole span, including the time after the last request.
        keys: gaps between requests of one key.
        clients: gaps between requests of one client; None where clients are not known.
        factor: multiplies the requests of every second.
        peak: for a sample, requests in the busiest second of the whole, before the factor; None if not a sample.
    """

    slots: Counts
    seconds: float
    keys: Gaps
    clients: Gaps | None
    factor: float = 1.0
    peak: float | None = None

    @cached_property
    def requests(self) -> float:
        """The number of requests in all."""
        return float(self.slots.sum()) * self.factor

    @property
    def rate(self) -> float:
        """Requests a second, on average over the whole span."""
        return self.requests / self.seconds

    @cached_property
    def busiest(self) -> float:
        """Requests in the busiest second, which decides the shards; of a sample, in the whole's busiest second."""
        return (float(self.slots.max(initial=0)) if self.peak is None else self.peak) * self.factor

    def at(self, rate: float) -> Traffic:
        """The traffic scaled to a rate: more or fewer requests in the same seconds."""
        return replace(self, factor=self.factor * rate / self.rate)

    @cached_property
    def sample(self) -> Traffic:
        """Traffic for searching: itself, or if it is long, parts from the whole span with the same rate."""
        if len(self.slots) <= LONGEST and np.count_nonzero(self.slots) <= SAMPLE:
            return self
        starts = np.linspace(0, len(self.slots) - PART, SAMPLE // PART).astype(int)
        slots = np.concatenate([self.slots[start : start + PART] for start in starts])
        if not slots.any():
            return self
        thinned = replace(self, slots=slots, seconds=float(len(slots))).at(self.rate)
        return replace(thinned, peak=self.busiest / thinned.factor)


def of_slots(slots: Sequence[float], seconds: float, keys: Gaps, clients: Gaps | None) -> Traffic:
    """Traffic from the requests of each second; `slots` may leave out the seconds after the last request."""
    return Traffic(np.asarray(slots, dtype=np.float64), seconds, keys, clients)


def arrivals(traffic: Traffic, rate: float) -> Arrivals:
    """Traffic in the form of a result's file."""
    keys = (tuple(traffic.keys.counts.tolist()), tuple(traffic.keys.sums.tolist()))
    its = traffic.clients
    clients = (tuple(its.counts.tolist()), tuple(its.sums.tolist())) if its else None
    slots = tuple((traffic.slots * traffic.factor).tolist())
    return Arrivals(rate=rate, seconds=traffic.seconds, slots=slots, keys=keys, clients=clients)


def of_arrivals(its: Arrivals) -> Traffic:
    """Traffic from a result's file.

    Raises:
        ValueError: its gaps have other bins.
    """
    if any(len(column) != BINS + 1 for column in (*its.keys, *(its.clients or ()))):
        raise ValueError("gaps of other bins")
    keys, clients = (
        Gaps(*(np.asarray(column, np.float64) for column in one)) if one else None for one in (its.keys, its.clients)
    )
    return of_slots(its.slots, its.seconds, keys or no_gaps(), clients)
