"""The core of both producers: takes requests, limits what is pending, and settles outcomes. A keeper drives it.

Room: SDK. No threads, no network and no clock; its only I/O is the spool's.
Tests: tests/producers/tidemill/test_producer.py.

One thread at a time may call it, and not while a call is running: its driver ensures that. Only its writer's `draft`
may be called, and its public numbers read, by any thread at any time.
"""

from __future__ import annotations

from math import inf
from random import Random
from secrets import token_urlsafe
from typing import TYPE_CHECKING, TypeAlias, Unpack

from msgspec.structs import replace

from tidemill.contract.request import decode
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill.delivery.refusals import Refusals
from tidemill.delivery.settings import Options
from tidemill.errors import BufferFull, Left, failure
from tidemill.runtime.log import log
from tidemill.runtime.trouble import Trouble
from tidemill.sending.records import THROTTLED, Call, Refused
from tidemill.sending.scheduler import Scheduler
from tidemill.sending.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemill.contract.request import Request
    from tidemill.delivery.settings import Settings
    from tidemill.errors import GivenUp
    from tidemill.sending.records import Outcome, Record
    from tidemill.sending.stream_clock import StreamClock
    from tidemill.sending.tally import Stats
    from tidemill.spool.spool import Spool
    from tidemill.traces import Traces

Taken: TypeAlias = "tuple[str, Record, int]"
"""A request that was taken: its id, the record that it travels in, and its place there."""


class Core:
    """The scheduler, preceded by the writer, the signer and the spool.

    One idea: it passes each request and each outcome through these parts, in order. It has more than 12 methods because
    each way in or out is a method of a few lines that calls those parts.

    Args:
        now: the time in seconds, on the clock of all the other calls.
        clock: the stream's, which the wire teaches.
        chance: the source of ids and of the back-offs' jitter; None makes one.
        settings: the producer's settings.

    Raises:
        TypeError, ValueError: a setting is out of its range.
    """

    def __init__(
        self, now: float, clock: StreamClock, chance: Random | None = None, **settings: Unpack[Settings]
    ) -> None:
        self._options = options = Options(**settings)
        self._spool = spool = options.spool
        self._signer = options.signer
        writer, counter = options.writer, options.counter
        if spool is not None:
            writer, counter = spool.writer, max(counter, spool.counter)
        chance = chance or Random()
        self.claim_check = None if options.bucket is None else options.claim_check
        self.writer = Writer(writer or token_urlsafe(9), chance, counter, options.client, self.claim_check)
        self.scheduler = Scheduler(
            chance,
            lanes=options.lanes,
            record_bytes=options.record_bytes,
            linger=options.linger,
            aggregate=options.aggregate,
            patient=spool is not None,
            clock=clock,
        )
        self.tally = self.scheduler.tally
        """The scheduler's counts, which are read for each request."""
        self.traces: Traces | None = None
        """Makes the spans of its requests, if the producer has a tracer."""
        self.close_timeout = options.close_timeout
        self.left: Left | None = None
        """Counts of the requests that were not acknowledged when it ended."""
        self._trouble = Trouble()
        self._refusals = Refusals(self.tally)
        self.ended = 0
        """Rises whenever some requests have ended."""
        self.is_plain = spool is None and self._signer is None
        """Whether requests are neither signed nor spooled."""
        self.max_pending_bytes = options.max_pending_bytes
        self.ttl = options.ttl
        self.drops, self.raises = options.when_full == "drop_oldest", options.when_full == "raise"
        self._drops_at = options.max_pending_bytes if self.drops else inf
        self._recover(now)

    @property
    def is_patient(self) -> bool:
        """Whether accepted requests outlive this process in a spool, so that calls are retried without end."""
        return self._spool is not None

    # ---- requests in

    def take(self, key: str, before: str, behind: bytes, now: float, deadline: float) -> tuple[Record, int]:
        """Takes a draft that is neither signed nor spooled. Returns its record, and its place there.

        The caller has waited for room. With "drop_oldest", this makes room if there is none.
        """
        if self.tally.pending_bytes >= self._drops_at:
            self._make_room(0)
        writer = self.writer
        writer.counter = counter = writer.counter + 1  # its `finish`, in less time
        record = self.scheduler.buffer(key, f"{before}{counter}".encode() + behind, now, deadline)
        return record, record.count + record.gone - 1  # its `last`, in less time

    def keep(self, key: str, before: str, behind: bytes, now: float, deadline: float) -> tuple[Record, int] | None:
        """Signs and spools a draft and takes it. Returns its record and place; None if there is no room."""
        payload = self.writer.finish(before, behind)
        if self._signer is not None:
            payload = to_payload(self._signer.sign(decode(payload)))
        return self._take(key, payload, now, deadline)

    def put(self, request: Request, now: float, payload: bytes = b"") -> Taken | None:
        """Takes a request without changes; None if there is no room. `payload`: its bytes, if they are known.

        If it states `tried`, it may have been stored: its record is marked, and it leaves out that field.
        """
        tried = request.tried
        if tried is not None:
            payload = to_payload(replace(request, tried=None))
        payload = payload or to_payload(request)
        if request.writer == self.writer.id:
            self.writer.skip_to(request.counter or 0)
        taken = self._take(request.key or "", payload, now, now + self._options.ttl, tried)
        if tried is not None:
            self.scheduler.flush(now)  # else later requests would share its record, and its mark
        return taken and (request.id, *taken)

    def _take(
        self, key: str, payload: bytes, now: float, deadline: float, tried: int | None = None
    ) -> tuple[Record, int] | None:
        scheduler, spool = self.scheduler, self._spool
        if not self._has_room(len(payload)) and not self._make_room(len(payload)):
            return None
        if spool is not None:
            number = spool.append(payload, self.writer.counter)
            if tried is not None:
                self._note_tried(spool, number, tried)
        if tried is None:
            record = scheduler.buffer(key, payload, now, deadline)
        else:
            record = scheduler.buffer_again(key, payload, now, deadline, tried=tried)
        place = record.last
        if spool is not None:
            record.spooled[place] = number
            scheduler.due = min(scheduler.due, spool.due)  # by then it is to be synced
        return record, place

    def _note_tried(self, spool: Spool, number: int, tried: int) -> None:
        """Notes in the spool that a request just appended may have been stored, or takes it out again."""
        try:
            spool.attempt({number: tried})
        except OSError:
            spool.settle([number])
            raise

    # ---- calls out

    def next_call(self, now: float) -> Call | float:
        """The next call to make, or the time at which something is due next."""
        due = self.tend(now)
        call = self.scheduler.next_call(now)
        if isinstance(call, Call):
            if self._spool is None or self._note(self._spool, call, now):
                return call
            call = self.scheduler.due
        return min(call, due)

    def _note(self, spool: Spool, call: Call, now: float) -> bool:
        """Notes in the spool that a call is about to leave. If that fails, the call fails and is made later."""
        try:
            spool.attempt({number: one.tried or 0 for one in call.records for number in one.spooled.values()})
        except OSError as error:
            self.settle(call, Refused(type(error).__name__, str(error), again=True), now)
            return False
        return True

    def tend(self, now: float) -> float:
        """Does due work other than calls: logs refusals, syncs the spool. Returns when such work is due next."""
        if self._refusals.due <= now:
            self._refusals.tell(now)
        due = self._refusals.due
        spool = self._spool
        if spool is None:
            return due
        if spool.due <= now:
            self._sync(spool)
        return min(due, spool.due)

    # ---- what became of them

    def settle(self, call: Call, answer: Sequence[Outcome] | Refused, now: float) -> None:
        """Takes the answer to a call."""
        if isinstance(answer, Refused):
            self.scheduler.failed(call, answer, now)
        else:
            self.scheduler.acknowledged(call, answer, now)
        if self._spool is not None:
            waiting = [one for one in call.records if one.outcome is None and not one.maybe_stored]
            if numbers := [number for one in waiting for number in one.spooled.values()]:
                self._spool.retract(numbers)
        self._say_trouble(answer, now)

    def take_news(self, now: float) -> list[Record]:
        """The records of which some or all requests have ended; the spool removes these requests."""
        news = self.scheduler.take_news()
        self.ended += len(news)
        if self._spool is not None and news:
            self._spool.settle(number for record in news for number in record.take_ended())
        self._refusals.note(news, now)
        if self.traces is not None and news:
            self.traces.ended(news)
        return news

    def note_refusals(self) -> None:
        """Keeps the refusals since the last `take_news`, after the core has ended and its spool is closed."""
        self._refusals.keep(self.scheduler.take_news())

    def take_refusal(self) -> GivenUp | None:
        """The error of a request that was given up and not reported yet, if there is any."""
        return self._refusals.take()

    def end(self, why: Refused | None = None) -> None:
        """Gives up the unacknowledged requests; a spool keeps them for the next producer."""
        kept = " and stays in the spool for the next producer" if self._spool is not None else ""
        closed = Refused("Closed", f"the producer was closed before it was acknowledged{kept}", again=False)
        self._refusals.tell(inf)
        pending, unknown = self.scheduler.pending, self.scheduler.unknown
        self.scheduler.abandon(why or closed)
        if pending and why is None:
            self.left = Left(pending, self.scheduler.unknown - unknown, 0 if self._spool is None else pending)
        if self._spool is not None:
            self._spool.close()

    def stats(self, now: float) -> Stats:
        """The counts of what has been done so far."""
        return self.scheduler.stats(now)

    # ---- what is said

    def _say_trouble(self, answer: Sequence[Outcome] | Refused, now: float) -> None:
        """Logs that sending fails and is retried, and later that it works again."""
        refused = _retried(answer, self.is_patient)
        if refused is not None:
            line = self._trouble.failed(refused.code, str(failure(refused)), now)
            if line is not None:
                log.warning("cannot send to the stream: %s", line)
        elif not self.scheduler.is_failing:
            line = self._trouble.over(now)
            if line is not None:
                log.warning("requests reach the stream again: %s; %d are pending", line, self.scheduler.pending)

    # ---- room

    def make_room(self) -> bool:
        """Whether a request can be taken now. With "drop_oldest", drops the oldest requests for it.

        Raises:
            BufferFull: there is no room, and `when_full` is "raise".
        """
        return self._has_room(0) or self._make_room(0)

    def _has_room(self, size: int) -> bool:
        if self.tally.pending_bytes >= self._options.max_pending_bytes:
            return False
        return self._spool is None or self._spool.room_for(size)

    def _make_room(self, size: int) -> bool:
        spool = self._spool
        if spool is not None and not spool.may_hold(size):
            raise UnsendableRequest("data", f"{size} bytes are more than the spool may hold; raise its max_bytes")
        if self._options.when_full == "raise":
            stats = self.scheduler.stats(0.0)
            raise BufferFull(
                f"{stats.pending} requests of {stats.pending_bytes} bytes wait for their acknowledgement; "
                "send it later, raise max_pending_bytes or the spool's max_bytes, or use when_full='wait'"
            )
        if self._options.when_full == "wait":
            return False
        while not self._has_room(size):
            if not self.scheduler.drop_oldest():
                return False
            self.take_news(-inf)  # it is said when something is due
        return True

    def _sync(self, spool: Spool) -> None:
        try:
            spool.sync()
        except OSError as error:
            log.warning("%s; what was accepted is safe from a kill, and not from a power failure", error)

    def _recover(self, now: float) -> None:
        if self._spool is None:
            return
        self._spool.claim()
        attempted, found = self._spool.attempted, list(self._spool.recover())
        for number, payload in found:
            if number in attempted:
                self._recover_one(number, payload, now, attempted[number])
        self.scheduler.flush(now)  # else fresh ones would share their records, and their marks
        for number, payload in found:  # within a lane they are the later ones
            if number not in attempted:
                self._recover_one(number, payload, now, None)
        if found:
            log.info("%d requests of the spool are sent now", len(found))

    def _recover_one(self, number: int, payload: bytes, now: float, tried: int | None) -> None:
        """Takes a request of the spool. `tried`: a time not after its first attempt; None if it was never put."""
        key, deadline = decode(payload).key or "", now + self._options.ttl
        record = self.scheduler.buffer_again(key, payload, now, deadline, tried=tried, maybe_stored=tried is not None)
        record.spooled[record.last] = number


def _retried(answer: Sequence[Outcome] | Refused, patient: bool) -> Refused | None:
    """The reason for a retry, other than throttling, if there is one. `patient`: whether all calls are retried."""
    if isinstance(answer, Refused):
        return answer if (answer.again or patient) and answer.code not in THROTTLED else None
    for outcome in answer:
        if isinstance(outcome, Refused) and outcome.again and outcome.code not in THROTTLED:
            return outcome
    return None
