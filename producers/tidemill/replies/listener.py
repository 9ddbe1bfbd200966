"""Who waits for which reply: a thread that hears them, as long as somebody waits.

Room: SDK, I/O by what it listens to.

    expect ─▶ inbox ─▶ thread: whom it awaits ─ poll ─▶ replies, by handle ─▶ heard

The thread alone knows whom it awaits, and it takes note of them by one step of a queue: no lock is held that a signal
handler could find. Handles are held weakly: a handle that is gone, or whose request was given up, is awaited no more.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from random import random
from threading import Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary, WeakSet, ref

from tidemill.replies.replies import Replies, may_pass
from tidemill.runtime.herald import Herald
from tidemill.runtime.log import log
from tidemill.runtime.threads import start
from tidemill.runtime.trouble import Trouble, pause, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.contract.request import Reply
    from tidemill.delivery.core import Ticket

WAIT_SECONDS = 1
"""Of one poll: how long closing may have to wait."""

AFTER_NOTHING = 0.05
"""Seconds that a poll takes at least if it brings nothing: some sources do not wait."""

MANY = 1_000
"""Awaited replies below which nobody looks through all of them for handles that are gone."""


class ReplySource(Protocol):
    """Where replies come from: an SQS queue (`Replies`), MQTT, a WebSocket."""

    def poll(self, wait_seconds: int) -> list[Reply]:
        """The replies that are there; waits until there is one, for so many seconds at most."""

    def close(self) -> None:
        """Lets go of what it holds."""


class Unheard(RuntimeError):
    """Replies cannot be heard, for the source ended in something that is no error of its own, such as SystemExit."""


class Listener:
    """Hears replies for those who wait for them. Replies to others are passed over.

    Args:
        source: the URL of an SQS queue, or what hears replies otherwise.
        heard: is told, from the thread, when there is news. It raises nothing.
    """

    def __init__(self, source: str | ReplySource, heard: Callable[[], None]) -> None:
        self._source: ReplySource = Replies(source) if isinstance(source, str) else source
        self._heard = heard
        self._inbox: SimpleQueue[ref[Ticket] | None] = SimpleQueue()
        self._bell: SimpleQueue[None] = SimpleQueue()
        """Rings when it is closed."""
        self._expected: dict[str, list[ref[Ticket]]] = {}
        """Id -> the handles whose reply is to come. The thread's alone."""
        self._replies: WeakKeyDictionary[Ticket, Reply] = WeakKeyDictionary()
        self._given_up: WeakSet[Ticket] = WeakSet()
        self.has_heard = False
        """Whether any reply has come, to whichever request."""
        self._many = MANY
        self._failure: Exception | None = None
        self._failures = 0
        self._trouble = Trouble()
        self._thread: Thread | None = None
        self._claim: dict[str, Thread] = {}
        """Has the one thread: `setdefault` is one step, so that there is never a second."""
        self._closing = False
        self._herald = Herald()

    def expect(self, ticket: Ticket) -> None:
        """Somebody may ask for the reply to that request. To be called before it is sent."""
        self._inbox.put(ref(ticket))
        if self._thread is None:
            start(self._run, "tidemill-replies")

    def give_up(self, ticket: Ticket) -> None:
        """Nobody will ask for the reply to that request any more, whoever may hold its handle still."""
        self._given_up.add(ticket)

    def has_news_of(self, ticket: Ticket) -> bool:
        """Whether its reply has come, or cannot be heard."""
        return ticket in self._replies or self._failure is not None

    def reply_to(self, ticket: Ticket) -> Reply | None:
        """Its reply, if that has come.

        Raises:
            botocore.exceptions.ClientError: replies cannot be heard; or whatever else their source raised.
        """
        reply = self._replies.get(ticket)
        if reply is None and self._failure is not None:
            raise self._failure
        return reply

    def close(self, timeout: float | None = None) -> None:
        """Ends the thread and lets go of the source; after `timeout` seconds at most, and then without that."""
        self._closing = True
        self._inbox.put(None)
        self._bell.put(None)
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                self._say("the source of replies is not closed: %s", "it does not come back from a poll")
                return
        self._herald.rest()
        self._source.close()

    # ---- the thread

    def _run(self) -> None:
        self._thread = self._claim.setdefault("thread", current_thread())
        if self._thread is not current_thread():
            return  # two asked for it at once
        log.hand_over(self._herald.tell)
        while self._is_awaited():
            began = monotonic()
            try:
                heard = self._take(self._source.poll(WAIT_SECONDS))
            except BaseException as error:  # whatever it is: others wait for replies, and hear of it
                self._failed(error)
            else:
                self._succeeded()
                if not heard:
                    self._pause(began + AFTER_NOTHING - monotonic())

    def _is_awaited(self) -> bool:
        """Whether somebody waits; False to end. Nobody is asked while nobody waits."""
        self._note_all()
        while not self._closing:
            self._forget()
            if self._expected:
                return True
            self._note(self._inbox.get())
            self._note_all()
        return False

    def _forget(self) -> None:
        """Drops those whose reply nobody will ask for: the oldest at once, and all of them at times."""
        if len(self._expected) > self._many:
            self._expected = {
                name: left for name, of in self._expected.items() if (left := list(filter(self._waits, of)))
            }
            self._many = 2 * len(self._expected) + MANY
        while self._expected and not any(map(self._waits, self._expected[next(iter(self._expected))])):
            del self._expected[next(iter(self._expected))]

    def _note_all(self) -> None:
        with suppress(Empty):
            while True:
                self._note(self._inbox.get_nowait())

    def _note(self, expected: ref[Ticket] | None) -> None:
        ticket = None if expected is None else expected()
        if expected is not None and ticket is not None:
            self._expected.setdefault(ticket.id, []).append(expected)

    def _waits(self, expected: ref[Ticket]) -> bool:
        """Whether somebody holds the handle, and its request may be answered."""
        ticket = expected()
        return ticket is not None and not ticket._is_lost and ticket not in self._given_up

    def _take(self, replies: list[Reply]) -> int:
        """Hands replies to those who wait for them: how many there were."""
        self._note_all()
        for reply in replies:
            for waits in self._expected.pop(reply.id, ()):
                ticket = waits()
                if ticket is not None:
                    self._replies[ticket] = reply
        if replies:
            self.has_heard = True
            self._heard()
        return len(replies)

    def _succeeded(self) -> None:
        self._failure = None
        self._failures = 0
        self._say("replies are heard again: %s", self._trouble.over(monotonic()))

    def _failed(self, error: BaseException) -> None:
        problem = text_of(error)
        if not may_pass(error):
            self._failure = error if isinstance(error, Exception) else Unheard(f"replies cannot be heard: {problem}")
            self._heard()
        self._say("cannot hear replies: %s", self._trouble.failed(type(error).__name__, problem, monotonic()))
        self._pause(pause(self._failures, random()))
        self._failures += 1

    def _pause(self, seconds: float) -> None:
        """Waits, unless it is closed meanwhile."""
        if seconds > 0:
            with suppress(Empty):
                self._bell.get(timeout=seconds)

    def _say(self, message: str, line: str | None) -> None:
        if line is not None:
            log.warning(message, line)
