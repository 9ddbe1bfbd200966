"""The scheduler: takes requests, makes PutRecords calls, and takes their outcomes. The pipeline is wired here.

Room: SDK core. No I/O; time and chance are arguments. Code with a clock and a network drives it: a producer's keeper
(`delivery/keeper.py`), the simulation, the consumer's emits and `tidemill redrive`.

    request ─ lane.py: a record ─▶ calls.py: a call ─▶ acknowledged, or back to its lane to wait (backoff.py)
                   └──────────────────┴─▶ giving_up.py: expired, or dropped to make room

Order is kept because a key has one lane, a lane has one record in flight, and its next record leaves only when that one
is acknowledged or given up. A record that fails is sent again as the same bytes, without the requests that have
expired; if it may be stored, with a mark that says since when (`contract/attempts.py`). Records wait until their shard
takes them (`pacing/`). All lanes wait together while the endpoint does not answer (`endpoint.py`).
"""

from collections.abc import Sequence
from math import inf

from tidemill.contract.attempts import MAX_TRIED, marked_key
from tidemill.contract.lanes import LANES, MAX_BITS, PLAIN_LANES, finest_lanes, lane_bits, partition_key
from tidemill.contract.request import Request
from tidemill.contract.validation import to_payload
from tidemill.sending.answers import unreadable
from tidemill.sending.backoff import Chance, backoff
from tidemill.sending.calls import Calls
from tidemill.sending.giving_up import GivingUp
from tidemill.sending.lane import Lane
from tidemill.sending.pacing import Pacing, Unpaced
from tidemill.sending.records import (
    MAX_RECORD_BYTES,
    RECORD_BYTES,
    RECORD_REQUESTS,
    THROTTLED,
    Call,
    Outcome,
    Record,
    Refused,
)
from tidemill.sending.stream_clock import StreamClock
from tidemill.sending.tally import Stats, Tally

LINGER = 0.1
"""Seconds that a request may wait for others to share its record."""

_LAST_REQUEST = RECORD_REQUESTS - 1
"""The place of the last request that a record may have."""


class Scheduler:
    """Turns requests into PutRecords calls, and retries or ends their records.

    Its driver calls `next_call` until that returns a time instead of a call, and reports the result of every call by
    `acknowledged` or `failed`. Any number of calls may be in flight at once.

    One idea: it passes requests and outcomes to the lanes and calls that they concern, and knows when something is due
    next. It has more than 12 methods because many are views of its parts, of a line or two.

    Args:
        chance: the source of the back-offs' jitter.
        lanes: number of lanes, a power of two. None: 64, or 512 without aggregation, where a call takes one request
            of each lane.
        record_bytes: size of a full record. A larger request makes a record of its own.
        linger: seconds that a request may wait for others to share its record.
        aggregate: whether requests share records; else each is an unaggregated record of its own.
        patient: whether to retry even calls that fail for good, because someone may cure the cause.
        paced: whether records wait for what their shards take.
        clock: the stream's, which its driver teaches by the answers. None is one that knows nothing.

    Attributes:
        due: before this time there is no call, unless something happens.
        tally: the counts, for callers that read them at each request.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        chance: Chance,
        *,
        lanes: int | None = None,
        record_bytes: int = RECORD_BYTES,
        linger: float = LINGER,
        aggregate: bool = True,
        patient: bool = False,
        paced: bool = True,
        clock: StreamClock | None = None,
    ) -> None:
        lanes = lanes or (LANES if aggregate else PLAIN_LANES)
        self._lane_shift = MAX_BITS - lane_bits(lanes)
        longest = MAX_RECORD_BYTES - len(marked_key(partition_key(lanes), MAX_TRIED))  # no lane's own is longer
        if not 1 <= record_bytes <= longest:
            raise ValueError(f"record_bytes={record_bytes}: use 1 to {longest}")
        if not 0 <= linger < inf:
            raise ValueError(f"linger={linger}: use seconds, 0 or more")
        self.due = inf
        self.tally = Tally()
        self._chance = chance
        self._linger = linger
        self._record_bytes = record_bytes
        self._patient = patient
        self._clock = clock or StreamClock()
        self._pacing = Pacing(lanes) if paced else Unpaced()
        self._lanes = [Lane(number, lanes, record_bytes, aggregate) for number in range(lanes)]
        self._calls = Calls(lanes, aggregate, self._pacing)
        self._giving_up = GivingUp(self._lanes, self._calls, self.tally)

    # ---- requests in

    def add(self, request: Request, now: float, tried: int | None = None, *, maybe_stored: bool = False) -> Record:
        """Buffers a request, without changes. Returns its record.

        Args:
            request: the request.
            now: the time in seconds, on the clock of all the other calls.
            tried: a time before which it was certainly not put, in milliseconds since 1970 by the stream's clock, such
                as the arrival of what caused it; 0: unknown. None: it is put for the first time now.
            maybe_stored: whether it may have been stored already: the same caller's earlier attempt was not
                acknowledged. It is marked at once.

        Raises:
            UnsendableRequest: the contract does not allow the request.
        """
        return self.buffer_again(request.key or "", to_payload(request), now, tried=tried, maybe_stored=maybe_stored)

    def buffer_again(
        self,
        key: str,
        payload: bytes,
        now: float,
        deadline: float = inf,
        *,
        tried: int | None,
        maybe_stored: bool = True,
    ) -> Record:
        """Buffers a request's bytes as `buffer` does, of which more may be known than that it is new: see `add`."""
        lane = self._lanes[finest_lanes[key] >> self._lane_shift]
        if lane.buffer.load.maybe_stored != maybe_stored:
            self._seal([lane])  # fresh requests are not to be marked for another's sake
        record = self.buffer(key, payload, now, deadline)
        if maybe_stored or tried is not None:
            record.attempted(tried or 0, maybe_stored)
        return record

    def buffer(self, key: str, payload: bytes, now: float, deadline: float = inf) -> Record:
        """Buffers a request's bytes. Returns its record, of which it is the last request.

        Args:
            key: the ordering key.
            payload: the request's bytes, as `to_payload` returns them.
            now: the time in seconds, on the clock of all the other calls.
            deadline: when the request is given up, on the same clock.
        """
        lane = self._lanes[finest_lanes[key] >> self._lane_shift]
        record = lane.buffer.load
        before = record.size
        tally = self.tally
        if 0 < record.count < _LAST_REQUEST and record.append(key, payload, self._record_bytes):
            tally.pending_bytes += record.size - before  # most often so, and nothing else changes
        else:
            record = self._add(lane, (key, payload), now)
        if deadline < inf:
            record.limit(deadline)
            self._giving_up.deadline = min(self._giving_up.deadline, deadline)
            self.due = min(self.due, deadline)
        tally.requests += 1
        return record

    def _add(self, lane: Lane, item: tuple[str, bytes], now: float) -> Record:
        """Adds a request that begins or fills a record. Returns its record."""
        buffer = lane.buffer
        before = buffer.load.size
        full = buffer.add(item, now + self._linger)
        record = buffer.load
        if record.count == 1:
            record.born = now
            before = 0
        self.tally.pending_bytes += record.size - before
        if full is not None:
            lane.full.append(full)
            self.due = min(self.due, self._calls.board(lane))
        if lane.out is None:
            self.due = min(self.due, record.due)
        return record

    # ---- calls out

    def next_call(self, now: float) -> Call | float:
        """The next call to make, or the time until which there is none (`inf`: until something happens)."""
        if now < self.due:
            return self.due
        if self._giving_up.deadline <= now:
            self._giving_up.expire(now)
        self._end_waits(now)
        idle = [lane for lane in self._lanes if lane.out is None]
        if any(lane.buffer.load.due <= now for lane in idle):
            # One lane's deadline takes all lanes along: a call costs more than a record that is not full.
            self._seal(idle)
        call = self._calls.take(now)
        self.due = self._next_due()
        if call is None:
            return self.due
        self.tally.put_calls += 1
        for record in call.records:
            if record.tried is None:
                record.tried = self._clock.at(now)
        return call

    def flush(self, now: float) -> list[Record]:
        """Makes everything buffered due at once. Returns the unsettled records, which all must end for the flush."""
        self._seal(self._lanes)
        self._calls.hurry()
        self.due = self._next_due()
        unsettled = self._unsettled()
        for record in unsettled:
            record.due = min(record.due, now)  # those that wait for their lane board as due
        return unsettled

    def _seal(self, lanes: Sequence[Lane]) -> None:
        """Ends the records that are being filled."""
        for lane in lanes:
            if lane.seal():
                self._calls.board(lane)

    def _end_waits(self, now: float) -> None:
        for lane in self._lanes:
            if lane.out is not None and lane.ready_at is not None and lane.ready_at <= now:
                lane.ready_at = None
                self._calls.put(lane.out)

    def _next_due(self) -> float:
        due = self._calls.due
        for lane in self._lanes:  # without a call for each: there are as many lanes as requests of a call may be
            if lane.ready_at is not None:
                if lane.ready_at < due:
                    due = lane.ready_at
            elif lane.out is None and lane.buffer.load.due < due:
                due = lane.buffer.load.due
        return min(max(due, self._calls.endpoint.until), self._giving_up.deadline)

    # ---- what became of a call

    def acknowledged(self, call: Call, outcomes: Sequence[Outcome], now: float) -> None:
        """Takes the answer to a call: an outcome for each of its records, in their order."""
        if len(outcomes) != len(call.records):
            self.failed(call, unreadable(f"{len(outcomes)} results for {len(call.records)} records"), now)
            return
        self._calls.endpoint.answered()
        for record, outcome in zip(call.records, outcomes, strict=True):
            self._take_outcome(record, outcome, now)
        self.due = self._next_due()

    def failed(self, call: Call, error: Refused, now: float) -> None:
        """Notes that a call failed as a whole. Its records may be stored if its answer was lost."""
        if self._patient:
            error = error._replace(again=True)
        until = None
        endpoint = self._calls.endpoint
        if error.again and error.code not in THROTTLED:
            until = now + backoff(endpoint.failures, self._chance.random())
            endpoint.failed(call.count, until)
        else:
            endpoint.answered()
        for record in call.records:
            self._take_outcome(record, error, now, until)
        self.due = self._next_due()

    def _take_outcome(self, record: Record, outcome: Outcome, now: float, until: float | None = None) -> None:
        """Takes a record's outcome. `until`: when its whole call may be sent again, if that failed as a whole."""
        lane = self._lanes[record.lane]
        if lane.out is not record:
            return  # abandoned meanwhile
        throttled = isinstance(outcome, Refused) and outcome.code in THROTTLED
        soon = self._pacing.note(record, outcome, now)
        if isinstance(outcome, Refused) and outcome.again:
            self.tally.retried_entries += 1
            self.tally.throttled_entries += throttled
            record.maybe_stored |= outcome.lost
            if not record.maybe_stored and (self._clock.at(now) or not record.tried):
                record.tried = None  # this attempt was none: the next is the first
            lane.retry(throttled, soon, now, until, self._chance)
            self._giving_up.deadline = min(self._giving_up.deadline, record.deadline)
            return
        self.tally.settle(record, outcome)
        lane.end()
        self._calls.board(lane)

    # ---- what is given up

    def drop_oldest(self) -> bool:
        """Gives up the oldest record that has not been handed out; False when all have."""
        dropped = self._giving_up.drop_oldest()
        if dropped:
            self.due = min(self.due, self._calls.due)  # one behind it may leave
        return dropped

    def abandon(self, error: Refused) -> None:
        """Gives up everything that is not acknowledged."""
        self._giving_up.abandon(error)
        self.due = inf

    # ---- what there is

    def take_news(self) -> list[Record]:
        """The records of which some or all requests have ended since the last call."""
        return self.tally.take_news()

    def stats(self, now: float) -> Stats:
        """The counts of what has been done so far."""
        return self.tally.stats(now - min((record.born for record in self._unsettled()), default=now))

    @property
    def is_failing(self) -> bool:
        """Whether an unsettled record has failed, other than by throttling."""
        return any(lane.is_failing for lane in self._lanes)

    @property
    def refused(self) -> int:
        """Requests that were given up."""
        return self.tally.refused

    @property
    def unknown(self) -> int:
        """Requests that were given up but may be stored."""
        return self.tally.unknown

    @property
    def pending(self) -> int:
        """Requests that are neither acknowledged nor given up."""
        return self.tally.pending

    @property
    def pending_bytes(self) -> int:
        """Bytes of the records with pending requests."""
        return self.tally.pending_bytes

    @property
    def maybe_stored(self) -> int:
        """Pending requests that may be stored: they are in flight, or were and no answer came."""
        outs = [(lane.out, lane.is_in_flight) for lane in self._lanes]  # both read once: another thread may ask
        return sum(out.count for out, is_in_flight in outs if out is not None and (is_in_flight or out.maybe_stored))

    def _unsettled(self) -> list[Record]:
        return [record for lane in self._lanes for record in lane.unsettled]
