"""The producer for asyncio: the same core, driven by an event loop.

Room: SDK, I/O. Every decision is `outbox.py`'s and `core.py`'s; boto3 waits in threads, for it knows no event loop.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic, time_ns
from typing import TYPE_CHECKING

from tidemill import processes
from tidemill.buffer import Call
from tidemill.core import Core, Ticket
from tidemill.failures import GivenUp, ProducerClosed, StillPending
from tidemill.listener import Listener
from tidemill.metrics import call_made, tell, tell_of_change
from tidemill.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType
    from typing import Self, Unpack

    from types_boto3_kinesis import KinesisClient

    from tidemill.buffer import Acknowledged
    from tidemill.core import Settings
    from tidemill.listener import Hears
    from tidemill.metrics import Observer
    from tidemill.outbox import Stats
    from tidemill.request import Document, Reply, Request


class AsyncHandle(Ticket, eq=False):
    """A request on its way. Awaiting it waits until the request is stored.

    Attributes:
        id: the request's id.
    """

    _news: _News
    _listener: Listener | None

    def __await__(self) -> Generator[None, None, Acknowledged]:
        return self.result().__await__()

    async def result(self) -> Acknowledged:
        """Waits until the request is stored: the shard and the sequence number of its record.

        Raises:
            NotAccepted: it was given up.
            OutcomeUnknown: likewise, and it may be stored all the same.
        """
        await self._news.wait_for(self.done)
        return self._acknowledged()

    async def reply(self) -> Reply:
        """Waits until the request has been applied, or not: what became of it.

        Raises:
            NotAccepted: it was given up before it reached the stream.
            RuntimeError: it was sent without `reply=True`.
            botocore.exceptions.ClientError: the replies cannot be heard.
        """
        listener = self._listener
        if listener is None:
            raise RuntimeError("send it with reply=True to wait for its reply")
        while True:
            await self._news.wait_for(lambda: listener.has_news_of(self) or self._is_lost)
            reply = listener.reply_to(self)
            if reply is not None:
                return reply
            if self._is_lost:
                self._acknowledged()


class AsyncProducer:
    """Sends requests to a stream, as `Producer` does, for asyncio.

        async with AsyncProducer("requests", client="alice") as producer:
            handle = await producer.send("content.view", key="content/42")
            await handle

    Its arguments are those of `Producer`. It belongs to the event loop in which its block is entered.

    Raises:
        TypeError, ValueError: an argument is not what `Producer` takes.
    """

    def __init__(
        self,
        stream: str,
        *,
        kinesis: KinesisClient | None = None,
        replies: str | Hears | None = None,
        observer: Observer | None = None,
        check: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        self._stream = stream
        self._kinesis = kinesis
        self._replies = replies
        self._check = check
        self._core = Core(monotonic(), **settings)
        self._observer = observer
        self._news = _News()
        self._work = asyncio.Event()
        self._sleeps_until = -inf
        self._closed = False
        self._wire: Wire | None = None
        self._listener: Listener | None = None
        self._sender: asyncio.Task[None] | None = None
        self._is_copy = False
        processes.look_after(self)

    @property
    def writer(self) -> str:
        """The writer id of its requests."""
        return self._core.writer.id

    def stats(self) -> Stats:
        """What it has done so far."""
        return self._core.stats(monotonic())

    async def __aenter__(self) -> Self:
        """Makes the client and looks at the stream.

        Raises:
            Misconfigured: without a region or credentials, or the stream is missing or keeps no order.
        """
        try:
            self._wire = await asyncio.to_thread(Wire, self._stream, self._kinesis)
            if self._check:
                await asyncio.to_thread(self._wire.check)
        except BaseException:
            self._core.end()
            raise
        if self._replies is not None:
            loop = asyncio.get_running_loop()
            self._listener = Listener(self._replies, partial(self._tell, loop))
        self._sender = asyncio.create_task(self._run(self._wire), name="tidemill-producer")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.close()
        except GivenUp:
            if error is None:
                raise  # else it is in the log, and the block's own error matters more

    async def send(
        self,
        cmd: str,
        *,
        key: str,
        data: Document | None = None,
        client: str | None = None,
        id: str | None = None,  # noqa: A002 - the contract's own name
        at: int | None = None,
        ttl: float | None = None,
        reply: bool = False,
    ) -> AsyncHandle:
        """Sends a request: buffers it and returns. When too much is pending it does as `when_full` says.

        Args and errors are those of `Producer.send`.
        """
        listener = self._listens() if reply else None
        if at is None:
            at = time_ns() // 1_000_000
        core = self._core
        self._check_open()
        while (taken := core.send(cmd, key, data, client, id, at, ttl, monotonic())) is None:
            await self._wait_for_room()
        handle = AsyncHandle(*taken, self._news, listener)
        if listener is not None:
            listener.expect(handle)
        if core.outbox.due < self._sleeps_until:
            self._wake()
        return handle

    async def put(self, request: Request) -> AsyncHandle:
        """Sends a request as it is, with its own id, writer and counter: a replay. Errors as `send` has them."""
        self._check_open()
        while (taken := self._core.put(request, monotonic())) is None:
            await self._wait_for_room()
        if self._core.outbox.due < self._sleeps_until:
            self._wake()
        return AsyncHandle(*taken, self._news, None)

    async def request(self, cmd: str, *, key: str, data: Document | None = None, timeout: float | None = None) -> Reply:
        """Sends a request and waits for its reply, `timeout` seconds at most; after that it is given up if it can be.

        Raises:
            TimeoutError: it took longer.
            UnsendableRequest, BufferFull, ProducerClosed, NotAccepted: as `send` and `AsyncHandle.reply` do.
        """
        async with asyncio.timeout(timeout):
            handle = await self.send(cmd, key=key, data=data, ttl=timeout, reply=True)
            try:
                return await handle.reply()
            except asyncio.CancelledError:
                self._listens().give_up(handle)
                raise

    async def flush(self, timeout: float | None = None) -> None:
        """Sends what has been buffered and waits until it is acknowledged.

        Raises:
            StillPending: it took longer than `timeout` seconds; says how many requests are not acknowledged.
            NotAccepted, OutcomeUnknown: requests were given up, and nobody has asked their handles.
        """
        records = self._core.outbox.flush(monotonic())
        self._wake()
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait_for(lambda: all(record.outcome for record in records))
        except TimeoutError:
            raise StillPending(sum(record.count for record in records if not record.outcome)) from None
        refusal = self._core.take_refusal()
        if refusal:
            raise refusal

    async def close(self, timeout: float | None = None) -> None:
        """Flushes and ends. What is not acknowledged after `timeout` seconds is given up, or stays in the spool.

        Raises:
            StillPending, NotAccepted, OutcomeUnknown: as `flush` does.
        """
        if self._closed:
            return
        self._closed = True
        self._news.tell()
        try:
            if self._sender is not None:
                await self.flush(timeout)
        finally:
            await self._stop()

    def _listens(self) -> Listener:
        if self._listener is None:
            raise RuntimeError("the producer hears no replies; give it the URL of the client's queue as replies=")
        return self._listener

    def begin_again(self, *, forked: bool) -> None:
        """In a copy of its process it ends: it belongs to an event loop, and that to a process."""
        self._is_copy = True

    def _check_open(self) -> None:
        if self._is_copy:
            raise ProducerClosed("the producer is that of the process that this one is a copy of; make one here")
        if self._closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if self._sender is None:
            raise RuntimeError("enter its block first: async with AsyncProducer(...) as producer")

    async def _wait_for_room(self) -> None:
        if self._core.outbox.due < self._sleeps_until:
            self._wake()
        await self._news.wait()
        self._check_open()

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tells all who wait, from another thread."""
        loop.call_soon_threadsafe(self._news.tell)

    def _tell_observer(self) -> None:
        if self._observer:
            tell_of_change(self._observer, self.stats())

    def _wake(self) -> None:
        self._sleeps_until = -inf
        self._work.set()

    async def _run(self, wire: Wire) -> None:
        while True:
            call = await self._wait_for_call()
            began = monotonic()
            answer = await asyncio.to_thread(wire.put, call)
            wire.warn(call, answer, self._core.is_patient)
            now = monotonic()
            made = call_made(call, answer, now - began, self.stats()) if self._observer else None
            self._core.settle(call, answer, now)
            self._core.take_news()
            self._news.tell()
            if made and self._observer:
                tell(self._observer, made._replace(stats=self.stats()))

    async def _wait_for_call(self) -> Call:
        while True:
            now = monotonic()
            call = self._core.next_call(now)
            if self._core.take_news():
                self._news.tell()
                self._tell_observer()
            if isinstance(call, Call):
                return call
            self._sleeps_until = call
            self._work.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), None if call == inf else max(0.0, call - now))
            self._sleeps_until = -inf

    async def _stop(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        self._core.end()
        self._news.tell()
        self._tell_observer()
        if self._listener is not None:
            await asyncio.to_thread(self._listener.close)
        if self._wire is not None:
            self._wire.close()


class _News:
    """Wakes all who wait for something to have happened."""

    def __init__(self) -> None:
        self._happened = asyncio.Event()

    def tell(self) -> None:
        """Something has happened."""
        self._happened.set()
        self._happened = asyncio.Event()

    async def wait(self) -> None:
        """Waits until something happens."""
        await self._happened.wait()

    async def wait_for(self, holds: Callable[[], bool]) -> None:
        """Waits until something holds."""
        while not holds():
            await self.wait()
