"""Starting a thread from one that may be interrupted.

Room: SDK.
"""

from __future__ import annotations

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
    try:
        Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:  # this was the last that there could be
        run()
