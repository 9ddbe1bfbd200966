"""The producer: what its users call. It is connected and closed by `lifetime.py`, its core driven by `keeper.py`.

Room: SDK, I/O. Every decision is `scheduler.py`'s and `core.py`'s.

There is no lock here, and none must come: `send`, `flush`, `close` and handles may be called by any thread, and amid
any of themselves, by signal handlers, log handlers, observers and `__del__`. A request is taken by one step or not at
all, and whatever else the core has to do, the keeper does. Who waits, waits for a lock of its own (`waiting.py`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic, time_ns
from typing import TYPE_CHECKING, TypeVar

from tidemill.contract.request import decode
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill.delivery.inbox import HEAD, WAKING_SIZE
from tidemill.errors import BufferFull, GivenUp, ProducerClosed, StillPending
from tidemill.handle import AwaitedHandle, Handle
from tidemill.lifetime import Flush, Lifetime
from tidemill.runtime.processes import Unique

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, Unpack

    from types_boto3_kinesis import KinesisClient

    from tidemill.contract.request import Document, Reply, Request
    from tidemill.delivery.keeper import Keeper
    from tidemill.delivery.observer import Observer
    from tidemill.delivery.settings import Settings
    from tidemill.replies.reader import ReplySource
    from tidemill.sending.tally import Stats

T = TypeVar("T")


class Producer(Unique):
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
        signer: signs each request, such as `tidemill.Signer`.
        observer: is told of every call, such as `LogMetrics()`.
        ttl: seconds after which a request that is not acknowledged is given up, if `send` does not say.
        when_full: what `send` does when too much is pending: "wait", "raise" (BufferFull) or "drop_oldest".
        max_pending_bytes: that is too much. The spool has a limit of its own besides.
        aggregate: False makes every request a record of its own, for streams whose readers cannot unpack. A key then
            has one request in flight.
        lanes: number of lanes, a power of two up to 1,024: at least the number of shards. 64, or 512 unaggregated.
        record_bytes: size of a full record.
        linger: seconds that a request may wait for company.
        close_timeout: seconds that closing takes at most, and a second or two: by `close`, the end of the block, or as
            the process ends. What is not acknowledged by then is told by count, and given up or kept by the spool.
        writer: the writer id; None makes one of 12 characters. One that has been used before needs `counter`:
            consumers take what comes under a counter already used for a repeat. The spool keeps both.
        counter: the highest counter that the writer has used.
        check: whether to look at the stream first. It needs no permission: who may not look is believed.

    Raises:
        Misconfigured: without a region or credentials, or the stream is missing or keeps no order.
        TypeError: `client` is not a str.
        ValueError: an argument out of its range, or a spool that is closed.
        SpoolInUse: another producer has the spool.
    """

    def __init__(
        self,
        stream: str,
        *,
        kinesis: KinesisClient | None = None,
        replies: str | ReplySource | None = None,
        observer: Observer | None = None,
        check: bool = True,
        **settings: Unpack[Settings],
    ) -> None:
        self._lifetime = Lifetime(observer, settings)
        self._lifetime.connect(stream, kinesis, replies, check)

    @property
    def writer(self) -> str:
        """The writer id of its requests."""
        return self._lifetime.core.writer.id

    def stats(self) -> Stats:
        """What it has done so far.

        Where a signer or a disk holds its thread up for more than a second: as far as can be seen from here, without
        the requests that this thread has not taken yet.
        """
        return self._lifetime.stats()

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
            ProducerClosed: the producer has been closed, or the process has ended all of them.
            RuntimeError: a reply is wanted and the producer hears none.
            SpoolBroken: the spool cannot be written; the request is not accepted.
        """
        lifetime = self._lifetime
        if not lifetime.is_open:
            lifetime.open()
        listener = lifetime.listens() if reply else None
        if at is None:
            at = time_ns() // 1_000_000
        keeper = lifetime.keeper
        core, inbox = keeper.core, keeper.inbox
        made, before, behind = core.writer.draft(cmd, key, data, client, id, at)
        if type(key) is not str:
            key = str.__str__(key)
        now = monotonic()
        if ttl is None:
            ttl = core.ttl
        elif not ttl > 0:
            raise UnsendableRequest("ttl", "use seconds, more than 0")
        if core.tally.pending_bytes + inbox.size >= core.max_pending_bytes:
            self._wait_for_room(keeper)
        if listener is None:
            handle = Handle(made, None, 0, keeper, None)
        else:
            handle = AwaitedHandle(made, None, 0, keeper, listener)
            listener.expect(handle)
        if core.is_plain or keeper.news.must_not_wait:
            inbox.put((handle, key, before, behind, now, now + ttl))  # from here on it is taken
            inbox.size += HEAD + len(behind)
            if keeper.end is not None or (inbox.naps and inbox.size > WAKING_SIZE):
                keeper.look_after(handle)
        else:
            self._ask_until(keeper, partial(inbox.keep, (handle, key, before, behind, now, now + ttl)))
        return handle

    def put(self, request: Request) -> Handle:
        """Sends a request as it is, with its own id, writer and counter: a replay.

        Raises:
            UnsendableRequest, BufferFull, ProducerClosed, SpoolBroken: as `send` does.
        """
        lifetime = self._lifetime
        if not lifetime.is_open:
            lifetime.open()
        keeper = lifetime.keeper
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
            self._lifetime.listens().give_up(handle)
            raise

    def flush(self, timeout: float | None = None) -> None:
        """Sends what has been buffered and waits until it is acknowledged.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            StillPending: it took longer; says how many requests are not acknowledged.
            NotAccepted, OutcomeUnknown: requests were given up, and nobody has asked their handles.
        """
        Flush(self._lifetime, inf if timeout is None else monotonic() + timeout).wait()

    def close(self, timeout: float | None = None) -> None:
        """Flushes and ends. What is not acknowledged after `timeout` seconds is given up, or stays in the spool.

        Args:
            timeout: seconds; None takes `close_timeout`, `inf` waits for as long as it takes.

        Raises:
            StillPending: something was not acknowledged in time; says how much, and what became of it.
            NotAccepted, OutcomeUnknown: requests were given up, and nobody has asked their handles.
        """
        self._lifetime.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it. The block's own error is the one that is raised; what was not sent is a note to it."""
        try:
            self._lifetime.close(None, error)
        except (GivenUp, StillPending, ProducerClosed) as unsent:
            if error is None:
                raise
            with suppress(TypeError):  # one whose notes are none
                error.add_note(f"and the producer: {unsent}")

    def _ask_until(self, keeper: Keeper, work: Callable[[], T | None]) -> T:
        """What the core gives once it has room."""
        while True:
            told = keeper.news.told
            taken = keeper.ask(work)
            if taken:
                return taken
            keeper.news.wait_for(lambda: keeper.news.told != told)  # noqa: B023
            if not self._lifetime.is_open:
                self._lifetime.open()

    def _wait_for_room(self, keeper: Keeper) -> None:
        if not keeper.news.must_not_wait:
            self._ask_until(keeper, keeper.core.make_room)
        elif not keeper.core.drops:
            raise BufferFull("there is no room, and a producer's own threads do not wait for it")
