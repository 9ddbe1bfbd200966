"""Starts a thread from a thread that signals may interrupt; calls a function in several threads at once.

Room: SDK.
"""

from __future__ import annotations

import _thread
from _thread import get_ident, start_new_thread
from collections import deque
from contextlib import suppress
from threading import Semaphore, Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


_launching: set[int] = set()
"""The raw threads that start others."""


def is_launching() -> bool:
    """Whether this thread is about to start another one: what waits for that one in it (a `__del__`) waits in vain."""
    return get_ident() in _launching


def start(run: Callable[[], object], name: str) -> None:
    """Runs a function in a daemon thread, started in one atomic step: an interrupt finds it started or not.

    `Thread.start` takes several steps, and an exception between them leaves a thread that fails at once. So a raw
    thread, which no signal interrupts, calls it.

    Raises:
        RuntimeError: no more threads can be started.
    """
    start_new_thread(_launch, (run, name))


def _launch(run: Callable[[], object], name: str) -> None:
    _launching.add(get_ident())
    try:
        thread = Thread(target=run, name=name, daemon=True)
        thread.start()
    except RuntimeError:  # no more threads can be started: this one does it
        _launching.discard(get_ident())
        run()
    else:
        _launching.discard(get_ident())
        if _thread.start_new_thread is not start_new_thread:
            # Patched after this module was imported, such as by gunicorn's gevent worker after a fork: `start` made a
            # greenlet within this thread, which must live as long.
            thread.join()


def in_threads(work: Callable[[T], None], items: Iterable[T], count: int) -> None:
    """Calls a function with each item, in several threads at once, of which this is one, and waits for all.

    Args:
        work: the function. After an error of it no further item is begun.
        items: the items.
        count: number of threads; fewer if no more can be started.

    Raises:
        Exception: the first error of `work`.
    """
    waiting, errors, ended = deque(items), deque[BaseException](), Semaphore(0)

    def run() -> None:
        try:
            while not errors:
                try:
                    item = waiting.popleft()
                except IndexError:
                    break
                work(item)
        except BaseException as error:
            errors.append(error)
        ended.release()

    started = 1
    with suppress(RuntimeError):  # no more threads can be started
        while started < count:
            start(run, "tidemill-part")
            started += 1
    run()
    for _ in range(started):
        ended.acquire()
    if errors:
        raise errors[0]
