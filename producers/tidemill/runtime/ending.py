"""The end of the process: closes the producers that are still open, and takes no requests afterwards.

Room: SDK.

    import of this package   registers the hook. `atexit` calls the latest hook first, so this one runs after the hooks
                             of modules that import the package
    their hooks              may send and close as at any time
    this hook                closes everything that is open; nothing can be opened from then on
    hooks from before        get ProducerClosed: nothing could be sent, because threads are stopped silently

multiprocessing ends its children without `atexit`, by finalizers of its own. Python 3.12 starts no threads once the
main thread has ended, so a producer that has sent nothing before cannot send in a hook. boto3 cannot be imported then
either: a hook that makes the process's first client gets a RuntimeError.
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
"""The finalizer's priority: in a child of multiprocessing it runs before that waits for its own children
(multiprocessing.util.Finalize)."""

PAST = "the process has ended all producers, and nothing would be sent any more; send earlier"

NO_THREADS = (
    "the process is ending, and starts no threads any more, which the producer has not needed before; "
    "send its first request earlier"
)

_open: dict[Callable[[], None], None] = {}
"""The functions to call at the end, in the order in which they were registered."""

_began: list[float] = []
_finalizers: list[Any] = []


def hold(end: Callable[[], None]) -> None:
    """Registers a function to be called when the process ends.

    Raises:
        ProducerClosed: the functions have been called already.
    """
    _open[end] = None
    try:
        check()  # after registering, because `end_all` sets `_began` before it reads the functions
    except ProducerClosed:
        let_go(end)
        raise
    _hear_of_multiprocessing()


def check() -> None:
    """Checks that producers can still be opened.

    Raises:
        ProducerClosed: the process has closed all of them.
    """
    if _began:
        raise ProducerClosed(PAST)


def let_go(end: Callable[[], None]) -> None:
    """Removes a function that `hold` registered."""
    _open.pop(end, None)


def began() -> float:
    """When the process began to end, or now if it has not: all producers share the closing time from then on."""
    return _began[0] if _began else monotonic()


def is_ending() -> bool:
    """Whether the main thread has ended: from then on Python starts no threads."""
    return not main_thread().is_alive()


def end_all() -> None:
    """Calls all registered functions, the latest first, even if some of them raise."""
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
    """Forgets all functions: the child opens its own producers, and multiprocessing drops finalizers at a fork."""
    _open.clear()
    _finalizers.clear()


atexit.register(end_all)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
