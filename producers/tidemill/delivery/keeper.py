"""The keeper: the only thread that touches a producer's core. It has the caller, another thread, make the calls.

Room: SDK, I/O by the wire that it is given. All decisions are made in `core.py`.
Tests: tests/producers/tidemill/test_producer.py.

    any thread ─ inbox ─▶ keeper: core ─ calls ─▶ caller: wire ─ inbox ─▶ keeper: core ─ herald ─▶ observer, log

There is no lock (`inbox.py`). Signals never interrupt the keeper, because Python runs their handlers in the main
thread. The only foreign code in its thread is a signer. Other threads use the core by questions (`question.py`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from math import inf
from threading import Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, TypeVar, cast

from tidemill.delivery.caller import Caller
from tidemill.delivery.calling import Calling
from tidemill.delivery.inbox import Inbox, lose
from tidemill.delivery.observer import call_made, tell, tell_of_change
from tidemill.delivery.question import Question
from tidemill.errors import Left, ProducerClosed
from tidemill.runtime import bounded, ending
from tidemill.runtime.herald import Herald
from tidemill.runtime.log import log
from tidemill.runtime.threads import is_launching, start
from tidemill.runtime.trouble import text_of
from tidemill.runtime.waiting import News
from tidemill.sending.records import Call, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.delivery.caller import Makes
    from tidemill.delivery.core import Core
    from tidemill.delivery.observer import Observer
    from tidemill.delivery.ticket import Ticket
    from tidemill.sending.records import Outcome

GRACE = 1.0
"""Extra seconds to wait for the threads to end when they are stopped."""

BEGINNING = 5.0
"""Longest wait in seconds of the first request for the threads to start. It is usually less than a millisecond."""

POLL = 0.5
"""Seconds between checks, while waiting for an answer, whether the keeper has ended: it may never see the question."""

T = TypeVar("T")


class Keeper:
    """Drives a core by two threads, from the first request until it is stopped.

    One idea: the life of its thread, as other threads see it (start, ask, stop, abandon, join) and as the thread itself
    runs it (a turn: read the inbox, have a call made, tell what ended, wait). Both use the same few flags.

    Args:
        core: the core. Other code may only use its writer's drafts and read its numbers.
        wire: makes the calls.
        observer: is told of every call.

    Attributes:
        core: the core.
        news: tells when requests have been acknowledged or given up, or the keeper has started or ended.
        inbox: the requests, questions and functions for the keeper.
        has_started: whether its thread has been started.
        is_abandoned: whether it was blocked when it was to end, and is not waited for.
        end: the reason why it takes nothing more; None while it does.
        left: counts of the requests that were not acknowledged when it ended.
        is_gone: whether it has ended, so that nothing more in the inbox will be taken.
    """

    def __init__(self, core: Core, wire: Makes, observer: Observer | None) -> None:
        self.core = core
        self.news = News()
        self.inbox = Inbox(core)
        self.has_started = self.is_abandoned = self.is_gone = False
        self.left: Left | None = None
        self.end: ProducerClosed | None = None
        self._observer = observer
        self._calling = Calling(lambda: Caller(wire, self._begin_calls, self.news.permit, self._made))
        self._herald = Herald()
        self._is_stopping = self._is_retiring = False
        self._is_up = False
        """Whether both threads run."""
        self._claims: dict[str, Thread] = {}
        """Holds the one thread. `setdefault` is atomic, so there is never a second one."""
        self._thread: Thread | None = None
        self._told = 0
        self._stops_by = inf
        self._is_up_by = inf
        """When the threads are not waited for any more: many may wait one after another, in one thread's `__del__`s."""

    # ---- any thread

    def start(self) -> None:
        """Starts the keeper once, even if several threads call this at the same time, or again after an interrupt.

        Raises:
            ProducerClosed: the process is ending, and starts no more threads.
            RuntimeError: no more threads can be started.
        """
        if not self.has_started:
            self._is_up_by = monotonic() + BEGINNING
            try:
                start(self._run, "tidemill-producer")
            except RuntimeError:
                if ending.is_ending():
                    raise ProducerClosed(ending.NO_THREADS) from None
                raise
            self.has_started = True
        # Both threads must run before the process may end: Python 3.12 starts none from then on.
        if not self.news.must_not_wait and not is_launching():
            self.news.wait_for(lambda: self._is_up or self.is_gone, self._is_up_by - monotonic())

    def look_after(self, handle: Ticket) -> None:
        """Ensures that a request in the inbox is taken soon.

        Raises:
            ProducerClosed: the keeper ended without taking it, such as by a signal handler that interrupted `send`.
        """
        self.wake()
        if self.end is not None:
            if handle._record is None:
                lose(handle, self.end)
            if handle._record is not None and handle._record.last < 0:
                raise self.closed()

    def ask(self, work: Callable[[], T], timeout: float = inf) -> T:
        """Runs `work` in the keeper's thread. Returns its result, or raises its exception.

        Raises:
            RuntimeError: this is one of the producer's own threads.
            ProducerClosed: the keeper has ended.
            TimeoutError: it took longer than `timeout` seconds.
        """
        self.news.check()
        if self.is_abandoned:
            raise self.closed()
        self.start()
        question = Question(work)
        self.inbox.put(cast("Question[object]", question))
        self.wake()
        end = monotonic() + timeout
        while not question.is_answered(min(POLL, max(0.0, end - monotonic()))):
            if self.is_gone and not question.is_answered(0):
                raise self.closed()
            if monotonic() >= end:
                raise TimeoutError("the producer's thread does not answer")
        return question.take()

    def closed(self) -> ProducerClosed:
        """The error that tells why nothing more is taken."""
        return ProducerClosed(*(self.end.args if self.end else ("the producer is closed; make a new one",)))

    def stop(self, timeout: float) -> bool:
        """Ends the keeper when the call in flight is answered. Requests unacknowledged by then are given up.

        Args:
            timeout: longest wait in seconds for the answer; after that its requests may or may not be on the stream.

        Returns:
            Whether it has ended.
        """
        end = monotonic() + timeout
        if not self.has_started and self._claim():  # nothing was sent, so no thread is needed
            self._stop(end)
            self._end_core()
            self._leave()
            return True
        with suppress(ProducerClosed, TimeoutError):  # another thread stopped it; or a slow signer or disk blocks it
            self.ask(partial(self._stop, end), timeout)
        return self.news.wait_for(lambda: self.is_gone, max(0.0, end - monotonic()) + GRACE)

    def abandon(self) -> None:
        """Ends a keeper that a signer or a disk blocks: it sends nothing more, and its inbox is refused."""
        self._stop(-inf)
        self.end = self.end or self.closed()
        self.is_abandoned = True
        lost, scheduler = self.inbox.refuse_rest(self.closed()), self.core.scheduler
        pending = scheduler.pending
        if pending + lost:
            self.left = Left(pending + lost, scheduler.maybe_stored, pending if self.core.is_patient else 0)

    def join(self) -> bool:
        """Waits for its threads to end and for the herald, after `stop`. Returns whether the threads have ended."""
        threads = [one for one in (self._thread, self._calling.thread) if one is not None]
        for thread in threads:
            with suppress(RuntimeError, AssertionError):  # not started by `threading`, which could not
                thread.join(GRACE)
        self._herald.rest()
        return not any(thread.is_alive() for thread in threads) and not self._calling.is_hanging

    def retire(self) -> None:
        """Makes the keeper end when all its requests have ended. Does not wait for that."""
        self.inbox.put(partial(self._retire))
        self.wake()

    def leave(self, reason: str) -> None:
        """Ends the keeper in a forked child, where its threads do not exist and no outcome will be known."""
        self.end, self.is_gone = ProducerClosed(reason), True
        self.news.tell()  # wakes the code that the fork interrupted, by a signal handler, as it waited

    def wake(self) -> None:
        """Wakes the keeper so that it reads the inbox at once."""
        self.inbox.ring()

    # ---- its thread

    def _run(self) -> None:
        if not self._claim():
            return
        self._thread = current_thread()
        self._own()
        try:
            self._calling.start()
            while self.end is None:
                self._turn()
            self._end_core()
        except BaseException as error:
            self._fail(error)
        self._calling.close()
        self._leave()
        self.news.permit()

    def _claim(self) -> bool:
        """Whether this thread is the keeper: the first thread to call this is."""
        return self._claims.setdefault("keeper", current_thread()) is current_thread()

    def _end_core(self) -> None:
        self.core.end()
        self.end = self.end or self.closed()
        self._tell_observer()

    def _leave(self) -> None:
        left = self._what_is_left()
        if self.left is None:
            self.left = left
            if left is not None and self.is_abandoned:  # the thread that closed it did not know of these
                log.error("%s", left)
        self._observer = None  # breaks a cycle: it may hold handles, which hold this
        self.is_gone = True
        self.news.tell()

    def _what_is_left(self) -> Left | None:
        """Counts of the unacknowledged requests: those of the core, and those in the inbox, which it refuses."""
        lost = self.inbox.refuse_rest(self.closed())
        left = self.core.left
        if not lost:
            return left
        if not self._is_stopping:  # nobody waits for the end and would report it
            log.error("%d requests were not sent: %s", lost, self.closed())
            return left
        return Left(lost, 0, 0) if left is None else left._replace(requests=left.requests + lost)

    def _own(self) -> None:
        """Marks this thread as the producer's own: it may not wait for news, and its log lines go to the herald."""
        self.news.forbid()
        log.hand_over(self._herald.tell)

    def _turn(self) -> None:
        self.inbox.drain()
        now = monotonic()
        due = self._hand_out(now)
        if self._tell():  # without a call: expired, or dropped to make room
            self._tell_observer()
            due = min(due, self.core.tend(now))
        if self._is_done(now):
            self.end = self.closed()
        else:
            self.inbox.wait(min(due, self._stops_by) - now)

    def _is_done(self, now: float) -> bool:
        """Whether the keeper ends now. It waits for a call in flight, until `_stops_by` at most."""
        if self._calling.call is not None:
            return self._is_stopping and self._stops_by <= now
        return self._is_stopping or (self._is_retiring and not self.core.scheduler.pending)

    def _hand_out(self, now: float) -> float:
        """Has the next call made, if there is one and none is in flight. Returns when something is due next."""
        calling = self._calling
        if calling.call is not None and calling.ends_by <= now and calling.give_up(now):
            problem = f"no answer in {bounded.CALL_SECONDS:.0f} s"  # its requests may be stored, and are sent again
            self._settle(calling.call, Refused("CallTimeout", problem, again=True, lost=True), bounded.CALL_SECONDS)
        if calling.call is None and not self._is_stopping:
            call = self.core.next_call(now)
            if not isinstance(call, Call):
                return call
            calling.make(call, now)
        return min(self.core.tend(now), calling.ends_by)

    def _tell(self) -> bool:
        """Wakes waiting threads if requests have ended. Returns whether any have."""
        self.core.take_news(monotonic())
        if self._told == self.core.ended:
            return False
        self._told = self.core.ended
        self.news.tell()
        return True

    def _tell_observer(self) -> None:
        if self._observer:
            self._herald.tell(partial(tell_of_change, self._observer, self.core.stats(monotonic())))

    def _settle(self, call: Call, answer: Sequence[Outcome] | Refused, seconds: float) -> None:
        if call is not self._calling.call:
            return  # it has been given up
        now = monotonic()
        made = call_made(call, answer, seconds, self.core.stats(now)) if self._observer else None
        self._calling.end()
        self.core.settle(call, answer, now)
        self._tell()
        if made and self._observer:
            made = made._replace(stats=self.core.stats(now))
            self._herald.tell(partial(tell, self._observer, made))

    # ---- the caller's thread

    def _begin_calls(self) -> None:
        self._own()
        self._is_up = True  # only now: a started thread may never run
        self.news.tell()

    def _made(self, call: Call, answer: Sequence[Outcome] | Refused, seconds: float) -> None:
        """Passes the answer to a call to the keeper."""
        self.inbox.put(partial(self._settle, call, answer, seconds))
        self.wake()

    # ---- the end

    def _retire(self) -> None:
        self._is_retiring = True

    def _stop(self, by: float) -> None:
        self._is_stopping = True
        self._stops_by = min(self._stops_by, by)

    def _fail(self, error: BaseException) -> None:
        """Ends the producer after an unexpected error, so that nobody waits for ever."""
        problem = text_of(error)
        self.end = ProducerClosed(f"the producer failed: {problem}; make a new one")
        log.error("the producer failed: %s", problem)
        with suppress(BaseException):
            self.core.end(Refused(type(error).__name__, f"the producer failed: {problem}", again=False))
            self.core.note_refusals()
