"""The end of the process: producers that nobody closed are closed then, and nothing is taken afterwards.

Room: SDK.

    import of this package   registers the hook: `atexit` calls the latest first, so that this one comes after those of
                             whoever uses the package
    their hooks              send and close as at any time
    this hook                closes all that is open; nothing opens any more
    hooks from before        hear ProducerClosed: nothing could be sent any more, for threads stop without a word

multiprocessing ends its children without `atexit`, by finalizers of its own. Python 3.12 starts no threads once the
main thread has ended, so that a producer which has sent nothing before cannot do so in a hook. Nor can boto3 be
imported then: a hook that makes a process's first client hears a RuntimeError.
"""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import ExitStack
from threading import main_thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from tidemill.errors import ProducerClosed

if TYPE_CHECKING:
    from collections.abc import Callable

BEFORE_CHILDREN = 100
"""At the end of a process of multiprocessing: before it waits for its children (multiprocessing.util.Finalize)."""

PAST = "the process has ended all producers, and nothing would be sent any more; send earlier"

NO_THREADS = (
    "the process is ending, and starts no threads any more, which the producer has not needed before; "
    "send its first request earlier"
)

_open: dict[Callable[[], None], None] = {}
"""What is to be called, in the order in which it was opened."""

_began: list[float] = []
_finalizers: list[Any] = []


def hold(end: Callable[[], None]) -> None:
    """Has a function called as the process ends.

    Raises:
        ProducerClosed: that is past.
    """
    _open[end] = None
    try:
        check()  # afterwards, for whoever ends all sets it before
    except ProducerClosed:
        let_go(end)
        raise
    _hear_of_multiprocessing()


def check() -> None:
    """Looks whether anything can still be opened.

    Raises:
        ProducerClosed: that is past.
    """
    if _began:
        raise ProducerClosed(PAST)


def let_go(end: Callable[[], None]) -> None:
    """Takes that back."""
    _open.pop(end, None)


def began() -> float:
    """When the process began to end, or now: all that it holds shares the time of that end."""
    return _began[0] if _began else monotonic()


def is_ending() -> bool:
    """Whether the main thread has ended, and with it all threads that a program waits for."""
    return not main_thread().is_alive()


def end_all() -> None:
    """Closes all that is open, the latest first, whatever closing one of them raises."""
    _began.append(monotonic())
    with ExitStack() as ends:
        for end in list(_open):
            ends.callback(end)


def _hear_of_multiprocessing() -> None:
    processes: Any = sys.modules.get("multiprocessing.process")
    if not _finalizers and processes is not None and processes.parent_process() is not None:
        from multiprocessing.util import Finalize

        _finalizers.append(Finalize(None, end_all, exitpriority=BEFORE_CHILDREN))


def _after_fork() -> None:
    """A copy opens what it needs itself, and multiprocessing has forgotten its finalizers."""
    _open.clear()
    _finalizers.clear()


atexit.register(end_all)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
