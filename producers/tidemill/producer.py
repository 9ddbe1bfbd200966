"""The producer: what its users call. Its core is driven by `keeper.py`.

Room: SDK, I/O. Every decision is `outbox.py`'s and `core.py`'s.

There is no lock here, and none must come: `send`, `flush`, `close` and handles may be called by any thread, and amid
any of themselves, by signal handlers, log handlers, observers and `__del__`. A request is taken by one step or not at
all, and whatever else the core has to do, the keeper does. Who waits, waits for a lock of its own (`waiting.py`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from time import monotonic, time_ns
from typing import TYPE_CHECKING, TypeVar, cast

from tidemill import processes
from tidemill.core import TTL, Core, Ticket
from tidemill.failures import BufferFull, GivenUp, ProducerClosed, StillPending
from tidemill.keeper import HEAD, WAKING_SIZE, Keeper
from tidemill.listener import Listener
from tidemill.request import decode
from tidemill.sendable import UnsendableRequest, to_payload
from tidemill.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, Unpack

    from types_boto3_kinesis import KinesisClient

    from tidemill.buffer import Acknowledged
    from tidemill.core import Settings
    from tidemill.listener import Hears
    from tidemill.metrics import Observer
    from tidemill.outbox import Stats
    from tidemill.request import Document, Reply, Request

T = TypeVar("T")

SPOOL_ELSEWHERE = (
    "the producer's spool is that of the process that this one is a copy of; "
    "make a producer with a spool of its own in each process, after the fork"
)

REPLIES_ELSEWHERE = (
    "the producer's replies are heard by the process that this one is a copy of; "
    "make a producer with a queue of its own in each process, after the fork"
)


class Handle(Ticket, eq=False):
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
            OutcomeUnknown: likewise, and it may be stored all the same.
            ProducerClosed: it was sent before this process was forked off: its outcome is known there alone.
        """
        if self._outcome is None:
            self._wait_for(self.done, timeout)
        return self._acknowledged()

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
            raise StillPending(1, "answered")
        return reply

    def _wait_for(self, holds: Callable[[], object], timeout: float | None) -> None:
        keeper = self._keeper
        keeper.news.wait_for(lambda: holds() or keeper.is_gone, timeout)
        if keeper.is_gone and not holds():
            raise keeper.closed()


class Producer:
    """Sends requests to a stream: aggregated, in the order of each key, at least once. Safe for threads.

        with Producer("requests", client="alice") as producer:
            producer.send("content.view", key="content/42")

    What was given up, and not asked for by `Handle.result`, is logged, and raised by `flush`, `close` and the end of
    the block.

    Args:
        stream: the stream's name or ARN.
        client: who sends: `Request.client` of all requests that name no other.
        kinesis: a boto3 Kinesis client. None makes one in the ARN's region, else AWS_REGION's; AWS_ENDPOINT_URL holds.
        replies: the URL of the client's queue of replies, or what hears them otherwise: for `send(reply=True)` and
            `request`. The producer takes all of its messages.
        spool: a `Spool`: what `send` accepted is in its file first, and is sent by the next producer on it if this one
            is killed. Calls that fail for good, such as without credentials, are then made again too.
        signer: signs each request, such as `tidemill.signature.Signer`.
        observer: is told of every call, such as `LogMetrics()`.
        ttl: seconds after which a request that is not acknowledged is given up, if `send` does not say.
        when_full: what `send` does when too much is pending: "wait", "raise" (BufferFull) or "drop_oldest".
        max_pending_bytes: that is too much. The spool has a limit of its own besides.
        aggregate: False makes every request a record of its own, for streams whose readers cannot unpack. A key then
            has one request in flight.
        lanes: number of lanes, a power of two up to 1,024: at least the number of shards. 64, or 512 unaggregated.
        record_bytes: size of a full record.
        linger: seconds that a request may wait for company.
        writer: the writer id; None makes one of 12 characters. One that has been used before needs `counter`:
            consumers take what comes under a counter already used for a repeat. The spool keeps both.
        counter: the highest counter that the writer has used.
        check: whether to look at the stream first. It needs no permission: who may not look is believed.

    Raises:
        Misconfigured: without a region or credentials, or the stream is missing or keeps no order.
        TypeError: `client` is not a str.
        ValueError: an argument out of its range.
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
        core = Core(monotonic(), **settings)
        try:
            self._wire = Wire(stream, kinesis)
            if check:
                self._wire.check()
        except BaseException:
            core.end()
            raise
        self._settings = settings
        self._observer = observer
        self._listener = Listener(replies, self._heard) if replies is not None else None
        self._keeper = Keeper(core, self._wire, observer)
        self._is_open = self._closed = self._has_ended = self._is_joining = False
        self._is_copy = False
        processes.look_after(self)
        if core.outbox.pending:
            self._open()

    @property
    def writer(self) -> str:
        """The writer id of its requests."""
        return self._keeper.core.writer.id

    def stats(self) -> Stats:
        """What it has done so far."""
        return self._ask(lambda: self._keeper.core.stats(monotonic()))

    def send(
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
    ) -> Handle:
        """Sends a request: buffers it and returns. When too much is pending it does as `when_full` says.

        Args:
            cmd: the command, such as `content.view`.
            key: the ordering key, which names the entity: 1 to 256 characters.
            data: the command's data, plain JSON.
            client: who sends it, if not the producer's client.
            id: its id, if it already has one; else a UUIDv7.
            at: the client's clock in milliseconds since 1970, if not now.
            ttl: seconds after which it is given up if it is not acknowledged, if not the producer's.
            reply: whether `Handle.reply` will be asked.

        Raises:
            UnsendableRequest: the contract does not allow it; names the field.
            BufferFull: too much is pending, and it is to raise.
            ProducerClosed: the producer has been closed.
            RuntimeError: a reply is wanted and the producer hears none.
            SpoolBroken: the spool cannot be written; the request is not accepted.
        """
        if not self._is_open:
            self._open()
        listener = self._listens() if reply else None
        if at is None:
            at = time_ns() // 1_000_000
        keeper = self._keeper
        core = keeper.core
        made, before, behind = core.writer.draft(cmd, key, data, client, id, at)
        if type(key) is not str:
            key = str.__str__(key)
        now = monotonic()
        if ttl is None:
            ttl = core.ttl
        elif not ttl > 0:
            raise UnsendableRequest("ttl", TTL)
        if core.outbox.pending_bytes + keeper.size >= core.max_pending_bytes:
            self._wait_for_room(keeper)
        handle = Handle(made, None, 0, keeper, listener)
        if listener is not None:
            listener.expect(handle)
        if core.is_plain or keeper.news.must_not_wait:
            keeper.inbox.put((handle, key, before, behind, now, now + ttl))  # from here on it is taken
            keeper.size += HEAD + len(behind)
            if keeper.end is not None or (keeper.naps and keeper.size > WAKING_SIZE):
                keeper.look_after(handle)
        else:
            self._ask_until(keeper, partial(keeper.keep, (handle, key, before, behind, now, now + ttl)))
        return handle

    def put(self, request: Request) -> Handle:
        """Sends a request as it is, with its own id, writer and counter: a replay.

        Raises:
            UnsendableRequest, BufferFull, ProducerClosed, SpoolBroken: as `send` does.
        """
        if not self._is_open:
            self._open()
        keeper = self._keeper
        payload = to_payload(request)
        request = decode(payload)  # plain values alone, for the keeper
        taken = self._ask_until(keeper, lambda: keeper.core.put(request, monotonic(), payload))
        return Handle(*taken, keeper, None)

    def request(self, cmd: str, *, key: str, data: Document | None = None, timeout: float | None = None) -> Reply:
        """Sends a request and waits for its reply, `timeout` seconds at most; after that it is given up if it can be.

        Raises:
            StillPending: it took longer.
            UnsendableRequest, BufferFull, ProducerClosed, NotAccepted: as `send` and `Handle.reply` do.
        """
        handle = self.send(cmd, key=key, data=data, ttl=timeout, reply=True)
        try:
            return handle.reply(timeout)
        except StillPending:
            self._listens().give_up(handle)
            raise

    def flush(self, timeout: float | None = None) -> None:
        """Sends what has been buffered and waits until it is acknowledged.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            StillPending: it took longer; says how many requests are not acknowledged.
            NotAccepted, OutcomeUnknown: requests were given up, and nobody has asked their handles.
        """
        keeper = self._keeper
        records = self._ask(lambda: keeper.core.outbox.flush(monotonic()))
        if not keeper.news.wait_for(lambda: all(record.outcome for record in records) or keeper.is_gone, timeout):
            raise StillPending(sum(record.count for record in records if not record.outcome))
        if not all(record.outcome for record in records):
            raise keeper.closed()
        refusal = self._ask(keeper.core.take_refusal)
        if refusal:
            raise refusal

    def close(self, timeout: float | None = None) -> None:
        """Flushes and ends. What is not acknowledged after `timeout` seconds is given up, or stays in the spool.

        Raises:
            StillPending: something was not acknowledged in time.
            NotAccepted, OutcomeUnknown: requests were given up, and nobody has asked their handles.
        """
        self._closed = True
        self._is_open = False
        if self._has_ended:
            return
        keeper = self._keeper
        self._ask(keeper.news.tell)  # those who wait for room
        try:
            self.flush(timeout)
        except (GivenUp, StillPending):
            self._stop()
            raise
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except GivenUp:
            if error is None:
                raise  # else it is in the log, and the block's own error matters more

    def _listens(self) -> Listener:
        if self._is_copy and self._listener is not None:
            raise RuntimeError(REPLIES_ELSEWHERE)
        if self._listener is None:
            raise RuntimeError("the producer hears no replies; give it the URL of the client's queue as replies=")
        return self._listener

    def _heard(self) -> None:
        self._keeper.news.tell()

    def _open(self) -> None:
        """Starts, at the first request.

        Raises:
            ProducerClosed: it has ended.
        """
        if self._closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if self._is_copy and self._settings.get("spool") is not None:
            raise ProducerClosed(SPOOL_ELSEWHERE)
        self._keeper.start()
        processes.at_exit(self._close_at_exit)  # one that nobody closed still sends what it has
        self._is_open = True

    def _ask(self, work: Callable[[], T]) -> T:
        """What the core gives: by its keeper, while there is one."""
        keeper = self._keeper
        if not keeper.is_gone:
            with suppress(ProducerClosed):
                return keeper.ask(work)
        return work()

    def _ask_until(self, keeper: Keeper, work: Callable[[], T | None]) -> T:
        """What the core gives once it has room."""
        while True:
            told = keeper.news.told
            taken = keeper.ask(work)
            if taken:
                return taken
            keeper.news.wait_for(lambda: keeper.news.told != told)  # noqa: B023
            if not self._is_open:
                self._open()

    def _wait_for_room(self, keeper: Keeper) -> None:
        if not keeper.news.must_not_wait:
            self._ask_until(keeper, keeper.core.make_room)
        elif not keeper.core.drops:
            raise BufferFull("there is no room, and a producer's own threads do not wait for it")

    # ---- the end

    def _close_at_exit(self) -> None:
        self.close(0 if self._keeper.core.is_patient else None)

    def _stop(self) -> None:
        """Ends it. Whoever is interrupted here, or comes amid it, may do it again."""
        self._keeper.stop()
        if not self._is_joining:  # a thread must not be waited for amid waiting for it
            self._is_joining = True
            try:
                self._keeper.join()
            finally:
                self._is_joining = False
        processes.not_at_exit(self._close_at_exit)
        if self._listener is not None and not self._is_copy:
            self._listener.close()
        self._wire.close()
        self._has_ended = True

    # ---- in a copy of the process

    def begin_again(self, *, forked: bool) -> None:
        """Makes it a producer of its own in a copy of its process: another writer, nothing buffered, no connections."""
        if forked:
            self._keeper.leave("it was sent by another process, before this one was forked off; ask there")
        else:
            self._keeper.retire()
        self._is_copy = True
        self._is_open = False
        settings = {**self._settings, "writer": None, "counter": 0, "spool": None}
        self._wire.begin_again()
        self._keeper = Keeper(Core(monotonic(), **cast("Settings", settings)), self._wire, self._observer)
