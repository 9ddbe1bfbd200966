"""How often a batch meets the same key: what folding saves, and what one hot key does to a shard.

Room: load, pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import expm1, log1p

_EXACT = 200
"""Ranks that are looked at one by one; beyond, those within 2% of each other are taken together."""


@dataclass(frozen=True, slots=True)
class KeyDistribution:
    """Ordering keys and how unevenly requests fall on them: Zipf's law.

    Attributes:
        count: how many there are.
        skew: Zipf's exponent: the key of rank r gets a share in proportion to 1/r**skew. 0 is even; 1 is what web
            pages and shared media have.
    """

    count: int = 10_000
    skew: float = 1.0

    @property
    def hottest(self) -> float:
        """The share of requests that the most popular key gets."""
        return _ranks(self)[0][0]

    def popular(self, ranks: int) -> Sequence[float]:
        """The shares of so many keys, the most popular first; of fewer where there are fewer, and at most 200."""
        return [share for share, how_many in _ranks(self)[: min(ranks, _EXACT)] if how_many == 1]

    def distinct(self, requests: float, each: int = 1) -> float:
        """The expected number of different keys among that many requests.

        Args:
            requests: how many.
            each: of so many writers, each for any key: counts the different pairs of key and writer instead.
        """
        # A key of share p is missed by n requests with probability (1 - p)**n.
        return sum(
            -ranks * each * expm1(requests * log1p(-share / each)) if share < each else min(requests, 1.0)
            for share, ranks in _ranks(self)
        )


@lru_cache(maxsize=64)
def _ranks(keys: KeyDistribution) -> tuple[tuple[float, float], ...]:
    """(share of each, how many have it), the most popular first."""
    groups: list[tuple[float, float]] = []
    rank = 1
    while rank <= keys.count:
        ranks = max(1, min(rank // 50, keys.count - rank + 1)) if rank > _EXACT else 1
        groups.append((rank + (ranks - 1) / 2, ranks))
        rank += ranks
    whole: float = sum(ranks * middle**-keys.skew for middle, ranks in groups)
    return tuple((middle**-keys.skew / whole, float(ranks)) for middle, ranks in groups)
