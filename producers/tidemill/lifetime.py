"""A producer's life in its process: from the first request to the end, and anew in a copy of the process.

Room: SDK, I/O. Both producers have one. Tests: tests/producers/tidemill/test_producer.py and runtime/test_ending.py.

    connect ─▶ open, at the first request ─▶ ask, flush ─▶ close: flush, stop the keeper, let go of connections

There is no lock, and every method may be called by any thread and amid any other: by signal handlers too.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, TypeVar, cast

from tidemill.delivery.core import Core
from tidemill.delivery.keeper import Keeper
from tidemill.delivery.put_records import Wire
from tidemill.errors import GivenUp, ProducerClosed, StillPending
from tidemill.replies.listener import Listener
from tidemill.runtime import ending, processes
from tidemill.runtime.log import log
from tidemill.runtime.trouble import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_kinesis import KinesisClient

    from tidemill.delivery.observer import Observer
    from tidemill.delivery.settings import Settings
    from tidemill.replies.reader import ReplySource
    from tidemill.sending.records import Record
    from tidemill.sending.tally import Stats

T = TypeVar("T")

ANSWER = 1.0
"""Seconds at least that an answer is waited for: the keeper's, and at the end that to a call on its way."""

SILENCE = 1.0
"""Seconds after which closing says that it waits."""

SPOOL_ELSEWHERE = (
    "the producer's spool is that of the process that this one is a copy of; "
    "make a producer with a spool of its own in each process, after the fork"
)

REPLIES_ELSEWHERE = (
    "the producer's replies are heard by the process that this one is a copy of; "
    "make a producer with a queue of its own in each process, after the fork"
)


class Lifetime:
    """What a producer consists of in this process.

    Args:
        observer: is told of every call.
        settings: the producer's.

    Attributes:
        core: the core, which the keeper drives.
        keeper: the keeper; from `connect` on. Another one after a fork.
        wire: makes the calls; from `connect` on.
        listener: hears replies, if the producer does.
        is_open: whether requests are taken without further ado.
        is_closed: whether none is taken any more.

    Raises:
        TypeError, ValueError: a setting is out of its range, as `Producer` says.
    """

    keeper: Keeper
    wire: Wire

    def __init__(self, observer: Observer | None, settings: Settings) -> None:
        self._settings = settings
        self._observer = observer
        self.core = Core(monotonic(), **settings)
        self.listener: Listener | None = None
        self.is_open = self.is_closed = False
        self._has_told = self._has_ended = self._is_joining = self._is_copy = False
        self._ends_by = inf

    def connect(
        self, stream: str, kinesis: KinesisClient | None, replies: str | ReplySource | None, check: bool
    ) -> None:
        """Makes the client and looks at the stream.

        Raises:
            Misconfigured, ValueError: as `Producer` says.
        """
        core = self.core
        try:
            self.wire = Wire(stream, kinesis)
            if check:
                self.wire.check()
            if replies is not None:
                self.listener = Listener(replies, lambda: self.keeper.news.tell())
            self.keeper = Keeper(core, self.wire, self._observer)
            processes.look_after(self)
            if core.scheduler.pending:
                self.open()
        except BaseException:
            core.end()
            raise

    def open(self) -> None:
        """Starts, at the first request.

        Raises:
            ProducerClosed: it has ended, or the process is ending.
        """
        ending.check()
        if self.is_closed:
            raise ProducerClosed("the producer is closed; make a new one")
        if self._is_copy and self._settings.get("spool") is not None:
            raise ProducerClosed(SPOOL_ELSEWHERE)
        ending.hold(self._close_at_exit)  # one that nobody closed still sends what it has
        try:
            self.keeper.start()
        except BaseException:
            ending.let_go(self._close_at_exit)
            raise
        self.is_open = True

    def ask(self, work: Callable[[], T], end: float = inf) -> T:
        """What the core gives: by its keeper, while there is one.

        Raises:
            TimeoutError: a signer or a disk holds the keeper up until `end`, and for a second at least.
        """
        keeper = self.keeper
        if keeper.has_started and not keeper.is_gone:
            with suppress(ProducerClosed):
                return keeper.ask(work, max(ANSWER, end - monotonic()))
        return work()

    def stats(self) -> Stats:
        """What it has done so far.

        Where a signer or a disk holds its thread up for more than a second: as far as can be seen from here, without
        the requests that this thread has not taken yet.
        """
        core = self.keeper.core
        try:
            return self.ask(lambda: core.stats(monotonic()), monotonic())
        except TimeoutError:
            return core.stats(monotonic())

    def listens(self) -> Listener:
        """Who hears the replies.

        Raises:
            RuntimeError: nobody does, in this process.
        """
        if self._is_copy and self.listener is not None:
            raise RuntimeError(REPLIES_ELSEWHERE)
        if self.listener is None:
            raise RuntimeError("the producer hears no replies; give it the URL of the client's queue as replies=")
        return self.listener

    def begin_again(self, *, forked: bool) -> None:
        """Makes it a producer of its own in a copy of its process: another writer, nothing buffered, no connections."""
        if forked:
            self.keeper.leave("it was sent by another process, before this one was forked off; ask there")
        else:
            self.keeper.retire()
        self._is_copy = True
        self.is_open = False
        settings = {**self._settings, "writer": None, "counter": 0, "spool": None}
        self.wire.begin_again()
        self.core = Core(monotonic(), **cast("Settings", settings))
        self.keeper = Keeper(self.core, self.wire, self._observer)

    def close(self, timeout: float | None, error: BaseException | None = None) -> None:
        """Flushes and ends. Whoever is interrupted here, or comes amid it, may do it again.

        Args:
            timeout: seconds; None takes `close_timeout`, `inf` waits for as long as it takes.
            error: the reason for the end, if it is one.

        Raises:
            StillPending, NotAccepted, OutcomeUnknown: as `Producer.close` says.
        """
        self.is_closed = True
        self.is_open = False
        if self._has_ended:
            return
        keeper = self.keeper
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
                return Flush(self, monotonic() + SILENCE).wait()
            except StillPending as waiting:
                after = f" after {text_of(error)}" if error else ""
                log.warning("closing%s: %s; waiting for them up to %.0f s", after, waiting, end - soon)
        return Flush(self, max(end, monotonic())).wait()

    def _stop(self, end: float) -> None:
        has_stopped = self.keeper.stop(max(0.0, end - monotonic()) + ANSWER)
        if not self.keeper.is_gone:
            self.keeper.abandon()
        if not self._is_joining:  # a thread must not be waited for amid waiting for it
            self._is_joining = True
            try:
                has_stopped &= self.keeper.join()
            finally:
                self._is_joining = False
        ending.let_go(self._close_at_exit)
        if self.listener is not None and not self._is_copy:
            self.listener.close(max(ANSWER, end - monotonic()))
        if has_stopped:  # else a call is on its way, and its thread lets go of the connection as the process ends
            self.wire.close()
        self._has_ended = True

    def _close_at_exit(self) -> None:
        with suppress(GivenUp, StillPending, ProducerClosed):  # it is in the log, and nobody is there to catch it
            self.close(0 if self.keeper.core.is_patient else self._time_at_exit())

    def _time_at_exit(self) -> float:
        """Seconds for closing as the process ends, without those of other producers and of an interrupted `close`."""
        by = min(ending.began() + self.keeper.core.close_timeout, self._ends_by)
        return min(self.keeper.core.close_timeout, max(ANSWER, by - monotonic()))


class Flush:
    """Everything that a producer has buffered, made due at once.

    Args:
        lifetime: the producer's.
        end: the time until which it may take, on the monotonic clock; `inf` for as long as it takes.

    Raises:
        StillPending: the keeper cannot even make it due by `end`.
    """

    def __init__(self, lifetime: Lifetime, end: float) -> None:
        self._lifetime = lifetime
        self._end = end
        self._records: list[Record] = []
        """Those that have not ended yet."""
        keeper = lifetime.keeper
        if keeper.is_abandoned:
            return
        scheduler = keeper.core.scheduler
        try:
            self._records = lifetime.ask(lambda: scheduler.flush(monotonic()), end)
        except TimeoutError:
            raise StillPending(max(1, scheduler.pending)) from None

    def has_settled(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self._lifetime.keeper.is_gone or all(record.outcome for record in self._records)

    def wait(self) -> None:
        """Waits until it is acknowledged. Errors as `check` has them."""
        timeout = None if self._end == inf else self._end - monotonic()
        self._lifetime.keeper.news.wait_for(self.has_settled, timeout)
        self.check()

    def check(self) -> None:
        """Looks what has become of it.

        Raises:
            StillPending: it took longer; says how many requests are not acknowledged.
            NotAccepted, OutcomeUnknown: requests were given up, and nobody has asked their handles.
        """
        keeper = self._lifetime.keeper
        if not self.has_settled():
            raise StillPending(sum(record.count for record in self._records if not record.outcome))
        if not all(record.outcome for record in self._records):
            raise keeper.closed()
        with suppress(TimeoutError):  # the keeper is held up, and nothing is known of any refusal
            refusal = self._lifetime.ask(keeper.core.take_refusal, self._end)
            if refusal:
                raise refusal
