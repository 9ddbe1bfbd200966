"""Concurrent calls to a service, and the log of those that failed.

Room: adapters. Adapters get the function as an argument, so that a simulation can make the calls one after another.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)


class MapCalls(Protocol):
    """Works like the built-in `map`: the results are in the items' order."""

    def __call__(self, call: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]:
        """The call's result for each item."""


def at_once(count: int, name: str) -> MapCalls:
    """A `map` that makes up to `count` calls at once, in threads of that name."""
    return ThreadPoolExecutor(count, name).map


def at_once_fast(count: int, name: str) -> MapCalls:
    """A `map` like that of `at_once`, whose results come when all calls are done.

    Its threads take one item after another, and are waited for once, not for each item. Without it the benchmark
    `orders_zipf_5000` takes a tenth longer. After a call has failed, no further one begins.
    """
    pool = ThreadPoolExecutor(count, name)

    def make(call: Callable[[T], R], items: Iterable[T], /) -> Iterable[R]:
        every = list(items)
        if len(every) == 1:
            return [call(every[0])]
        results: dict[int, R] = {}
        errors: dict[int, BaseException] = {}
        places = deque(range(len(every)))  # its methods may be called by several threads

        def work() -> None:
            while not errors:
                try:
                    place = places.popleft()
                except IndexError:
                    return
                try:
                    results[place] = call(every[place])
                except BaseException as error:  # raised below, in the caller's thread
                    errors[place] = error

        for task in [pool.submit(work) for _ in range(min(count, len(every)))]:
            task.result()
        if errors:
            raise errors[min(errors)]
        return [results[place] for place in range(len(every))]

    return make


class Troubles:
    """The failed calls of one kind, until they are logged: one line tells of all those that a service fails at once.

    Args:
        what: what could not be done to each, such as "cannot read".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._failed: list[tuple[str, Exception]] = []

    def note(self, name: str, error: Exception) -> None:
        """Keep that a call failed. Any thread may call this."""
        self._failed.append((name, error))

    def tell(self) -> None:
        """Log those since the last time: their number and the first."""
        failed, self._failed = self._failed, []
        if failed:
            name, error = failed[0]
            more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
            log.warning("%s %s%s: %r", self._what, name, more, error)
