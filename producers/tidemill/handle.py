"""Handles: returned to the sender of a request, to wait for its outcome and its reply.

Room: SDK. No I/O: handles wait for the keeper and the listener, which do it.
Tests: tests/producers/tidemill/test_producer.py, and test_aio.py for AsyncHandle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.delivery.ticket import Ticket
from tidemill.errors import StillPending, unanswered
from tidemill.runtime.processes import Unique
from tidemill.sending.records import Acknowledged

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tidemill.contract.request import Reply
    from tidemill.delivery.keeper import Keeper
    from tidemill.replies.listener import Listener
    from tidemill.runtime.loops import Loops
    from tidemill.traces import Sent


class Handle(Unique, Ticket, eq=False, gc=False):
    """A request that was sent.

    Attributes:
        id: the request's id.
    """

    _keeper: Keeper

    def result(self, timeout: float | None = None) -> Acknowledged:
        """Waits until the request is stored. Returns its record's shard and sequence number.

        Args:
            timeout: seconds to wait at most; None waits without limit.

        Raises:
            StillPending: the request is not stored yet.
            NotAccepted: the request was given up and is not stored.
            OutcomeUnknown: the request was given up but may be stored.
            ProducerClosed: the parent process sent it before the fork, and only the parent knows the outcome.
        """
        outcome = self._outcome
        if type(outcome) is Acknowledged:
            return outcome  # most often so, where many are waited for one after the other
        if outcome is None:
            self._wait_for(self.done, timeout)
        return self._acknowledged()

    @property
    def has_ended(self) -> bool:
        """Whether `result` need not wait."""
        return self._outcome is not None or self._keeper.is_gone

    @property
    def has_news(self) -> bool:
        """Whether `reply` need not wait."""
        return True  # it raises

    def reply(self, timeout: float | None = None) -> Reply:
        """Waits for the request's reply and returns it: accepted, rejected or quarantined.

        Args:
            timeout: seconds to wait at most; None waits without limit.

        Raises:
            StillPending: no reply has come yet.
            NotAccepted: the request was given up before it reached the stream.
            ProducerClosed: the parent process sent it before the fork.
            RuntimeError: the request was sent without `reply=True`.
            botocore.exceptions.ClientError: the replies cannot be received.
        """
        raise RuntimeError("send it with reply=True to wait for its reply")

    def _wait_for(self, holds: Callable[[], object], timeout: float | None) -> None:
        keeper = self._keeper
        keeper.news.wait_for(lambda: holds() or keeper.is_gone, timeout)
        if keeper.is_gone and not holds():
            raise keeper.closed()


class AwaitedHandle(Handle, eq=False, gc=True, weakref=True):
    """A handle that awaits a reply. Its listener holds it weakly, so a dropped handle is awaited no more."""

    _listener: Listener
    _sent: Sent | None = None
    """Makes the span of the reply, if the request is traced."""
    _heard: Reply | None = None

    @property
    def has_news(self) -> bool:
        """Whether `reply` need not wait."""
        return self._listener.has_news_of(self) or self._is_lost or self._keeper.is_gone

    def reply(self, timeout: float | None = None) -> Reply:
        """Waits for the reply, as `Handle.reply` says."""
        if self._heard is not None:
            return self._heard
        listener = self._listener
        self._wait_for(lambda: listener.has_news_of(self) or self._is_lost, timeout)
        reply = listener.reply_to(self)
        if reply is None and self._is_lost:
            self._acknowledged()
        if reply is None:
            raise StillPending(1, why=unanswered(is_stored=self._outcome is not None, hears=listener.has_heard))
        return reply

    def _hear(self, reply: Reply) -> None:
        self._heard = reply
        if self._sent is not None:
            self._sent.heard(reply)


class AsyncHandle(Unique, msgspec.Struct, frozen=True, eq=False, weakref=True):
    """A request that was sent. Awaiting it, in any event loop, waits until the request is stored."""

    _handle: Handle
    _loops: Loops

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    def __await__(self) -> Generator[None, None, Acknowledged]:
        return self.result().__await__()

    @property
    def id(self) -> str:
        """The request's id."""
        return self._handle.id

    def done(self) -> bool:
        """Whether it has been acknowledged or given up."""
        return self._handle.done()

    async def result(self) -> Acknowledged:
        """Waits until the request is stored. Returns its record's shard and sequence number.

        Raises:
            NotAccepted: the request was given up and is not stored.
            OutcomeUnknown: the request was given up but may be stored.
            ProducerClosed: the parent process sent it before the fork, and only the parent knows the outcome.
        """
        await self._loops.wait_for(lambda: self._handle.has_ended)
        return self._handle.result(0)

    async def reply(self) -> Reply:
        """Waits for the request's reply and returns it: accepted, rejected or quarantined.

        Raises:
            NotAccepted: the request was given up before it reached the stream.
            ProducerClosed: the parent process sent it before the fork.
            RuntimeError: the request was sent without `reply=True`.
            botocore.exceptions.ClientError: the replies cannot be received.
        """
        while True:
            try:
                return self._handle.reply(0)
            except StillPending:
                await self._loops.wait_for(lambda: self._handle.has_news)
