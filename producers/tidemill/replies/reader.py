"""A thread that polls a source of replies while they are wanted, and passes them on.

Room: SDK, I/O by the source. A producer's `Listener` and the load tests use it.
Tests: test_reader.py for the thread by itself, and test_listener.py for what a source may do.

    is_wanted ─▶ poll ─▶ take, or pause after a failure ─▶ is_wanted
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from random import random
from threading import Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from tidemill.replies.replies import Replies, may_pass
from tidemill.runtime.herald import Herald
from tidemill.runtime.log import log
from tidemill.runtime.threads import start
from tidemill.runtime.trouble import Trouble, pause, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.contract.request import Reply

WAIT_SECONDS = 1
"""Longest wait of one poll in seconds: closing may have to wait as long."""

AFTER_NOTHING = 0.05
"""Shortest time in seconds from an empty poll to the next: some sources return at once."""


class ReplySource(Protocol):
    """A source of replies, such as an SQS queue (`Replies`), MQTT or a WebSocket."""

    def poll(self, wait_seconds: int) -> list[Reply]:
        """The replies that have come; waits at most `wait_seconds` for the first."""

    def close(self) -> None:
        """Releases its resources."""


class Unheard(RuntimeError):
    """Replies cannot be received: the source raised something that is not an `Exception`, such as SystemExit."""


class ReplyReader:
    """Polls a source from `start` to `close`, whatever it raises.

    Args:
        source: the URL of an SQS queue, or another source of replies.
        take: is called with the replies of each poll, in the thread. Its errors are handled as the source's.
        is_wanted: waits until replies are wanted; False ends the thread. None polls until the reader is closed.
        failed: is called in the thread when replies cannot be received. It raises nothing.

    Attributes:
        failure: the error because of which replies cannot be received, if retries do not cure it; None after a poll
            that succeeds.
        is_closing: whether the thread is to end.
        thread: the thread, once it runs.
    """

    def __init__(
        self,
        source: str | ReplySource,
        take: Callable[[list[Reply]], None],
        *,
        is_wanted: Callable[[], bool] | None = None,
        failed: Callable[[], None] | None = None,
    ) -> None:
        self.failure: Exception | None = None
        self.is_closing = False
        self._source: ReplySource = Replies(source) if isinstance(source, str) else source
        self._take = take
        self._is_wanted = is_wanted
        self._tell_failed = failed
        self._bell: SimpleQueue[None] = SimpleQueue()
        """Has an item when the reader is closed: ends a pause."""
        self._failures = 0
        self._trouble = Trouble()
        self._herald = Herald()
        self._has_started = False
        self.thread: Thread | None = None
        self._claim: dict[str, Thread] = {}
        """Holds the one thread. `setdefault` is atomic, so there is never a second one."""

    def start(self) -> None:
        """Starts the thread, unless it has been started already."""
        if not self._has_started:  # and not: unless it runs, for thousands of handles may come before it does
            start(self._run, "tidemill-replies")
            self._has_started = True

    def close(self, timeout: float | None = None) -> None:
        """Ends the thread and closes the source. If the thread does not end within `timeout` seconds, both are left."""
        self.is_closing = True
        self._bell.put(None)
        if self.thread is not None:
            self.thread.join(timeout)
            if self.thread.is_alive():
                _say("the source of replies is not closed: %s", "it does not come back from a poll")
                return
        self._herald.rest()
        self._source.close()

    # ---- the thread

    def _run(self) -> None:
        self.thread = self._claim.setdefault("thread", current_thread())
        if self.thread is not current_thread():
            return  # two threads were started at once; the other one goes on
        log.hand_over(self._herald.tell)
        while not self.is_closing and (self._is_wanted is None or self._is_wanted()):
            began = monotonic()
            try:
                replies = self._source.poll(WAIT_SECONDS)
                self._take(replies)
                has_some = len(replies) > 0
            except BaseException as error:  # of any kind: those who wait for replies must hear of it
                self._failed(error)
            else:
                self._succeeded()
                if not has_some:
                    self._pause(began + AFTER_NOTHING - monotonic())

    def _succeeded(self) -> None:
        self.failure = None
        self._failures = 0
        _say("replies are heard again: %s", self._trouble.over(monotonic()))

    def _failed(self, error: BaseException) -> None:
        problem = text_of(error)
        if not may_pass(error):
            self.failure = error if isinstance(error, Exception) else Unheard(f"replies cannot be heard: {problem}")
            if self._tell_failed is not None:
                self._tell_failed()
        _say("cannot hear replies: %s", self._trouble.failed(type(error).__name__, problem, monotonic()))
        self._pause(pause(self._failures, random()))
        self._failures += 1

    def _pause(self, seconds: float) -> None:
        """Waits, until the reader is closed at most."""
        if seconds > 0:
            with suppress(Empty):
                self._bell.get(timeout=seconds)


def _say(message: str, line: str | None) -> None:
    if line is not None:
        log.warning(message, line)
