"""Starts a thread from a thread that signals may interrupt.

Room: SDK.
"""

from __future__ import annotations

import _thread
from _thread import get_ident, start_new_thread
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


_launching: set[int] = set()
"""The raw threads that start others."""


def is_launching() -> bool:
    """Whether this thread is about to start another one: what waits for that one in it (a `__del__`) waits in vain."""
    return get_ident() in _launching


def start(run: Callable[[], None], name: str) -> None:
    """Runs a function in a daemon thread, started in one atomic step: an interrupt finds it started or not.

    `Thread.start` takes several steps, and an exception between them leaves a thread that fails at once. So a raw
    thread, which no signal interrupts, calls it.

    Raises:
        RuntimeError: no more threads can be started.
    """
    start_new_thread(_launch, (run, name))


def _launch(run: Callable[[], None], name: str) -> None:
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
