"""The producer for asyncio: `Producer` with awaitable methods.

Room: SDK, I/O. One idea: what `Producer` has, awaitable. All decisions are made in `scheduler.py` and `core.py`. The
producer's own threads do the work, so a busy event loop or executor does not delay it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from tidemill.content.bucket import named
from tidemill.errors import ProducerClosed
from tidemill.handle import AsyncHandle
from tidemill.lifetime import Flush, Lifetime
from tidemill.producer import Producer
from tidemill.runtime.loops import Loops, in_a_thread
from tidemill.runtime.processes import Unique
from tidemill.sending.claims import ToUpload

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, Unpack

    from types_boto3_kinesis import KinesisClient
    from types_boto3_s3 import S3Client

    from tidemill.content.photo_source import Photo
    from tidemill.content.upload import Uploaded
    from tidemill.contract.request import ClaimCheck, Document, Reply, Request
    from tidemill.delivery.keeper import Keeper
    from tidemill.delivery.observer import Observer
    from tidemill.delivery.settings import Settings
    from tidemill.handle import Handle
    from tidemill.replies.reader import ReplySource
    from tidemill.sending.tally import Stats

T = TypeVar("T")


class AsyncProducer(Unique):
    """Sends requests to a stream: `Producer` for asyncio.

        async with AsyncProducer("requests", client="alice") as producer:
            handle = await producer.send("content.view", key="content/42")
            await handle

    The arguments are those of `Producer`. Its own threads do the work, and several event loops may use it. If its loop
    ends before it is closed, the buffered requests are sent when the process ends.

    Raises:
        TypeError, ValueError: an argument is not what `Producer` takes.
    """

    def __init__(
        self,
        stream: str,
        *,
        kinesis: KinesisClient | None = None,
        replies: str | ReplySource | None = None,
        s3: S3Client | None = None,
        observer: Observer | None = None,
        check: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        self._lifetime = lifetime = Lifetime(observer, settings)
        self._step = _Step(lifetime)
        self._connect = partial(lifetime.connect, stream, kinesis, replies, s3, check)
        self._is_entered = self._is_entering = self._closed = False
        self._known: tuple[Keeper, Loops] | None = None

    @property
    def writer(self) -> str:
        """The writer id of its requests."""
        return self._step.writer

    def stats(self) -> Stats:
        """The counts of what it has done so far."""
        return self._lifetime.stats() if self._is_entered else self._lifetime.core.stats(monotonic())

    async def __aenter__(self) -> Self:
        """Makes the client and checks the stream.

        Raises:
            Misconfigured: there is no region, no credentials or no such stream, or the stream keeps no order.
            ProducerClosed: it has been closed.
            RuntimeError: its block has been entered before.
        """
        if self._closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if self._is_entered or self._is_entering:
            raise RuntimeError("its block has been entered; send within that, or make a producer for each block")
        self._is_entering = True
        try:
            await in_a_thread(self._connect, lambda _: self._lifetime.close(0))  # closed if the caller was cancelled
        except BaseException:
            self._closed = True
            raise
        self._is_entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the producer. If the block raised an error, unsent requests become a note on that error."""
        self._closed = True
        await in_a_thread(partial(self._step.__exit__, kind, error, trace))

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
        """Buffers a request for sending, and returns. If too much is pending, `when_full` decides.

        The arguments and errors are those of `Producer.send`.
        """
        send = self._step.send

        def sending(data: Any) -> Callable[[], Handle]:
            return lambda: send(cmd, key=key, data=data, client=client, id=id, at=at, ttl=ttl, reply=reply)

        try:
            return await self._sent(sending(data))
        except ToUpload as large:
            return await self._sent(sending(await self._upload(large)))

    async def put(self, request: Request) -> AsyncHandle:
        """Replays a request: sends it with its own id, writer and counter. `Producer.put` says more.

        The errors are those of `send`.
        """
        try:
            return await self._sent(lambda: self._step.put(request))
        except ToUpload as large:
            checked = replace(request, data={}, ref=await self._upload(large))
            return await self._sent(lambda: self._step.put(checked))

    async def request(self, cmd: str, *, key: str, data: Document | None = None, timeout: float | None = None) -> Reply:
        """Sends a request and waits `timeout` seconds at most for its reply; then gives the request up if it can.

        Raises:
            TimeoutError: no reply came in time.
            UnsendableRequest, BufferFull, ProducerClosed, NotAccepted: as `send` and `AsyncHandle.reply` raise them.
        """
        async with asyncio.timeout(timeout):
            handle = await self.send(cmd, key=key, data=data, ttl=timeout, reply=True)
            try:
                return await handle.reply()
            except asyncio.CancelledError:
                self._lifetime.listens().give_up(handle._handle)
                raise

    async def upload(
        self,
        photo: Photo,
        *,
        key: str,
        content_type: str | None = None,
        with_place: bool = False,
        progress: Callable[[int, int, str | None], None] | None = None,
        resume: str | None = None,
    ) -> Uploaded:
        """Uploads a photo to the content bucket, and waits until it is there. `Producer.upload` says more.

            await producer.upload("beach.jpg", key="content/42")
            await producer.send("content.publish", key="content/42", data={"title": "The beach"})

        The arguments and errors are those of `Producer.upload`; `progress` is called in the event loop. After a
        cancellation no further part is sent; the upload goes on with the token that progress was told.
        """
        loops, lifetime = self._entered(), self._lifetime
        bucket, news = self._step._uploads()
        opened = partial(bucket.upload, photo, key, content_type, with_place, resume, news.tell)
        return await bucket.upload_awaited(opened, loops, news, lambda: lifetime.is_closed, progress)

    async def flush(self, timeout: float | None = None) -> None:
        """Sends all buffered requests and waits until they are acknowledged.

        Raises:
            StillPending: it took longer than `timeout` seconds; has the number of unacknowledged requests.
            NotAccepted, OutcomeUnknown: requests were given up, and no handle's `result` has raised that yet.
        """
        end = inf if timeout is None else monotonic() + timeout
        flush = await in_a_thread(partial(Flush, self._lifetime, end))
        with suppress(TimeoutError):
            async with asyncio.timeout(None if timeout is None else end - monotonic()):
                await self._loops.wait_for(flush.has_settled)
        flush.check()

    async def close(self, timeout: float | None = None) -> None:
        """Flushes and ends. Requests not acknowledged after `timeout` seconds are given up, or stay in the spool.

        Args:
            timeout: seconds; None takes `close_timeout`, `inf` waits without limit.

        Raises:
            StillPending, NotAccepted, OutcomeUnknown: as `Producer.close` raises them.
        """
        self._closed = True
        if self._is_entered:
            await in_a_thread(partial(self._lifetime.close, timeout))
        else:
            self._lifetime.core.end()

    @property
    def _loops(self) -> Loops:
        keeper = self._lifetime.keeper
        if self._known is None or self._known[0] is not keeper:  # the keeper is another one after a fork
            self._known = keeper, Loops(keeper.news)
        return self._known[1]

    def _entered(self) -> Loops:
        """The loops of a producer that takes requests.

        Raises:
            ProducerClosed, RuntimeError: it takes none.
        """
        if self._closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if not self._is_entered:
            raise RuntimeError("enter its block first: async with AsyncProducer(...) as producer")
        return self._loops

    async def _upload(self, large: ToUpload) -> ClaimCheck:
        self._step._check_room()
        return await in_a_thread(partial(named(self._lifetime.bucket).store, large.ref, large.body))

    async def _sent(self, send: Callable[[], Handle]) -> AsyncHandle:
        while True:
            loops, news = self._entered(), self._lifetime.keeper.news
            told = news.told
            try:
                return AsyncHandle(send(), loops)
            except _NoRoom:
                await loops.wait_for(lambda: news.told != told)  # noqa: B023 - the wait ends before the variables change


class _NoRoom(BaseException):
    """There is no room for a request, and its sender has to wait. No Exception, for it is no failure of `send`."""


class _Step(Producer):
    """A producer that raises `_NoRoom` or `ToUpload` instead of waiting: its senders wait in their event loop."""

    def __init__(self, lifetime: Lifetime) -> None:
        self._lifetime = lifetime

    def _upload(self, large: ToUpload) -> ClaimCheck:
        raise large

    def _ask_until(self, keeper: Keeper, work: Callable[[], T | None]) -> T:
        taken = keeper.ask(work)
        if not taken:
            raise _NoRoom
        return taken
