"""Matches replies to the handles of a producer that await them.

Room: SDK. A `ReplyReader` polls while any handle awaits its reply.

    expect ─▶ awaited handles, by request ─▶ the reader's thread: poll ─▶ replies, by handle ─▶ heard
       └─▶ inbox, if the reader's thread is idle, or another handle awaits the same reply

Any thread adds its handle in one atomic step, and only the reader's thread takes handles out: there is no lock that a
signal handler could find held. Handles are held weakly: a handle that is gone, or whose request was given up, is
awaited no more.
"""

from __future__ import annotations

from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeVar
from weakref import WeakSet, ref

from tidemill.replies.reader import ReplyReader
from tidemill.replies.replies import Replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.contract.request import Reply
    from tidemill.replies.reader import ReplySource

T = TypeVar("T")

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

    def _hear(self, reply: Reply) -> None:
        """Takes its reply."""

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
        every = Replies.with_repeats(source) if isinstance(source, str) else source
        self._reader = ReplyReader(every, self._take, is_wanted=self._is_awaited, failed=heard)
        self._heard = heard
        self._expected: dict[str, ref[Awaits]] = {}
        """Request id -> the handle that awaits its reply. Any thread adds; only the reader's thread takes out."""
        self._others: dict[str, list[ref[Awaits]]] = {}
        """Request id -> further handles that await its reply. Touched by the reader's thread only."""
        self._inbox: SimpleQueue[ref[Awaits] | None] = SimpleQueue()
        self._is_idle = True
        """Whether the reader's thread may wait for an item of the inbox."""
        self._given_up: WeakSet[object] = WeakSet()
        self.has_heard = False
        """Whether a reply to any request has come."""
        self._many = MANY

    def expect(self, ticket: Awaits) -> None:
        """Awaits the reply to the handle's request. To be called before the request is sent."""
        awaits = ref(ticket)
        if self._expected.setdefault(ticket.id, awaits) is not awaits or self._is_idle:
            self._inbox.put(awaits)
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
        while not self._reader.is_closing:
            self._is_idle = False
            self._note_all()
            self._forget()
            if self._expected:
                return True
            self._is_idle = True
            if not self._expected:  # those that came before it was set did not put anything into the inbox
                self._note_all(wait=True)
        return False

    def _forget(self) -> None:
        """Drops handles that await nothing any more: at the front always, elsewhere when there are many."""
        if len(self._expected) > self._many:
            for one in _read(lambda: list(self._expected)):
                self._forget_one(one)
            self._many = 2 * len(self._expected) + MANY
        while self._expected and self._forget_one(_read(lambda: next(iter(self._expected)))):
            pass

    def _forget_one(self, name: str) -> bool:
        """Drops a request whose reply no handle awaits any more. Returns whether it did."""
        if any(map(self._waits, (self._expected[name], *self._others.get(name, ())))):
            return False
        del self._expected[name]
        self._others.pop(name, None)
        return True

    def _note_all(self, *, wait: bool = False) -> None:
        """Takes the handles out of the inbox. `wait`: waits for the first."""
        with suppress(Empty):
            while True:
                awaits = self._inbox.get(wait)
                wait = False
                ticket = None if awaits is None else awaits()
                if awaits is None or ticket is None or ticket._heard is not None:
                    continue
                if self._expected.setdefault(ticket.id, awaits) is not awaits:
                    self._others.setdefault(ticket.id, []).append(awaits)

    def _waits(self, awaits: ref[Awaits]) -> bool:
        """Whether the handle still exists, and its reply may come and is wanted."""
        ticket = awaits()
        return ticket is not None and not ticket._is_lost and ticket not in self._given_up

    def _take(self, replies: list[Reply]) -> None:
        """Stores the replies for the handles that await them."""
        self._note_all()
        expected, others = self._expected, self._others
        for reply in replies:
            awaits = expected.pop(reply.id, None)
            if awaits is None:
                continue
            ticket = awaits()
            if ticket is not None:
                ticket._hear(reply)
            if others:
                for also in others.pop(reply.id, ()):
                    ticket = also()
                    if ticket is not None:
                        ticket._hear(reply)
        if replies:
            self.has_heard = True
            self._heard()


def _read(some: Callable[[], T]) -> T:
    """A snapshot of a dict that other threads add to."""
    while True:
        with suppress(RuntimeError):  # one has, meanwhile
            return some()
