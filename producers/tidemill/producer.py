"""The producer: what its users call. Its core is driven by `keeper.py`.

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
from typing import TYPE_CHECKING, TypeVar, cast

from tidemill.contract.request import decode
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill.delivery.core import Core, Ticket
from tidemill.delivery.keeper import HEAD, WAKING_SIZE, Keeper
from tidemill.delivery.put_records import Wire
from tidemill.errors import BufferFull, GivenUp, ProducerClosed, StillPending, unanswered
from tidemill.replies.listener import Listener
from tidemill.runtime import ending, processes
from tidemill.runtime.log import log
from tidemill.runtime.trouble import text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, Unpack

    from types_boto3_kinesis import KinesisClient

    from tidemill.contract.request import Document, Reply, Request
    from tidemill.delivery.core import Settings
    from tidemill.delivery.observer import Observer
    from tidemill.replies.listener import ReplySource
    from tidemill.sending.records import Acknowledged, Record
    from tidemill.sending.scheduler import Stats

ANSWER = 1.0
"""Seconds at least that an answer is waited for: the keeper's, and at the end that to a call on its way."""

SILENCE = 1.0
"""Seconds after which closing says that it waits."""

T = TypeVar("T")

SPOOL_ELSEWHERE = (
    "the producer's spool is that of the process that this one is a copy of; "
    "make a producer with a spool of its own in each process, after the fork"
)

REPLIES_ELSEWHERE = (
    "the producer's replies are heard by the process that this one is a copy of; "
    "make a producer with a queue of its own in each process, after the fork"
)


class Handle(processes.Unique, Ticket, eq=False, gc=False):
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


class Producer(processes.Unique):
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
        signer: signs each request, such as `tidemill.contract.signature.Signer`.
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
        self._prepare(observer, settings)
        self._connect(stream, kinesis, replies, check)

    def _prepare(self, observer: Observer | None, settings: Settings) -> None:
        """All that touches no network.

        Raises:
            TypeError, ValueError: as the class says.
        """
        self._settings = settings
        self._observer = observer
        self._listener: Listener | None = None
        self._core = Core(monotonic(), **settings)
        self._is_open = self._closed = self._has_told = self._has_ended = self._is_joining = False
        self._is_copy = False
        self._ends_by = inf

    def _connect(
        self, stream: str, kinesis: KinesisClient | None, replies: str | ReplySource | None, check: bool
    ) -> None:
        """The rest.

        Raises:
            Misconfigured: as the class says.
        """
        core = self._core
        try:
            self._wire = Wire(stream, kinesis)
            if check:
                self._wire.check()
            self._listener = Listener(replies, self._heard) if replies is not None else None
            self._keeper = Keeper(core, self._wire, self._observer)
            processes.look_after(self)
            if core.scheduler.pending:
                self._open()
        except BaseException:
            core.end()
            raise

    @property
    def writer(self) -> str:
        """The writer id of its requests."""
        return self._core.writer.id

    def stats(self) -> Stats:
        """What it has done so far.

        Where a signer or a disk holds its thread up for more than a second: as far as can be seen from here, without
        the requests that this thread has not taken yet.
        """
        core = self._keeper.core
        try:
            return self._ask(lambda: core.stats(monotonic()), monotonic())
        except TimeoutError:
            return core.stats(monotonic())

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
            raise UnsendableRequest("ttl", "use seconds, more than 0")
        if core.scheduler.pending_bytes + keeper.size >= core.max_pending_bytes:
            self._wait_for_room(keeper)
        if listener is None:
            handle = Handle(made, None, 0, keeper, None)
        else:
            handle = AwaitedHandle(made, None, 0, keeper, listener)
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
        end = inf if timeout is None else monotonic() + timeout
        records = self._hurry(end)
        self._keeper.news.wait_for(lambda: self._has_settled(records), None if timeout is None else end - monotonic())
        self._check_settled(records, end)

    def _hurry(self, end: float) -> list[Record]:
        """Makes everything buffered due at once: the records that have not ended.

        Raises:
            StillPending: the keeper cannot even do that by `end`.
        """
        scheduler = self._keeper.core.scheduler
        if self._keeper.is_abandoned:
            return []
        try:
            return self._ask(lambda: scheduler.flush(monotonic()), end)
        except TimeoutError:
            raise StillPending(max(1, scheduler.pending)) from None

    def _has_settled(self, records: list[Record]) -> bool:
        """Whether there is nothing to wait for any more."""
        return self._keeper.is_gone or all(record.outcome for record in records)

    def _check_settled(self, records: list[Record], end: float) -> None:
        """Looks what has become of them. Errors as `flush` has them."""
        if not self._has_settled(records):
            raise StillPending(sum(record.count for record in records if not record.outcome))
        if not all(record.outcome for record in records):
            raise self._keeper.closed()
        with suppress(TimeoutError):  # the keeper is held up, and nothing is known of any refusal
            refusal = self._ask(self._keeper.core.take_refusal, end)
            if refusal:
                raise refusal

    def close(self, timeout: float | None = None) -> None:
        """Flushes and ends. What is not acknowledged after `timeout` seconds is given up, or stays in the spool.

        Args:
            timeout: seconds; None takes `close_timeout`, `inf` waits for as long as it takes.

        Raises:
            StillPending: something was not acknowledged in time; says how much, and what became of it.
            NotAccepted, OutcomeUnknown: requests were given up, and nobody has asked their handles.
        """
        self._end(timeout, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it. The block's own error is the one that is raised; what was not sent is a note to it."""
        try:
            self._end(None, error)
        except (GivenUp, StillPending, ProducerClosed) as unsent:
            if error is None:
                raise
            with suppress(TypeError):  # one whose notes are none
                error.add_note(f"and the producer: {unsent}")

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
            ProducerClosed: it has ended, or the process is ending.
        """
        ending.check()
        if self._closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if self._is_copy and self._settings.get("spool") is not None:
            raise ProducerClosed(SPOOL_ELSEWHERE)
        ending.hold(self._close_at_exit)  # one that nobody closed still sends what it has
        try:
            self._keeper.start()
        except BaseException:
            ending.let_go(self._close_at_exit)
            raise
        self._is_open = True

    def _ask(self, work: Callable[[], T], end: float = inf) -> T:
        """What the core gives: by its keeper, while there is one.

        Raises:
            TimeoutError: a signer or a disk holds the keeper up until `end`, and for a second at least.
        """
        keeper = self._keeper
        if keeper.has_started and not keeper.is_gone:
            with suppress(ProducerClosed):
                return keeper.ask(work, max(ANSWER, end - monotonic()))
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
        with suppress(GivenUp, StillPending, ProducerClosed):  # it is in the log, and nobody is there to catch it
            self.close(0 if self._keeper.core.is_patient else self._time_at_exit())

    def _time_at_exit(self) -> float:
        """Seconds for closing as the process ends, without those of other producers and of an interrupted `close`."""
        by = min(ending.began() + self._keeper.core.close_timeout, self._ends_by)
        return min(self._keeper.core.close_timeout, max(ANSWER, by - monotonic()))

    def _end(self, timeout: float | None, error: BaseException | None) -> None:
        """Ends it. Whoever is interrupted here, or comes amid it, may do it again.

        Args:
            timeout: as for `close`.
            error: for which it ends, if it does so for one.
        """
        self._closed = True
        self._is_open = False
        if self._has_ended:
            return
        keeper = self._keeper
        end = monotonic() + (keeper.core.close_timeout if timeout is None else timeout)
        self._ends_by = min(self._ends_by, end)
        keeper.news.tell()  # those who wait for room
        problem: Exception | None = None
        try:
            self._flush_by(end, error)
        except (GivenUp, StillPending, ProducerClosed) as unsent:
            problem = unsent
        self._stop(end)
        left = keeper.left
        if left is not None and not self._has_told:
            self._has_told = True
            log.error("%s", left)
            raise StillPending(left.requests, left=left)
        if problem is not None and not (keeper.is_gone and isinstance(problem, StillPending)):
            raise problem  # else all was acknowledged at the last moment

    def _flush_by(self, end: float, error: BaseException | None) -> None:
        """Flushes, and says that it takes a while if it does: waiting is not silent."""
        soon = monotonic() + SILENCE
        if soon < end:
            try:
                return self.flush(SILENCE)
            except StillPending as waiting:
                after = f" after {text_of(error)}" if error else ""
                log.warning("closing%s: %s; waiting for them up to %.0f s", after, waiting, end - soon)
        return self.flush(max(0.0, end - monotonic()))

    def _stop(self, end: float) -> None:
        has_stopped = self._keeper.stop(max(0.0, end - monotonic()) + ANSWER)
        if not self._keeper.is_gone:
            self._keeper.abandon()
        if not self._is_joining:  # a thread must not be waited for amid waiting for it
            self._is_joining = True
            try:
                has_stopped &= self._keeper.join()
            finally:
                self._is_joining = False
        ending.let_go(self._close_at_exit)
        if self._listener is not None and not self._is_copy:
            self._listener.close(max(ANSWER, end - monotonic()))
        if has_stopped:  # else a call is on its way, and its thread lets go of the connection as the process ends
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
        self._core = Core(monotonic(), **cast("Settings", settings))
        self._keeper = Keeper(self._core, self._wire, self._observer)
