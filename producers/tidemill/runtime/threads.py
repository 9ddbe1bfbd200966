"""Starting a thread from one that may be interrupted.

Room: SDK.
"""

from __future__ import annotations

import _thread
from _thread import start_new_thread
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def start(run: Callable[[], None], name: str) -> None:
    """Has a daemon thread run a function; by one step, so that an interrupt finds it started or not.

    `Thread.start` takes several: an exception amid them leaves a thread that fails as it begins. So it is called in a
    thread that no signal interrupts.

    Raises:
        RuntimeError: there can be no more threads.
    """
    start_new_thread(_launch, (run, name))


def _launch(run: Callable[[], None], name: str) -> None:
    thread = Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # this was the last that there could be
        run()
    else:
        if _thread.start_new_thread is not start_new_thread:
            # Replaced since this was imported, such as by gunicorn's gevent worker after a fork: what has been started
            # is no thread of the system's. It lives in this one, which is its own alone.
            thread.join()
