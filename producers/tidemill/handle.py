"""Handles: what whoever sent a request holds of it, to wait for its outcome and its reply.

Room: SDK. No I/O: the keeper and the listener, which they wait for, do that.
Tests: tests/producers/tidemill/test_producer.py, and test_aio.py for AsyncHandle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tidemill.delivery.ticket import Ticket
from tidemill.errors import StillPending, unanswered
from tidemill.runtime.processes import Unique

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tidemill.contract.request import Reply
    from tidemill.delivery.keeper import Keeper
    from tidemill.replies.listener import Listener
    from tidemill.runtime.loops import Loops
    from tidemill.sending.records import Acknowledged


class Handle(Unique, Ticket, eq=False, gc=False):
    """A request on its way.

    Attributes:
        id: the request's id.
    """

    _keeper: Keeper
    _listener: Listener | None

    def result(self, timeout: float | None = None) -> Acknowledged:
        """Waits until the request is stored: the shard and the sequence number of its record.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            StillPending: it took longer.
            NotAccepted: it was given up.
            OutcomeUnknown: it was given up, and may be stored all the same.
            ProducerClosed: it was sent before this process was forked off: its outcome is known there alone.
        """
        if self._outcome is None:
            self._wait_for(self.done, timeout)
        return self._acknowledged()

    @property
    def has_ended(self) -> bool:
        """Whether `result` need not wait."""
        return self._outcome is not None or self._keeper.is_gone

    @property
    def has_news(self) -> bool:
        """Whether `reply` need not wait."""
        listener = self._listener
        return listener is None or listener.has_news_of(self) or self._is_lost or self._keeper.is_gone

    def reply(self, timeout: float | None = None) -> Reply:
        """Waits until the request has been applied, or not: what became of it.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            StillPending: it took longer.
            NotAccepted: it was given up before it reached the stream.
            ProducerClosed: it was sent before this process was forked off.
            RuntimeError: it was sent without `reply=True`.
            botocore.exceptions.ClientError: the replies cannot be heard.
        """
        listener = self._listener
        if listener is None:
            raise RuntimeError("send it with reply=True to wait for its reply")
        self._wait_for(lambda: listener.has_news_of(self) or self._is_lost, timeout)
        reply = listener.reply_to(self)
        if reply is None and self._is_lost:
            self._acknowledged()
        if reply is None:
            raise StillPending(1, why=unanswered(is_stored=self._outcome is not None, hears=listener.has_heard))
        return reply

    def _wait_for(self, holds: Callable[[], object], timeout: float | None) -> None:
        keeper = self._keeper
        keeper.news.wait_for(lambda: holds() or keeper.is_gone, timeout)
        if keeper.is_gone and not holds():
            raise keeper.closed()


class AwaitedHandle(Handle, eq=False, gc=True, weakref=True):
    """A handle whose reply is heard, as long as somebody holds it: its listener does so weakly."""


class AsyncHandle(Unique, msgspec.Struct, frozen=True, eq=False, weakref=True):
    """A request on its way. Awaiting it waits until the request is stored; any event loop may do so."""

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
        """Waits until the request is stored: the shard and the sequence number of its record.

        Raises:
            NotAccepted: it was given up.
            OutcomeUnknown: it was given up, and may be stored all the same.
            ProducerClosed: it was sent before this process was forked off: its outcome is known there alone.
        """
        await self._loops.wait_for(lambda: self._handle.has_ended)
        return self._handle.result(0)

    async def reply(self) -> Reply:
        """Waits until the request has been applied, or not: what became of it.

        Raises:
            NotAccepted: it was given up before it reached the stream.
            ProducerClosed: it was sent before this process was forked off.
            RuntimeError: it was sent without `reply=True`.
            botocore.exceptions.ClientError: the replies cannot be heard.
        """
        while True:
            try:
                return self._handle.reply(0)
            except StillPending:
                await self._loops.wait_for(lambda: self._handle.has_news)
