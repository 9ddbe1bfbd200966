"""The herald: the thread in which a producer runs foreign code, that is, observers and log handlers.

Room: SDK. Foreign code may be slow, send by the same producer, wait for it, or wait for a lock whose holder waits for
it: the producer's other threads go on meanwhile.
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
"""Seconds without work after which the thread ends."""

MOST = 1_000
"""Longest queue of functions: further ones are dropped and counted, because the foreign code may hang for ever."""

SAID_SECONDS = 60.0
"""Shortest time in seconds between two lines about dropped functions, while the queue never gets empty."""

PATIENCE = 2.0
"""Longest wait in seconds of `rest`: the foreign code may itself wait for the caller of `rest`."""


class Herald:
    """Calls functions one after the other, in a thread that exists while it is needed."""

    def __init__(self) -> None:
        self._news: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._dropped: dict[int, int] = {}
        """Thread -> number of functions it dropped: threads count separately, so that no increment is lost."""
        self._said = 0
        self._says_at = -inf
        self._at_work: dict[str, object] = {}
        """Holds the one thread. `setdefault` is atomic, so there is never a second one."""

    def tell(self, function: Callable[[], object]) -> bool:
        """Queues a function to be called, or drops it if the queue is full; returns whether it is queued.

        Its exceptions are logged. Does not block. Only for threads that no signal interrupts.
        """
        has_room = self._news.qsize() < MOST
        if has_room:
            self._news.put(function)
        else:
            self._dropped[get_ident()] = self._dropped.get(get_ident(), 0) + 1
        self._start()
        return has_room

    def rest(self) -> None:
        """Waits until all queued functions have been called, `PATIENCE` seconds at most."""
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
        self._say_dropped()  # first: the process may end once `rest` returns
        heard.release()

    def _start(self) -> None:
        claim = object()
        if self._at_work.setdefault("thread", claim) is claim:
            try:
                start(self._run, "tidemill-herald")
            except RuntimeError:  # no more threads can be started; the caller must go on
                self._at_work.clear()

    def _run(self) -> None:
        self._at_work["thread"] = get_ident()
        try:
            while True:
                self._hear(self._news.get(timeout=IDLE_SECONDS))
                self._say_dropped()
        except Empty:
            del self._at_work["thread"]
        if not self._news.empty():  # a function came in between
            self._start()

    def _hear_all(self) -> None:
        with suppress(Empty):
            while True:
                self._hear(self._news.get_nowait())

    def _say_dropped(self) -> None:
        """Logs how many functions were dropped, when the queue is empty or `SAID_SECONDS` have passed."""
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
        except BaseException as error:  # SystemExit too: foreign code must not end this thread
            with suppress(BaseException):
                log.error("what a producer told of itself was not heard: %r", error)
