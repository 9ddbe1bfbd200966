"""The keeper: the thread that alone touches a producer's core, and the caller: the thread that makes its calls.

Room: SDK, I/O by the wire that it is given. Every decision is `core.py`'s.
Tests: tests/producers/tidemill/test_producer.py.

    any thread ─ inbox ─▶ keeper: core ─ calls ─▶ caller: wire ─ inbox ─▶ keeper: core ─ herald ─▶ observer, log

There is no lock. A request is taken by one step, `SimpleQueue.put`, which signal handlers, `__del__` and other threads
may make amid another one: an interrupt comes before that or after it. Signals never interrupt the keeper, for Python
runs their handlers in the main thread, and nothing foreign runs there but a signer. Whatever is not a request is a
question: a function that the keeper calls, while the one who asks waits for what it gives or raises.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from threading import Lock, Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, cast

from tidemill.delivery.caller import Caller
from tidemill.delivery.observer import call_made, tell, tell_of_change
from tidemill.errors import BufferFull, Left, ProducerClosed
from tidemill.runtime import bounded, ending
from tidemill.runtime.herald import Herald
from tidemill.runtime.log import log
from tidemill.runtime.threads import start
from tidemill.runtime.trouble import said_by, text_of
from tidemill.runtime.waiting import LONGEST, News
from tidemill.sending.records import Call, Record, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.delivery.caller import Makes
    from tidemill.delivery.core import Core, Ticket
    from tidemill.delivery.observer import Observer
    from tidemill.sending.records import Outcome

NAP = 0.1
"""Seconds after which it looks for requests that came while it was at work: nobody wakes it for each."""

WAKING_SIZE = 256 * 1024
"""Characters of such requests for which it is woken."""

HEAD = 200
"""Characters that the text before a counter has, about."""

CHUNK = 1_000
"""Most requests that it takes before it looks whether a call is to be made."""

GRACE = 1.0
"""Seconds more that are waited for its threads, once they are to end."""

BEGINNING = 5.0
"""Seconds at most that the first request waits for the threads to begin: less than a thousandth, as a rule."""

MOST_HUNG = 4
"""Calls at most that were given up and have not come back: with so many, another one is waited for."""

POLL = 0.5
"""Seconds after which one who asks looks whether the keeper is gone, for it may have left before it was asked."""

T = TypeVar("T")

Draft: TypeAlias = "tuple[Ticket, str, str, str, float, float]"
"""A request on its way to the core: its handle, its key, the text before its counter and behind, now, its deadline."""


class _Question(Generic[T]):
    """What somebody waits for the keeper to do."""

    __slots__ = ("_answer", "_answered", "_error", "_has_ended", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._answer: list[T] = []
        self._error: BaseException | None = None
        self._has_ended = False
        self._answered = Lock()
        self._answered.acquire()

    def answer(self) -> None:
        """Does it."""
        try:
            self._answer.append(self._work())
        except BaseException as error:  # a signer's, for the one who asks
            self._error = error
        self._end()

    def refuse(self, error: BaseException) -> None:
        """Says why it is not done."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self._has_ended = True  # for whoever asks again: the lock is released once
        self._answered.release()

    def is_answered(self, timeout: float) -> bool:
        """Whether it has been, as often as that is asked; waits for it."""
        return self._has_ended or self._answered.acquire(timeout=timeout)

    def take(self) -> T:
        """What it gave, or raised."""
        if self._error is not None:
            raise self._error
        return self._answer[0]


class Keeper:
    """Drives a core by two threads, from the first request until it is stopped.

    Args:
        core: the core. Nobody else may touch it, but for its writer's drafts and to read a number.
        wire: makes the calls.
        observer: is told of every call.

    Attributes:
        core: as given.
        news: tells when requests have been acknowledged or given up, or something has been asked.
        inbox: what is to be taken.
        size: characters of the requests in the inbox, about: `HEAD` and what is behind the counter, for each.
        naps: whether it will look into the inbox soon, and nobody need wake it for a request.
        has_started: whether it may have taken something.
        is_abandoned: whether it was held up when it was to end, and is not waited for.
        end: why it takes nothing any more; None while it does.
        left: what was not acknowledged when it ended.
        is_gone: whether it has ended, so that nothing will come of what was put into the inbox since.
    """

    def __init__(self, core: Core, wire: Makes, observer: Observer | None) -> None:
        self.core = core
        self.news = News()
        self.inbox: SimpleQueue[Draft | _Question[object] | partial[None]] = SimpleQueue()
        self.size = 0
        self.has_started = self.is_abandoned = self.is_gone = False
        self.left: Left | None = None
        self.end: ProducerClosed | None = None
        self._wire = wire
        self._observer = observer
        self._caller = self._new_caller()
        self._herald = Herald()
        self._bell: SimpleQueue[None] = SimpleQueue()
        self.naps = self._has_taken = self._is_stopping = self._is_retiring = False
        self._is_up = False
        """Whether both threads are there."""
        self._call: Call | None = None
        """The call on its way."""
        self._call_ends_by = inf
        self._hung: list[Caller] = []
        """Those whose call has been given up."""
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
                _lose(handle, self.end)
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
        question = _Question(work)
        self.inbox.put(cast("_Question[object]", question))
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
        lost, scheduler = self._refuse_rest(), self.core.scheduler
        pending = scheduler.pending
        if pending + lost:
            self.left = Left(pending + lost, scheduler.maybe_stored, pending if self.core.is_patient else 0)

    def join(self) -> bool:
        """Waits for the ends of its threads, once it is stopped, and for what they had to say: whether they ended."""
        threads = [one for one in (self._thread, self._caller.thread) if one is not None]
        for thread in threads:
            with suppress(RuntimeError, AssertionError):  # one that `threading` did not start, for it could not
                thread.join(GRACE)
        self._herald.rest()
        return not any(thread.is_alive() for thread in threads) and not any(one.is_alive for one in self._hung)

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
        self.naps = False
        self._bell.put(None)

    # ---- its thread

    def _run(self) -> None:
        if not self._claim():
            return
        self._thread = current_thread()
        self._own()
        try:
            self._caller.start()
            while self.end is None:
                self._turn()
            self._end_core()
        except BaseException as error:
            self._fail(error)
        self._end_calls()
        self._leave()
        self.news.permit()

    def _claim(self) -> bool:
        """Whether this thread is the keeper: the first that asks is."""
        return self._claims.setdefault("keeper", current_thread()) is current_thread()

    def _end_core(self) -> None:
        self.core.end()
        self.end = self.end or self.closed()
        self._tell_observer()

    def _end_calls(self) -> None:
        """Nobody waits for a call any more, so that its thread need not either."""
        self._caller.end()
        self._cut_calls()

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
        lost = self._refuse_rest()
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
        self._drain()
        now = monotonic()
        due = self._hand_out(now)
        if self._tell():  # without a call: their time was over, or they made room
            self._tell_observer()
            due = min(due, self.core.tend(now))
        if self._is_done(now):
            self.end = self.closed()
        else:
            self._sleep(min(due, self._stops_by) - now)

    def _is_done(self, now: float) -> bool:
        """Whether it ends now: a call on its way is waited for, until it must end."""
        if self._call is not None:
            return self._is_stopping and self._stops_by <= now
        return self._is_stopping or (self._is_retiring and not self.core.scheduler.pending)

    def _drain(self) -> None:
        """Takes what is in the inbox."""
        while not self._bell.empty():
            self._bell.get()
        get, take, is_plain, size = self.inbox.get_nowait, self.core.take, self.core.is_plain, 0
        for _ in range(min(self.inbox.qsize(), CHUNK)):
            item = get()
            if is_plain and type(item) is tuple:  # most often so
                handle, key, before, behind, now, deadline = item
                record, handle._place = take(key, before, behind, now, deadline)
                handle._record = record  # last: from here on others see both
                size += HEAD + len(behind)
            else:
                self._take(item)
        if size:
            self.size -= size
            self._has_taken = True
        if self.inbox.empty():
            self.size = 0  # it is not counted by single steps, so it is put right where it is known

    def _take(self, item: Draft | _Question[object] | partial[None]) -> None:
        self._has_taken = True
        if isinstance(item, tuple):
            handle, key, before, behind, now, deadline = item
            self.size -= HEAD + len(behind)
            if self.core.is_plain:
                record, place = self.core.take(key, before, behind, now, deadline)
                handle._place, handle._record = place, record
            else:
                self._keep(item)
        elif isinstance(item, _Question):
            item.answer()
        else:
            item()

    def _keep(self, draft: Draft) -> None:
        """Takes a request that nobody waits for: it comes from this very thread, such as from a signer."""
        try:
            kept = self.keep(draft)
        except Exception as error:
            _lose(draft[0], error)
        else:
            if not kept:
                _lose(draft[0], BufferFull("there is no room, and a producer's own threads do not wait for it"))

    def keep(self, draft: Draft) -> bool:
        """Takes a request that is signed or spooled; False when there is no room. Only as a question.

        Raises:
            BufferFull, SpoolBroken, UnsendableRequest, or what a signer raises: it is not taken.
        """
        handle, key, before, behind, now, deadline = draft
        taken = self.core.keep(key, before, behind, now, deadline)
        if taken is None:
            return False
        record, place = taken
        handle._place, handle._record = place, record
        return True

    def _hand_out(self, now: float) -> float:
        """Has the next call made, if there is one and none is on its way: when there is more to do."""
        if self._call is not None and self._call_ends_by <= now:
            self._give_up(self._call, now)
        if self._call is None and not self._is_stopping:
            call = self.core.next_call(now)
            if not isinstance(call, Call):
                return call
            self._call, self._call_ends_by = call, now + bounded.CALL_SECONDS
            self._caller.make(call)
        return min(self.core.tend(now), self._call_ends_by)

    def _give_up(self, call: Call, now: float) -> None:
        """Waits no more for a call that takes too long: its requests may be stored, and are sent again."""
        self._cut_calls()
        if self._replace_caller():
            problem = f"no answer in {bounded.CALL_SECONDS:.0f} s"
            self._settle(call, Refused("CallTimeout", problem, again=True, lost=True), bounded.CALL_SECONDS)
        else:
            self._call_ends_by = now + bounded.CALL_SECONDS

    def _cut_calls(self) -> None:
        for one in (*self._hung, self._caller):
            one.cut()

    def _new_caller(self) -> Caller:
        return Caller(self._wire, self._begin_calls, self.news.permit, self._made)

    def _replace_caller(self) -> bool:
        """Has another caller make the calls from now on, unless too many hang or there can be no more threads."""
        self._hung = [one for one in self._hung if one.is_alive]
        if len(self._hung) >= MOST_HUNG:
            return False
        caller = self._new_caller()
        try:
            caller.start()
        except RuntimeError:
            return False
        self._caller.end()
        self._hung.append(self._caller)
        self._caller = caller
        return True

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

    def _sleep(self, seconds: float) -> None:
        """Waits for what comes. Where requests come one after the other, it takes a nap, and they do not wake it."""
        has_taken, self._has_taken = self._has_taken, False
        if seconds <= 0:
            return
        if not has_taken:
            with suppress(Empty):
                self._take(self.inbox.get(timeout=min(seconds, LONGEST)))
            return
        self.naps = True
        if self.inbox.empty():
            with suppress(Empty):
                self._bell.get(timeout=min(seconds, NAP))
        self.naps = False

    def _settle(self, call: Call, answer: Sequence[Outcome] | Refused, seconds: float) -> None:
        if call is not self._call:
            return  # it has been given up
        now = monotonic()
        made = call_made(call, answer, seconds, self.core.stats(now)) if self._observer else None
        self._call, self._call_ends_by = None, inf
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

    def _refuse_rest(self) -> int:
        """Refuses what is in the inbox: how many requests."""
        closed, lost = self.closed(), 0
        with suppress(Empty):
            while True:
                item = self.inbox.get_nowait()
                if isinstance(item, tuple):
                    _lose(item[0], closed)
                    lost += 1
                elif isinstance(item, _Question):
                    item.refuse(closed)
        return lost


def _lose(handle: Ticket, error: Exception) -> None:
    """Ends a request that was not taken: its record never had any."""
    code = "Closed" if isinstance(error, ProducerClosed) else type(error).__name__
    record = Record(0, None)
    record.settle(Refused(code, said_by(error), again=False))
    handle._record = record
