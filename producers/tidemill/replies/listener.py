"""Matches replies to the handles of a producer that await them.

Room: SDK. A `ReplyReader` polls while any handle awaits its reply.

    expect ─▶ inbox ─▶ the reader's thread: awaited handles ─ poll ─▶ replies, by handle ─▶ heard

Only the reader's thread touches the awaited handles. Other threads put theirs into a queue, in one atomic step: there
is no lock that a signal handler could find held. Handles are held weakly: a handle that is gone, or whose request was
given up, is awaited no more.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet, ref

from tidemill.replies.reader import ReplyReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.contract.request import Reply
    from tidemill.replies.reader import ReplySource

MANY = 1_000
"""Below this number of awaited replies, they are not all searched for handles that are gone."""


class Awaits(Protocol):
    """A handle that awaits a reply.

    Attributes:
        id: the request's id.
        _heard: its reply, once that has come.
    """

    id: str
    _heard: Reply | None

    @property
    def _is_lost(self) -> bool:
        """Whether no reply will come, because the request has not reached the stream and never will."""


class Listener:
    """Receives the replies that handles await. Other replies are dropped.

    Args:
        source: the URL of an SQS queue, or another source of replies.
        heard: is called in the reader's thread when replies came or cannot be received. It raises nothing.
    """

    def __init__(self, source: str | ReplySource, heard: Callable[[], None]) -> None:
        self._reader = ReplyReader(source, self._take, is_wanted=self._is_awaited, failed=heard)
        self._heard = heard
        self._inbox: SimpleQueue[ref[Awaits] | None] = SimpleQueue()
        self._expected: dict[str, list[ref[Awaits]]] = {}
        """Request id -> the handles that await its reply. Touched by the reader's thread only."""
        self._given_up: WeakSet[object] = WeakSet()
        self.has_heard = False
        """Whether a reply to any request has come."""
        self._many = MANY

    def expect(self, ticket: Awaits) -> None:
        """Awaits the reply to the handle's request. To be called before the request is sent."""
        self._inbox.put(ref(ticket))
        if self._reader.thread is None:
            self._reader.start()

    def give_up(self, ticket: object) -> None:
        """Awaits the reply no more, even if somebody still holds the handle."""
        self._given_up.add(ticket)

    def has_news_of(self, ticket: Awaits) -> bool:
        """Whether the handle's reply has come, or replies cannot be received."""
        return ticket._heard is not None or self._reader.failure is not None

    def reply_to(self, ticket: Awaits) -> Reply | None:
        """The handle's reply, if it has come.

        Raises:
            botocore.exceptions.ClientError, or another error of the source: replies cannot be received.
        """
        reply = ticket._heard
        failure = self._reader.failure
        if reply is None and failure is not None:
            raise failure
        return reply

    def close(self, timeout: float | None = None) -> None:
        """Ends the thread and closes the source. If the thread does not end within `timeout` seconds, both are left."""
        self._reader.is_closing = True
        self._inbox.put(None)  # wakes the thread if it waits for a handle
        self._reader.close(timeout)

    # ---- the thread

    def _is_awaited(self) -> bool:
        """Waits until a handle awaits a reply, so that the source is not polled for nothing. False ends the thread."""
        self._note_all()
        while not self._reader.is_closing:
            self._forget()
            if self._expected:
                return True
            self._note(self._inbox.get())
            self._note_all()
        return False

    def _forget(self) -> None:
        """Drops handles that await nothing any more: at the front always, elsewhere when there are many."""
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

    def _note(self, expected: ref[Awaits] | None) -> None:
        ticket = None if expected is None else expected()
        if expected is not None and ticket is not None:
            self._expected.setdefault(ticket.id, []).append(expected)

    def _waits(self, expected: ref[Awaits]) -> bool:
        """Whether the handle still exists, and its reply may come and is wanted."""
        ticket = expected()
        return ticket is not None and not ticket._is_lost and ticket not in self._given_up

    def _take(self, replies: list[Reply]) -> None:
        """Stores the replies for the handles that await them."""
        self._note_all()
        for reply in replies:
            for waits in self._expected.pop(reply.id, ()):
                ticket = waits()
                if ticket is not None:
                    ticket._heard = reply
        if replies:
            self.has_heard = True
            self._heard()
