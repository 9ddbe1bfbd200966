"""Several calls to a service at once.

Room: adapters. Given to those that call, so that a simulation can have them one after another.
Tests: tests/consumers/tidemill_consumers/adapters/test_quarantine.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class MapCalls(Protocol):
    """As the built-in `map`: the results in the items' order."""

    def __call__(self, call: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]:
        """The call's result for each item."""


def at_once(count: int, name: str) -> MapCalls:
    """Makes up to `count` calls at once, in threads of that name."""
    return ThreadPoolExecutor(count, name).map
