"""The producer: its core with a lock, a thread and a wire.

Room: SDK, I/O. Every decision is `outbox.py`'s and `core.py`'s.
"""

from __future__ import annotations

import atexit
from math import inf
from threading import Condition, Lock, Thread
from time import monotonic, time_ns
from typing import TYPE_CHECKING

from tidemill.buffer import Call, Refused
from tidemill.core import Core, Ticket
from tidemill.failures import GivenUp, ProducerClosed, StillPending
from tidemill.listener import Listener
from tidemill.metrics import call_made, tell
from tidemill.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self, Unpack

    from types_boto3_kinesis import KinesisClient

    from tidemill.buffer import Acknowledged, Outcome
    from tidemill.core import Settings
    from tidemill.listener import Hears
    from tidemill.metrics import Observer
    from tidemill.outbox import Stats
    from tidemill.request import Document, Reply, Request

LONGEST_SLEEP = 3600.0
"""Longest sleep in seconds of the sender's thread: locks cannot wait forever."""


class Handle(Ticket, frozen=True, eq=False):
    """A request on its way.

    Attributes:
        id: the request's id.
    """

    _done: Condition
    _listener: Listener | None

    def result(self, timeout: float | None = None) -> Acknowledged:
        """Waits until the request is stored: the shard and the sequence number of its record.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            StillPending: it took longer.
            NotAccepted: it was given up.
            OutcomeUnknown: likewise, and it may be stored all the same.
        """
        if self._outcome is None:
            with self._done:
                self._done.wait_for(self.done, timeout)
        return self._acknowledged()

    def reply(self, timeout: float | None = None) -> Reply:
        """Waits until the request has been applied, or not: what became of it.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            StillPending: it took longer.
            NotAccepted: it was given up before it reached the stream.
            RuntimeError: it was sent without `reply=True`.
            botocore.exceptions.ClientError: the replies cannot be heard.
        """
        listener = self._listener
        if listener is None:
            raise RuntimeError("send it with reply=True to wait for its reply")
        with self._done:
            self._done.wait_for(lambda: listener.has_news_of(self) or self._is_lost, timeout)
            reply = listener.reply_to(self)
        if reply is None and self._is_lost:
            self._acknowledged()
        if reply is None:
            raise StillPending(1, "answered")
        return reply


class Producer:
    """Sends requests to a stream: aggregated, in the order of each key, at least once. Safe for threads.

        with Producer("requests", client="alice") as producer:
            producer.send("content.view", key="content/42")

    What was given up, and not asked for by `Handle.result`, is logged, and raised by `flush`, `close` and the end of
    the block.

    Args:
        stream: the stream's name or ARN.
        client: who sends: `Request.client` of all requests that name no other.
        kinesis: a boto3 Kinesis client. None makes one, so AWS_ENDPOINT_URL and AWS_REGION hold.
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
        self._core = Core(monotonic(), **settings)
        try:
            self._wire = Wire(stream, kinesis)
            if check:
                self._wire.check()
        except Exception:
            self._core.end()
            raise
        self._lock = Lock()
        self._work = Condition(self._lock)
        """There may be a call to make."""
        self._done = Condition(self._lock)
        """Some requests have been acknowledged, given up or answered."""
        self._observer = observer
        self._listener = Listener(replies, self._heard) if replies is not None else None
        self._thread: Thread | None = None
        self._sleeps_until = -inf
        self._is_open = self._closed = self._stopping = False
        if self._core.outbox.pending:
            with self._lock:
                self._start()

    @property
    def writer(self) -> str:
        """The writer id of its requests."""
        return self._core.writer.id

    def stats(self) -> Stats:
        """What it has done so far."""
        with self._lock:
            return self._core.stats(monotonic())

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
        listener = self._listens() if reply else None
        if at is None:
            at = time_ns() // 1_000_000
        core = self._core
        self._lock.acquire()  # `with` would make two bound methods each time
        try:
            if not self._is_open:
                self._open()
            while (taken := core.send(cmd, key, data, client, id, at, ttl, monotonic())) is None:
                self._wait_for_room()
            made, record, place = taken
            handle = Handle(made, record, place, self._done, listener)
            if listener is not None:
                listener.expect(handle)
            if core.outbox.due < self._sleeps_until:
                self._wake()
        finally:
            self._lock.release()
        return handle

    def put(self, request: Request) -> Handle:
        """Sends a request as it is, with its own id, writer and counter: a replay.

        Raises:
            UnsendableRequest, BufferFull, ProducerClosed, SpoolBroken: as `send` does.
        """
        with self._lock:
            if not self._is_open:
                self._open()
            while (taken := self._core.put(request, monotonic())) is None:
                self._wait_for_room()
            if self._core.outbox.due < self._sleeps_until:
                self._wake()
        return Handle(*taken, self._done, None)

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
        with self._lock:
            records = self._core.outbox.flush(monotonic())
            self._wake()
            if not self._done.wait_for(lambda: all(record.outcome for record in records), timeout):
                raise StillPending(sum(record.count for record in records if not record.outcome))
            refusal = self._core.take_refusal()
        if refusal:
            raise refusal

    def close(self, timeout: float | None = None) -> None:
        """Flushes and ends. What is not acknowledged after `timeout` seconds is given up, or stays in the spool.

        Raises:
            StillPending: something was not acknowledged in time.
            NotAccepted, OutcomeUnknown: requests were given up, and nobody has asked their handles.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._is_open = False
            self._done.notify_all()
        try:
            self.flush(timeout)
        finally:
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
        if self._listener is None:
            raise RuntimeError("the producer hears no replies; give it the URL of the client's queue as replies=")
        return self._listener

    def _heard(self) -> None:
        with self._lock:
            self._done.notify_all()

    # ---- with the lock held

    def _open(self) -> None:
        """Starts, at the first request.

        Raises:
            ProducerClosed: it has ended.
        """
        if self._closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if self._thread is None:
            self._start()
        self._is_open = True

    def _wait_for_room(self) -> None:
        if self._core.outbox.due < self._sleeps_until:
            self._wake()
        self._done.wait()
        if not self._is_open:
            self._open()

    def _start(self) -> None:
        self._thread = Thread(target=self._run, name="tidemill-producer", daemon=True)
        self._thread.start()
        atexit.register(self._close_at_exit)  # one that nobody closed still sends what it has

    def _wake(self) -> None:
        """Wakes the sender's thread, once: it may take a while to get its turn."""
        self._sleeps_until = -inf
        self._work.notify()

    def _wait_for_call(self) -> Call | None:
        """The next call; None to end."""
        while not self._stopping:
            now = monotonic()
            call = self._core.next_call(now)
            if self._core.take_news():
                self._done.notify_all()
            if isinstance(call, Call):
                return call
            self._sleeps_until = call
            self._work.wait(min(call - now, LONGEST_SLEEP))
            self._sleeps_until = -inf
        return None

    def _settle(self, call: Call, answer: Sequence[Outcome] | Refused, seconds: float) -> None:
        now = monotonic()
        made = call_made(call, answer, seconds, self._core.stats(now)) if self._observer else None
        self._core.settle(call, answer, now)
        self._core.take_news()
        self._done.notify_all()
        if made and self._observer:
            tell(self._observer, made)

    # ---- the sender's thread

    def _run(self) -> None:
        while True:
            with self._lock:
                call = self._wait_for_call()
            if call is None:
                return
            began = monotonic()
            answer = self._wire.put(call)
            self._wire.warn(call, answer, self._core.is_patient)
            with self._lock:
                self._settle(call, answer, monotonic() - began)

    # ---- the end

    def _close_at_exit(self) -> None:
        self.close(0 if self._core.is_patient else None)

    def _stop(self) -> None:
        with self._lock:
            self._stopping = True
            self._wake()
        if self._thread is not None:
            self._thread.join()
            atexit.unregister(self._close_at_exit)
        with self._lock:
            self._core.end()
            self._done.notify_all()
        if self._listener is not None:
            self._listener.close()
        self._wire.close()
