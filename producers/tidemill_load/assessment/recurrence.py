"""When the same key or client came last: of each request as it passes, in bounded memory.

Room: load, pure. Of very many kinds a sample is followed, chosen by hash, and those that come most often all the same
(as SHARDS does for caches: Waldspurger and others, "Efficient MRC Construction with SHARDS", FAST 2015).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    Ids: TypeAlias = np.ndarray[tuple[int], np.dtype[np.uint32]]
    Floats: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]

KINDS: Final = 1 << 19
"""The most that are followed at a time."""

HOT: Final = 1_000
"""The most frequent ones, this many, are followed whatever their hash."""


class Recurrence:
    """Follows kinds by their hashes.

    Args:
        most: kinds that are followed at a time.
    """

    def __init__(self, most: int = KINDS) -> None:
        self._most = most
        self._ids: Ids = np.empty(0, np.uint32)
        self._last: Floats = np.empty(0)
        self._counts: Floats = np.empty(0)
        self._hot = np.empty(0, bool)
        self._shift = 0
        self._requests = 0

    def gaps(self, ids: Ids, at: Floats) -> tuple[Floats, Floats]:
        """Of each request: seconds since the last one of its kind, infinite for none; and how many it stands for.

        One that stands for 0 is not followed.

        Args:
            ids: hashes of the kinds.
            at: seconds, rising.
        """
        self._requests += len(ids)
        order = np.argsort(ids, kind="stable")
        sorted_ids, sorted_at = ids[order], at[order]
        begins = np.append(True, sorted_ids[1:] != sorted_ids[:-1])
        firsts = np.flatnonzero(begins)
        kinds, sizes = sorted_ids[firsts], np.diff(np.append(firsts, len(ids)))
        gaps = np.empty(len(ids))
        gaps[1:] = np.diff(sorted_at)
        places = np.minimum(np.searchsorted(self._ids, kinds), max(0, len(self._ids) - 1))
        known = self._ids[places] == kinds if len(self._ids) else np.zeros(len(kinds), bool)
        gaps[firsts] = np.inf
        gaps[firsts[known]] = sorted_at[firsts[known]] - self._last[places[known]]
        weights = np.where(known | self._sampled(kinds), 2.0**self._shift, 0.0)
        weights[known] = np.where(self._hot[places[known]], 1.0, 2.0**self._shift)
        self._follow(kinds, sorted_at[firsts + sizes - 1], sizes, places, known)
        found, stands_for = np.empty(len(ids)), np.empty(len(ids))
        found[order], stands_for[order] = np.maximum(gaps, 0.0), np.repeat(weights, sizes)
        return found, stands_for

    @property
    def kinds(self) -> int:
        """The number of different kinds; an estimate where only a sample is followed."""
        hot = int(self._hot.sum())
        return hot + (len(self._ids) - hot << self._shift)

    @property
    def hottest(self) -> float:
        """The share of requests of the kind that came most often."""
        return float(self._counts.max(initial=0)) / self._requests if self._requests else 0.0

    def _sampled(self, ids: Ids) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        # Multiplied, so that the lower bits depend on all of them.
        low = (ids * np.uint32(2654435761) >> np.uint32(7)) & np.uint32((1 << self._shift) - 1)
        chosen: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.equal(low, 0)
        return chosen

    def _follow(
        self,
        kinds: Ids,
        last: Floats,
        sizes: np.ndarray[tuple[int], np.dtype[np.intp]],
        places: np.ndarray[tuple[int], np.dtype[np.intp]],
        known: np.ndarray[tuple[int], np.dtype[np.bool_]],
    ) -> None:
        self._last[places[known]] = last[known]
        self._counts[places[known]] += sizes[known]
        new = ~known & self._sampled(kinds)
        if new.any():
            where = np.searchsorted(self._ids, kinds[new])
            self._ids = np.insert(self._ids, where, kinds[new])
            self._last = np.insert(self._last, where, last[new])
            self._counts = np.insert(self._counts, where, sizes[new].astype(float))
            self._hot = np.insert(self._hot, where, False)
        while len(self._ids) > self._most:
            self._thin_out()

    def _thin_out(self) -> None:
        """Follow half as many; the hottest are followed on, for all of theirs are counted."""
        if not self._shift:
            self._hot[np.argsort(self._counts)[-min(HOT, self._most // 4) :]] = True
        self._shift += 1
        stay = self._hot | self._sampled(self._ids)
        self._ids, self._last = self._ids[stay], self._last[stay]
        self._counts, self._hot = self._counts[stay], self._hot[stay]
