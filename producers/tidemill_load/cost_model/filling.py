"""Batches of uneven traffic, some of them full before their window ends, computed one after the other.

Room: load, pure. The averages of uneven.py miss the batch behind the last full one of a burst. That batch waits for the
whole window, and so it decides the 99th percentile as soon as it holds one request in a hundred.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidemill_load.cost_model.traffic import Counts

_NOTHING = 1e-6
"""Requests; a smaller amount is a rounding error of the sums."""

BINS = 32
"""Bins for the times in which batches were filled."""


@dataclass(frozen=True, slots=True)
class Filling:
    """A shard's batches: those sent when their window ended, and those sent because they were full.

    Attributes:
        places: for each batch sent at the end of its window, the second in which it opened.
        firsts: for each of these batches, its requests of that second.
        timed: for each of these batches, all its requests.
        number: the number of full batches in each bin of fill times.
        took: for each bin, the mean seconds from a full batch's first request to its last.
    """

    places: Counts
    firsts: Counts
    timed: Counts
    number: Counts
    took: Counts


def followed(come: Counts, hold: int, most: float) -> Filling:
    """The batches of a shard, computed one after the other.

    A batch opens with the next whole request. The counts are a share of all requests, so that moment is an estimate.

    Args:
        come: the shard's requests in each second.
        hold: seconds for which a batch is open at most.
        most: requests that a batch can hold.
    """
    totals = [0.0, *np.cumsum(come).tolist()]
    timed: list[tuple[float, float, float]] = []
    full: list[tuple[float, float]] = []
    taken = until = 0.0
    while (left := totals[-1] - taken) > _NOTHING:
        place = bisect_left(totals, taken + min(1.0, left) - _NOTHING / 2) - 1
        gathered = totals[min(place + hold, len(come))] - taken
        first = totals[place + 1] - taken
        if gathered < most:
            timed.append((place, first, gathered))
            taken += gathered
            continue
        many = max(1, floor(first / most))
        taken += many * most
        begun, until = max(place, until), _moment(totals, taken)
        full.append((many, (until - begun) / many))
    places, firsts, gathered_by = _columns(timed, 3)
    number, took = _binned(*_columns(full, 2))
    return Filling(places, firsts, gathered_by, number, took)


def _moment(totals: list[float], count: float) -> float:
    """Seconds until `count` requests have come."""
    place = min(max(1, bisect_left(totals, count)), len(totals) - 1)
    before, after = totals[place - 1], totals[place]
    return place - 1 + (count - before) / (after - before) if after > before else float(place)


def _columns(rows: Sequence[tuple[float, ...]], width: int) -> Iterator[Counts]:
    yield from np.array(rows, dtype=np.float64).reshape(-1, width).T


def _binned(number: Counts, took: Counts) -> tuple[Counts, Counts]:
    """Merges batches that took about equally long into bins."""
    if not len(number):
        return number, took
    edges = np.geomspace(took.min(), took.max() * (1 + 1e-9), BINS + 1)
    bins = np.clip(np.digitize(took, edges) - 1, 0, BINS - 1)
    together = np.bincount(bins, number, BINS).astype(np.float64)
    seconds = np.bincount(bins, number * took, BINS)
    there = together > 0
    return together[there], seconds[there] / together[there]
