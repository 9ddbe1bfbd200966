"""A producer's life cycle in one process, and its fresh start in a copy of the process (a fork or a snapshot).

Room: SDK, I/O. Both producers have one. Tests: tests/producers/tidemill/test_producer.py and runtime/test_ending.py.

    connect ─▶ open, at the first request ─▶ ask, flush ─▶ close: flush, stop the keeper, let go of connections

There is no lock. Any thread may call any method at any time, and so may a signal handler that interrupts another one.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, TypeVar, cast

from tidemill.content.bucket import Bucket
from tidemill.delivery.core import Core
from tidemill.delivery.keeper import Keeper
from tidemill.delivery.put_records import Wire
from tidemill.errors import GivenUp, ProducerClosed, StillPending
from tidemill.replies.listener import Listener
from tidemill.runtime import ending, processes
from tidemill.runtime.log import log
from tidemill.runtime.trouble import text_of
from tidemill.sending.stream_clock import StreamClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_kinesis import KinesisClient
    from types_boto3_s3 import S3Client

    from tidemill.delivery.observer import Observer
    from tidemill.delivery.settings import Settings
    from tidemill.replies.reader import ReplySource
    from tidemill.sending.records import Record
    from tidemill.sending.tally import Stats
    from tidemill.traces import Traces

T = TypeVar("T")

ANSWER = 1.0
"""Shortest wait in seconds for the keeper's answer and, when closing, for the answer to a call in flight."""

SILENCE = 1.0
"""Seconds after which closing logs that it waits."""

SPOOL_ELSEWHERE = (
    "the producer's spool is that of the process that this one is a copy of; "
    "make a producer with a spool of its own in each process, after the fork"
)

REPLIES_ELSEWHERE = (
    "the producer's replies are heard by the process that this one is a copy of; "
    "make a producer with a queue of its own in each process, after the fork"
)


class Lifetime:
    """The parts of a producer in this process: made, started and closed.

    Args:
        observer: is told of every call.
        settings: the producer's settings.

    Attributes:
        core: the core, which the keeper drives.
        keeper: the keeper; exists from `connect` on, and is replaced after a fork.
        wire: makes the calls; exists from `connect` on.
        listener: receives replies; None if the producer has no source of replies.
        bucket: the content bucket; None if the producer names none.
        is_open: whether the producer has started and takes requests.
        is_closed: whether the producer has been closed and takes none.

    Raises:
        TypeError, ValueError: a setting is out of its range, as in `Producer`.
    """

    keeper: Keeper
    wire: Wire

    def __init__(self, observer: Observer | None, settings: Settings) -> None:
        self._settings = settings
        self._observer = observer
        self._clock = StreamClock()
        self.core = Core(monotonic(), self._clock, **settings)
        self.listener: Listener | None = None
        self.bucket: Bucket | None = None
        self.is_open = self.is_closed = False
        self._has_told = self._has_ended = self._is_joining = self._is_copy = False
        self._ends_by = inf

    def connect(
        self,
        stream: str,
        kinesis: KinesisClient | None,
        replies: str | ReplySource | None,
        s3: S3Client | None,
        check: bool,
    ) -> None:
        """Makes the clients and checks the stream.

        Raises:
            Misconfigured, ValueError: as in `Producer`.
        """
        core = self.core
        try:
            self.wire = Wire(stream, kinesis, self._clock)
            if check:
                self.wire.check()
            if (bucket := self._settings.get("bucket")) is not None:
                self.bucket = Bucket(bucket, stream, s3, self._settings.get("client"))
            if replies is not None:
                self.listener = Listener(replies, lambda: self.keeper.news.tell())
            core.traces = _traces(self._settings, stream)
            self.keeper = Keeper(core, self.wire, self._observer)
            processes.look_after(self)
            if core.scheduler.pending:
                self.open()
        except BaseException:
            core.end()
            raise

    def open(self) -> None:
        """Starts the keeper, at the first request.

        Raises:
            ProducerClosed: the producer has been closed, or the process is ending.
        """
        ending.check()
        if self.is_closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if self._is_copy and self._settings.get("spool") is not None:
            raise ProducerClosed(SPOOL_ELSEWHERE)
        ending.hold(self._close_at_exit)  # a producer that nobody closed still sends what it has
        try:
            self.keeper.start()
        except BaseException:
            ending.let_go(self._close_at_exit)
            raise
        self.is_open = True

    def ask(self, work: Callable[[], T], end: float = inf) -> T:
        """The result of `work`, called in the keeper's thread while that runs, else in this thread.

        Raises:
            TimeoutError: a slow signer or disk blocks the keeper until `end`, and for a second at least.
        """
        keeper = self.keeper
        if keeper.has_started and not keeper.is_gone:
            with suppress(ProducerClosed):
                return keeper.ask(work, max(ANSWER, end - monotonic()))
        return work()

    def stats(self) -> Stats:
        """The counts of what it has done so far.

        If a slow signer or disk blocks the keeper for more than a second, requests that it has not taken are missing.
        """
        core = self.keeper.core
        try:
            return self.ask(lambda: core.stats(monotonic()), monotonic())
        except TimeoutError:
            return core.stats(monotonic())

    def listens(self) -> Listener:
        """The listener that receives the replies.

        Raises:
            RuntimeError: there is none in this process.
        """
        if self._is_copy and self.listener is not None:
            raise RuntimeError(REPLIES_ELSEWHERE)
        if self.listener is None:
            raise RuntimeError("the producer hears no replies; give it the URL of the client's queue as replies=")
        return self.listener

    def begin_again(self, *, forked: bool) -> None:
        """Resets the producer in a copy of its process: another writer, nothing buffered, no connections."""
        if forked:
            self.keeper.leave("it was sent by another process, before this one was forked off; ask there")
            self.keeper.news.tell()  # the thread that forked may be one that waits, as a signal handler's is
        else:
            self.keeper.retire()
        self._is_copy = True
        self.is_open = False
        settings = {**self._settings, "writer": None, "counter": 0, "spool": None}
        self.wire.begin_again()
        if self.bucket is not None:
            self.bucket.begin_again()
        self.core = Core(monotonic(), self._clock, **cast("Settings", settings))
        self.core.traces = _traces(self._settings, self.wire.stream)
        self.keeper = Keeper(self.core, self.wire, self._observer)

    def close(self, timeout: float | None, error: BaseException | None = None) -> None:
        """Flushes and ends. May be called again, also after or during an interrupted call.

        Args:
            timeout: seconds; None takes `close_timeout`, `inf` waits without limit.
            error: the error that ends the producer's block, if any.

        Raises:
            StillPending, NotAccepted, OutcomeUnknown: as `Producer.close` raises them.
        """
        self.is_closed = True
        self.is_open = False
        if self._has_ended:
            return
        keeper = self.keeper
        end = monotonic() + (keeper.core.close_timeout if timeout is None else timeout)
        self._ends_by = min(self._ends_by, end)
        keeper.news.tell()  # wakes senders that wait for room
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
        """Flushes, and logs a warning if that takes more than a second."""
        soon = monotonic() + SILENCE
        if soon < end:
            try:
                return Flush(self, monotonic() + SILENCE).wait()
            except StillPending as waiting:
                after = f" after {text_of(error)}" if error else ""
                log.warning("closing%s: %s; waiting for them up to %.0f s", after, waiting, end - soon)
        return Flush(self, max(end, monotonic())).wait()

    def _stop(self, end: float) -> None:
        has_stopped = self.keeper.stop(max(0.0, end - monotonic()) + ANSWER)
        if not self.keeper.is_gone:
            self.keeper.abandon()
        if not self._is_joining:  # a signal handler that interrupts `join` must not join again
            self._is_joining = True
            try:
                has_stopped &= self.keeper.join()
            finally:
                self._is_joining = False
        ending.let_go(self._close_at_exit)
        if self.listener is not None and not self._is_copy:
            self.listener.close(max(ANSWER, end - monotonic()))
        if self.keeper.core.traces is not None:
            self.keeper.core.traces.close()
        if has_stopped:  # else a call is in flight, and its connection is closed when the process ends
            self.wire.close()
            if self.bucket is not None:
                self.bucket.close()
        self._has_ended = True

    def _close_at_exit(self) -> None:
        with suppress(GivenUp, StillPending, ProducerClosed):  # it has been logged, and nobody could catch it
            self.close(0 if self.keeper.core.is_patient else self._time_at_exit())

    def _time_at_exit(self) -> float:
        """Seconds left for closing at exit: other producers' closing and an interrupted `close` have used some."""
        by = min(ending.began() + self.keeper.core.close_timeout, self._ends_by)
        return min(self.keeper.core.close_timeout, max(ANSWER, by - monotonic()))


def _traces(settings: Settings, stream: str) -> Traces | None:
    tracer = settings.get("tracer")
    if tracer is None:
        return None
    from tidemill.traces import Traces  # OpenTelemetry is an extra

    return Traces(tracer, stream)


class Flush:
    """A flush: makes all buffered requests due at once, and waits for their outcomes.

    Args:
        lifetime: the producer's lifetime.
        end: the latest time to wait until, on the monotonic clock; `inf` waits without limit.

    Raises:
        StillPending: the keeper did not start the flush by `end`.
    """

    def __init__(self, lifetime: Lifetime, end: float) -> None:
        self._lifetime = lifetime
        self._end = end
        self._records: list[Record] = []
        """The records that had no outcome when the flush began."""
        keeper = lifetime.keeper
        if keeper.is_abandoned:
            return
        scheduler = keeper.core.scheduler
        try:
            self._records = lifetime.ask(lambda: scheduler.flush(monotonic()), end)
        except TimeoutError:
            raise StillPending(max(1, scheduler.pending)) from None

    def has_settled(self) -> bool:
        """Whether every record has its outcome, or the keeper has ended."""
        return self._lifetime.keeper.is_gone or all(record.outcome for record in self._records)

    def wait(self) -> None:
        """Waits until all records have their outcomes. The errors are those of `check`."""
        timeout = None if self._end == inf else self._end - monotonic()
        self._lifetime.keeper.news.wait_for(self.has_settled, timeout)
        self.check()

    def check(self) -> None:
        """Raises an error unless all flushed requests were acknowledged.

        Raises:
            StillPending: some are not acknowledged yet; has their number.
            NotAccepted, OutcomeUnknown: requests were given up, and no handle's `result` has raised that yet.
        """
        keeper = self._lifetime.keeper
        if not self.has_settled():
            raise StillPending(sum(record.count for record in self._records if not record.outcome))
        if not all(record.outcome for record in self._records):
            raise keeper.closed()
        with suppress(TimeoutError):  # the keeper is blocked, so no refusal is known
            refusal = self._lifetime.ask(keeper.core.take_refusal, self._end)
            if refusal:
                raise refusal
