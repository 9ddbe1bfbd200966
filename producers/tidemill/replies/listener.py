"""Who waits for which reply: the handles of a producer, and the replies that came for them.

Room: SDK. A `ReplyReader` polls, as long as somebody waits.

    expect ─▶ inbox ─▶ the reader's thread: whom it awaits ─ poll ─▶ replies, by handle ─▶ heard

The thread alone knows whom it awaits, and it takes note of them by one step of a queue: no lock is held that a signal
handler could find. Handles are held weakly: a handle that is gone, or whose request was given up, is awaited no more.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet, ref

from tidemill.replies.reader import ReplyReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.contract.request import Reply
    from tidemill.delivery.ticket import Ticket
    from tidemill.replies.reader import ReplySource

MANY = 1_000
"""Awaited replies below which nobody looks through all of them for handles that are gone."""


class Listener:
    """Hears replies for those who wait for them. Replies to others are passed over.

    Args:
        source: the URL of an SQS queue, or what hears replies otherwise.
        heard: is told, from the thread, when there is news. It raises nothing.
    """

    def __init__(self, source: str | ReplySource, heard: Callable[[], None]) -> None:
        self._reader = ReplyReader(source, self._take, is_wanted=self._is_awaited, failed=heard)
        self._heard = heard
        self._inbox: SimpleQueue[ref[Ticket] | None] = SimpleQueue()
        self._expected: dict[str, list[ref[Ticket]]] = {}
        """Id -> the handles whose reply is to come. The thread's alone."""
        self._replies: WeakKeyDictionary[Ticket, Reply] = WeakKeyDictionary()
        self._given_up: WeakSet[Ticket] = WeakSet()
        self.has_heard = False
        """Whether any reply has come, to whichever request."""
        self._many = MANY

    def expect(self, ticket: Ticket) -> None:
        """Somebody may ask for the reply to that request. To be called before it is sent."""
        self._inbox.put(ref(ticket))
        if self._reader.thread is None:
            self._reader.start()

    def give_up(self, ticket: Ticket) -> None:
        """Nobody will ask for the reply to that request any more, whoever may hold its handle still."""
        self._given_up.add(ticket)

    def has_news_of(self, ticket: Ticket) -> bool:
        """Whether its reply has come, or cannot be heard."""
        return ticket in self._replies or self._reader.failure is not None

    def reply_to(self, ticket: Ticket) -> Reply | None:
        """Its reply, if that has come.

        Raises:
            botocore.exceptions.ClientError: replies cannot be heard; or whatever else their source raised.
        """
        reply = self._replies.get(ticket)
        failure = self._reader.failure
        if reply is None and failure is not None:
            raise failure
        return reply

    def close(self, timeout: float | None = None) -> None:
        """Ends the thread and lets go of the source; after `timeout` seconds at most, and then without that."""
        self._reader.is_closing = True
        self._inbox.put(None)  # for a thread that waits for somebody to wait
        self._reader.close(timeout)

    # ---- the thread

    def _is_awaited(self) -> bool:
        """Whether somebody waits; False to end. No source is polled while nobody waits."""
        self._note_all()
        while not self._reader.is_closing:
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

    def _take(self, replies: list[Reply]) -> None:
        """Hands replies to those who wait for them."""
        self._note_all()
        for reply in replies:
            for waits in self._expected.pop(reply.id, ()):
                ticket = waits()
                if ticket is not None:
                    self._replies[ticket] = reply
        if replies:
            self.has_heard = True
            self._heard()
