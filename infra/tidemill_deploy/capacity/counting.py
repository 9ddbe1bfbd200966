"""Counts in bounded memory: the heaviest of any number of keys, and how many different ones there are.

Room: capacity. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from heapq import heappushpop, nlargest
from typing import NamedTuple

MOST_KEYS = 1024
"""Keys that a count keeps apart; while there are at most twice as many it is exact."""

MOST_HASHES = 1024
"""Hashes that a count of different keys keeps; below as many it is exact, from there on within a tenth (3 sigma)."""

HASHES = 2**64


class Heavy(NamedTuple):
    """A key and what it weighs: at least `least`, and `most` at most."""

    key: str
    least: int
    most: int


class HeavyHitters:
    """The heaviest of any number of keys, by Misra and Gries's algorithm with weights.

    It keeps `most` to twice as many keys. When there are more, it takes the weight of the `most`-th from all, and drops
    those with nothing left. So every key is undercounted by at most `error`, which is at most the total divided by
    `most`, and no key that weighs more is missing.

    Args:
        most: the keys to keep.
    """

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        self._weights: dict[str, int] = {}
        self.error = 0
        """By how much a key may be undercounted; 0: the counts are exact."""
        self.total = 0
        """The weight of all."""

    def add(self, key: str, weight: int) -> None:
        """Add to a key's weight."""
        self.total += weight
        weights = self._weights
        weights[key] = weights.get(key, 0) + weight
        if len(weights) > 2 * self._most:
            cut = nlargest(self._most, weights.values())[-1]
            self._weights = {one: left for one, held in weights.items() if (left := held - cut) > 0}
            self.error += cut

    def heaviest(self, count: int) -> Iterator[Heavy]:
        """The heaviest keys, the heaviest first; among equals by name."""
        every = sorted(self._weights.items(), key=lambda one: (-one[1], one[0]))
        for key, weight in every[:count]:
            yield Heavy(key, weight, weight + self.error)


class Different:
    """How many different keys there are, by the least of their hashes (k minimum values)."""

    def __init__(self) -> None:
        self._least: list[int] = []  # a heap of negated hashes: the greatest of the least is first
        self._held: set[int] = set()

    def add(self, key: str) -> None:
        """Count a key, unless it was counted before."""
        found = int.from_bytes(blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest())
        if found in self._held or (self.is_estimate and found > -self._least[0]):
            return
        self._held.add(found)
        if len(self._held) <= MOST_HASHES:
            self._least.append(-found)
            if len(self._held) == MOST_HASHES:
                self._least.sort()
            return
        self._held.discard(-heappushpop(self._least, -found))

    @property
    def is_estimate(self) -> bool:
        """Whether there are so many that their number is an estimate."""
        return len(self._held) >= MOST_HASHES

    @property
    def count(self) -> int:
        """How many there are."""
        if not self.is_estimate:
            return len(self._held)
        return round((MOST_HASHES - 1) * HASHES / -self._least[0])
