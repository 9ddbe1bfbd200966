"""The herald: the thread in which a producer runs what others gave it, observers and log handlers.

Room: SDK. They may take their time, send by the same producer, wait for it, or wait for a lock whose holder does: what
sends goes on meanwhile.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING

from tidemill.runtime.log import log
from tidemill.runtime.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS = 1.0
"""Seconds after which its thread ends, if there was nothing to tell."""

MOST = 1_000
"""Most that waits to be told: what comes on top is dropped and counted, for nobody knows whether it is ever heard."""

SAID_SECONDS = 60.0
"""Seconds from one line that says how much was dropped to the next, at least, where there is always more to tell."""

PATIENCE = 2.0
"""Seconds that `rest` waits at most: whom it tells may wait for the one who rests."""


class Herald:
    """Calls functions one after the other, in a thread that is there while it is needed."""

    def __init__(self) -> None:
        self._news: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._dropped: dict[int, int] = {}
        """Thread -> what it has dropped: each counts for itself, so that no count is lost."""
        self._said = 0
        self._says_at = -inf
        self._at_work: dict[str, object] = {}
        """Has the one thread: `setdefault` is one step, so that there is never a second."""

    def tell(self, function: Callable[[], object]) -> None:
        """Has it called, unless too much waits for that; what it raises is its own.

        From threads alone that no signal interrupts. It waits for nothing.
        """
        if self._news.qsize() < MOST:
            self._news.put(function)
        else:
            self._dropped[get_ident()] = self._dropped.get(get_ident(), 0) + 1
        self._start()

    def rest(self) -> None:
        """Waits until all that was told has been heard, a little while at most."""
        if self._at_work.get("thread") == get_ident() or (not self._at_work and self._news.empty()):
            return
        heard = Lock()
        heard.acquire()
        self._news.put(partial(self._end_rest, heard))
        self._start()
        if not self._at_work:
            self._hear_all()  # there can be no more threads, such as when the process is ending
        end = monotonic() + PATIENCE
        while self._at_work and monotonic() < end and not heard.acquire(timeout=0.01):
            pass

    def _end_rest(self, heard: Lock) -> None:
        self._say_dropped()  # first, for the process may end as soon as whoever rests goes on
        heard.release()

    def _start(self) -> None:
        claim = object()
        if self._at_work.setdefault("thread", claim) is claim:
            try:
                start(self._run, "tidemill-herald")
            except RuntimeError:  # there are no more threads; those who tell must go on
                self._at_work.clear()

    def _run(self) -> None:
        self._at_work["thread"] = get_ident()
        try:
            while True:
                self._hear(self._news.get(timeout=IDLE_SECONDS))
                self._say_dropped()
        except Empty:
            del self._at_work["thread"]
        if not self._news.empty():  # it came in between
            self._start()

    def _hear_all(self) -> None:
        with suppress(Empty):
            while True:
                self._hear(self._news.get_nowait())

    def _say_dropped(self) -> None:
        """Says how much was dropped, once all else has been told, or a while has passed."""
        dropped = sum(tuple(self._dropped.values())) - self._said
        if dropped and (self._news.empty() or monotonic() >= self._says_at):
            self._said += dropped
            self._says_at = monotonic() + SAID_SECONDS
            self._hear(
                partial(log.warning, "%d log lines and calls of the observer were dropped: it is too slow", dropped)
            )

    def _hear(self, function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # SystemExit too: an observer does not end what it observes
            with suppress(BaseException):
                log.error("what a producer told of itself was not heard: %r", error)
