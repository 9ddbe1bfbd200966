"""Concurrent calls to a service.

Room: adapters. Adapters get the function as an argument, so that a simulation can make the calls one after another.
Tests: tests/consumers/tidemill_consumers/adapters/test_quarantine.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class MapCalls(Protocol):
    """Works like the built-in `map`: the results are in the items' order."""

    def __call__(self, call: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]:
        """The call's result for each item."""


def at_once(count: int, name: str) -> MapCalls:
    """A `map` that makes up to `count` calls at once, in threads of that name."""
    return ThreadPoolExecutor(count, name).map
