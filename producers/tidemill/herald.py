"""The herald: the thread in which a producer runs what others gave it, observers and log handlers.

Room: SDK. They may take their time, send by the same producer, wait for it, or wait for a lock whose holder does: what
sends goes on meanwhile.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread, get_ident
from time import monotonic
from typing import TYPE_CHECKING

from tidemill.log import log

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS = 1.0
"""Seconds after which its thread ends, if there was nothing to tell."""

PATIENCE = 2.0
"""Seconds that `rest` waits at most: whom it tells may wait for the one who rests."""


class Herald:
    """Calls functions one after the other, in a thread that is there while it is needed."""

    def __init__(self) -> None:
        self._news: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._at_work: dict[str, object] = {}
        """Has the one thread: `setdefault` is one step, so that there is never a second."""

    def tell(self, function: Callable[[], object]) -> None:
        """Has it called; what it raises is its own. From threads alone that no signal interrupts."""
        self._news.put(function)
        self._start()

    def rest(self) -> None:
        """Waits until all that was told has been heard, a little while at most."""
        if self._at_work.get("thread") == get_ident():
            return
        heard = Lock()
        heard.acquire()
        self._news.put(heard.release)
        end = monotonic() + PATIENCE
        while self._at_work and monotonic() < end and not heard.acquire(timeout=0.01):
            pass

    def _start(self) -> None:
        claim = object()
        if self._at_work.setdefault("thread", claim) is claim:
            try:
                Thread(target=self._run, name="tidemill-herald", daemon=True).start()
            except RuntimeError:  # there are no more threads; those who tell must go on
                self._at_work.clear()

    def _run(self) -> None:
        self._at_work["thread"] = get_ident()
        try:
            while True:
                self._hear(self._news.get(timeout=IDLE_SECONDS))
        except Empty:
            del self._at_work["thread"]
        if not self._news.empty():  # it came in between
            self._start()

    def _hear(self, function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # SystemExit too: an observer does not end what it observes
            with suppress(BaseException):
                log.error("what a producer told of itself was not heard: %r", error)
