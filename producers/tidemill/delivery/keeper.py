"""The keeper: the thread that alone touches a producer's core, and the caller: the thread that makes its calls.

Room: SDK, I/O by the wire that it is given. Every decision is `core.py`'s.
Tests: tests/producers/tidemill/test_producer.py.

    any thread ─ inbox ─▶ keeper: core ─ calls ─▶ caller: wire ─ inbox ─▶ keeper: core ─ herald ─▶ observer, log

There is no lock (`inbox.py`). Signals never interrupt the keeper, for Python runs their handlers in the main thread,
and nothing foreign runs there but a signer. What others want of the core is a question (`question.py`).
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
from tidemill.runtime.threads import start
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
"""Seconds more that are waited for its threads, once they are to end."""

BEGINNING = 5.0
"""Seconds at most that the first request waits for the threads to begin: less than a thousandth, as a rule."""

POLL = 0.5
"""Seconds after which one who asks looks whether the keeper is gone, for it may have left before it was asked."""

T = TypeVar("T")


class Keeper:
    """Drives a core by two threads, from the first request until it is stopped.

    One idea: the life of its thread, as others see it (start, ask, stop, abandon, join) and as the thread itself goes
    through it (a turn: take what came, have a call made, tell what ended, wait). Both go by the same few flags.

    Args:
        core: the core. Nobody else may touch it, but for its writer's drafts and to read a number.
        wire: makes the calls.
        observer: is told of every call.

    Attributes:
        core: as given.
        news: tells when requests have been acknowledged or given up, or something has been asked.
        inbox: what is to be taken.
        has_started: whether it may have taken something.
        is_abandoned: whether it was held up when it was to end, and is not waited for.
        end: why it takes nothing any more; None while it does.
        left: what was not acknowledged when it ended.
        is_gone: whether it has ended, so that nothing will come of what was put into the inbox since.
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
        """Whether both threads are there."""
        self._claims: dict[str, Thread] = {}
        """Has the one thread: `setdefault` is one step, so that there is never a second."""
        self._thread: Thread | None = None
        self._told = 0
        self._stops_by = inf

    # ---- any thread

    def start(self) -> None:
        """Starts it. Two who do so at once, or one who was interrupted and does it again, start it once.

        Raises:
            ProducerClosed: the process is ending, and starts no threads any more.
            RuntimeError: there can be no more threads.
        """
        if not self.has_started:
            try:
                start(self._run, "tidemill-producer")
            except RuntimeError:
                if ending.is_ending():
                    raise ProducerClosed(ending.NO_THREADS) from None
                raise
            self.has_started = True
        # A process that ends at once must find them: Python 3.12 starts none from then on.
        self.news.wait_for(lambda: self._is_up or self.is_gone, BEGINNING)

    def look_after(self, handle: Ticket) -> None:
        """Sees to it that a request that was put into the inbox is taken soon.

        Raises:
            ProducerClosed: it has ended, such as by a signal handler amid this very `send`, and did not take it.
        """
        self.wake()
        if self.end is not None:
            if handle._record is None:
                lose(handle, self.end)
            if handle._record is not None and handle._record.last < 0:
                raise self.closed()

    def ask(self, work: Callable[[], T], timeout: float = inf) -> T:
        """Has the keeper do something: what it gives, or raises.

        Raises:
            RuntimeError: this is a thread of the producer's own.
            ProducerClosed: it has ended.
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
        """Why nothing is taken any more."""
        return ProducerClosed(*(self.end.args if self.end else ("the producer is closed; make a new one",)))

    def stop(self, timeout: float) -> bool:
        """Ends it, once the call on its way has been answered; what is not acknowledged then is given up.

        Args:
            timeout: seconds after which no answer is waited for: its requests may be on the stream or not.

        Returns:
            Whether it has ended.
        """
        end = monotonic() + timeout
        if not self.has_started and self._claim():  # nothing was sent, and ending needs no threads
            self._stop(end)
            self._end_core()
            self._leave()
            return True
        with suppress(ProducerClosed, TimeoutError):  # by another one; or a signer or a disk holds it up
            self.ask(partial(self._stop, end), timeout)
        return self.news.wait_for(lambda: self.is_gone, max(0.0, end - monotonic()) + GRACE)

    def abandon(self) -> None:
        """Ends it though it is held up, by a signer or a disk: it sends nothing more, and its inbox is refused."""
        self._stop(-inf)
        self.end = self.end or self.closed()
        self.is_abandoned = True
        lost, scheduler = self.inbox.refuse_rest(self.closed()), self.core.scheduler
        pending = scheduler.pending
        if pending + lost:
            self.left = Left(pending + lost, scheduler.maybe_stored, pending if self.core.is_patient else 0)

    def join(self) -> bool:
        """Waits for the ends of its threads, once it is stopped, and for what they had to say: whether they ended."""
        threads = [one for one in (self._thread, self._calling.thread) if one is not None]
        for thread in threads:
            with suppress(RuntimeError, AssertionError):  # one that `threading` did not start, for it could not
                thread.join(GRACE)
        self._herald.rest()
        return not any(thread.is_alive() for thread in threads) and not self._calling.is_hanging

    def retire(self) -> None:
        """Ends it once all that it has been sent has ended, and waits for nothing."""
        self.inbox.put(partial(self._retire))
        self.wake()

    def leave(self, reason: str) -> None:
        """Its threads are another process's: nothing that was sent here will ever be known here."""
        self.end = ProducerClosed(reason)
        self.is_gone = True

    def wake(self) -> None:
        """Has it look into the inbox at once."""
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
        """Whether this thread is the keeper: the first that asks is."""
        return self._claims.setdefault("keeper", current_thread()) is current_thread()

    def _end_core(self) -> None:
        self.core.end()
        self.end = self.end or self.closed()
        self._tell_observer()

    def _leave(self) -> None:
        left = self._what_is_left()
        if self.left is None:
            self.left = left
            if left is not None and self.is_abandoned:  # whoever closed it knew of none
                log.error("%s", left)
        self._observer = None  # it may hold handles, which hold this
        self.is_gone = True
        self.news.tell()

    def _what_is_left(self) -> Left | None:
        """What was not acknowledged: in the core, or still in the inbox, of which nothing will be taken any more."""
        lost = self.inbox.refuse_rest(self.closed())
        left = self.core.left
        if not lost:
            return left
        if not self._is_stopping:  # nobody waits for its end, and would say it
            log.error("%d requests were not sent: %s", lost, self.closed())
            return left
        return Left(lost, 0, 0) if left is None else left._replace(requests=left.requests + lost)

    def _own(self) -> None:
        """Makes this thread one of those that nobody and nothing foreign may hold up."""
        self.news.forbid()
        log.hand_over(self._herald.tell)

    def _turn(self) -> None:
        self.inbox.drain()
        now = monotonic()
        due = self._hand_out(now)
        if self._tell():  # without a call: their time was over, or they made room
            self._tell_observer()
            due = min(due, self.core.tend(now))
        if self._is_done(now):
            self.end = self.closed()
        else:
            self.inbox.wait(min(due, self._stops_by) - now)

    def _is_done(self, now: float) -> bool:
        """Whether it ends now: a call on its way is waited for, until it must end."""
        if self._calling.call is not None:
            return self._is_stopping and self._stops_by <= now
        return self._is_stopping or (self._is_retiring and not self.core.scheduler.pending)

    def _hand_out(self, now: float) -> float:
        """Has the next call made, if there is one and none is on its way: when there is more to do."""
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
        """Wakes those who wait, if something has ended; says whether it has."""
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
        self._is_up = True  # only now, for a thread that was asked for may never begin
        self.news.tell()

    def _made(self, call: Call, answer: Sequence[Outcome] | Refused, seconds: float) -> None:
        """A call has come back."""
        self.inbox.put(partial(self._settle, call, answer, seconds))
        self.wake()

    # ---- the end

    def _retire(self) -> None:
        self._is_retiring = True

    def _stop(self, by: float) -> None:
        self._is_stopping = True
        self._stops_by = min(self._stops_by, by)

    def _fail(self, error: BaseException) -> None:
        """What cannot be: nobody is to wait for what will not come."""
        problem = text_of(error)
        self.end = ProducerClosed(f"the producer failed: {problem}; make a new one")
        log.error("the producer failed: %s", problem)
        with suppress(BaseException):
            self.core.end(Refused(type(error).__name__, f"the producer failed: {problem}", again=False))
            self.core.note_refusals()
