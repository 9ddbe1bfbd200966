"""The producer's mind: what is buffered, what is on its way, what to send next. The whole pipeline is here.

Room: SDK core. No I/O; time and chance are arguments. `producer.py` gives it a thread and a wire.

    request ─ lane's buffer ─▶ record ─ calls' buffer ─▶ call ─▶ acknowledged, or back to its lane to wait

What keeps the order: a key has one lane, a lane has one record on its way, and its next record leaves only
when that one is acknowledged or given up. A record that fails is sent again as the same bytes, less the requests
whose time is over. A lane that is throttled rests between its records, and the longer the more often. All lanes
wait together while the endpoint does not answer (`endpoint.py`).
"""

from collections import deque
from collections.abc import Sequence
from functools import partial
from math import inf
from typing import Protocol

import msgspec

from tidemill.contract.lanes import LANES, MAX_BITS, PLAIN_LANES, finest_lanes, hash_key, lane_bits, partition_key
from tidemill.contract.request import Request
from tidemill.contract.validation import to_payload
from tidemill.sending.answers import unreadable
from tidemill.sending.endpoint import Endpoint
from tidemill.sending.records import (
    CALL_BYTES,
    CALL_RECORDS,
    EXPIRED,
    MAX_RECORD_BYTES,
    RECORD_BYTES,
    RECORD_REQUESTS,
    THROTTLED,
    Buffer,
    Call,
    Outcome,
    PlainRecord,
    Record,
    Refused,
)

LINGER = 0.1
"""Seconds that a request may wait for company."""

FIRST_BACKOFF = 0.1
"""Longest wait in seconds before the first retry; it doubles with each."""

LONGEST_BACKOFF = 10.0
"""Longest wait in seconds before any retry."""

FIRST_REST = 0.05
"""Seconds that a lane rests between its records once it was throttled; twice as long with each time."""

LONGEST_REST = 5.0
"""Longest such rest in seconds."""

REST_AFTER_SUCCESS = 0.85
"""What is left of a lane's rest after each record that was not throttled."""

EXPIRY_STEP = 0.1
"""Seconds that a request may outlive its deadline: looking for such requests costs more than they do."""

_LAST_REQUEST = RECORD_REQUESTS - 1
"""The place of the last request that a record may have."""

DROPPED = "Dropped"
"""The code of requests that made room for newer ones."""


class Chance(Protocol):
    """The part of `random.Random` that is needed; given, so that a run can be repeated."""

    def random(self) -> float:
        """A number from 0 up to 1."""


class Stats(msgspec.Struct, frozen=True):
    """What a producer has done so far.

    Attributes:
        requests: accepted for sending.
        refused: of those, given up: refused for good, expired, dropped, or unknown.
        expired: of the refused, those whose time was over.
        dropped: of the refused, those that made room for newer ones.
        unknown: of the refused, those that may be stored all the same, for an answer was lost.
        pending: requests not yet acknowledged or refused.
        pending_bytes: of the records that they are in.
        oldest: seconds that the oldest pending request has waited.
        records: acknowledged.
        bytes: of the acknowledged records' data.
        put_calls: PutRecords calls handed out.
        retried_entries: records that failed and were queued again.
        throttled_entries: of those, because the shard or the service said it was too fast.
    """

    requests: int = 0
    refused: int = 0
    expired: int = 0
    dropped: int = 0
    unknown: int = 0
    pending: int = 0
    pending_bytes: int = 0
    oldest: float = 0.0
    records: int = 0
    bytes: int = 0
    put_calls: int = 0
    retried_entries: int = 0
    throttled_entries: int = 0


class _Lane:
    """A lane: the record being filled, the full ones behind the one on its way."""

    __slots__ = ("attempts", "buffer", "full", "out", "ready_at", "rest")

    def __init__(self, number: int, lanes: int, size: int, aggregate: bool) -> None:
        empty = partial(Record, number, hash_key(number, lanes)) if aggregate else partial(PlainRecord, number)
        self.buffer: Buffer[tuple[str, bytes], Record] = Buffer(empty, size, RECORD_REQUESTS)
        self.full: deque[Record] = deque()
        self.out: Record | None = None
        self.ready_at: float | None = None
        """Until when it waits, to send again or to send the next."""
        self.rest = 0.0
        self.attempts = 0

    @property
    def is_in_flight(self) -> bool:
        """Whether a record has been handed out: nothing of it can be changed any more."""
        return self.out is not None and not self.out.aboard and self.ready_at is None

    @property
    def unsettled(self) -> list[Record]:
        """Its records, oldest first."""
        out = self.out  # read once: another thread may ask
        return [*([] if out is None else [out]), *self.full, *([self.buffer.load] if self.buffer.load.count else [])]

    @property
    def waiting(self) -> list[Record]:
        """Those of its records that have not been handed out, oldest first."""
        return self.unsettled[self.is_in_flight :]


class Scheduler:
    """Requests in, calls out.

    Whoever drives it calls `next_call` until it returns a time instead of a call, and tells it what became of
    every call by `acknowledged` or `failed`. Any number of calls may be on their way at once.

    Args:
        chance: where back-offs come from.
        lanes: number of lanes, a power of two. None: 64, and 512 without aggregation, for then a call takes one
            request of each.
        record_bytes: size of a full record. A larger request makes a record of its own.
        linger: seconds that a request may wait for company.
        aggregate: whether requests share records; else each is a record of its own, as it is.
        patient: whether calls that fail for good are made again all the same, for someone may mend what is wrong.
        paced: whether a lane that was throttled rests between its records.

    Raises:
        ValueError: an argument out of its range.
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
    ) -> None:
        lanes = lanes or (LANES if aggregate else PLAIN_LANES)
        self._lane_shift = MAX_BITS - lane_bits(lanes)
        longest = MAX_RECORD_BYTES - len(partition_key(lanes))  # no lane's own is longer
        if not 1 <= record_bytes <= longest:
            raise ValueError(f"record_bytes={record_bytes}: use 1 to {longest}")
        if not 0 <= linger < inf:
            raise ValueError(f"linger={linger}: use seconds, 0 or more")
        self.pending_bytes = 0
        """Bytes of the records that are neither acknowledged nor given up."""
        self.due = inf
        """No call is to be had before this time, unless something happens."""
        self._chance = chance
        self._linger = linger
        self._record_bytes = record_bytes
        self._aggregate = aggregate
        self._patient = patient
        self._paced = paced
        self._lanes = [_Lane(number, lanes, record_bytes, aggregate) for number in range(lanes)]
        # A lane has one record on its way, so a call is full when every lane is aboard.
        self._calls: Buffer[Record, Call] = Buffer(Call, CALL_BYTES, min(CALL_RECORDS, lanes))
        self._full_calls: deque[Call] = deque()
        self._deadline = inf
        self._endpoint = Endpoint()
        self._failing: set[int] = set()
        """The lanes of which a record is sent again, other than for being too fast."""
        self._news: list[Record] = []
        self._requests = self._acknowledged = self._refused = 0
        self._expired = self._dropped = self._unknown = 0
        self._records = self._bytes = self._put_calls = 0
        self._retried_entries = self._throttled_entries = 0

    # ---- requests in

    def add(self, request: Request, now: float) -> Record:
        """Buffers a request as it is: the record that it travels in.

        Raises:
            UnsendableRequest: the contract does not allow it.
        """
        payload = to_payload(request)
        return self.buffer(request.key or "", payload, now)  # it has a key: that has just been checked

    def buffer(self, key: str, payload: bytes, now: float, deadline: float = inf) -> Record:
        """Buffers what `to_payload` made of a request: the record that it travels in, as the last of that.

        Args:
            key: the ordering key.
            payload: the request's bytes.
            now: the time in seconds, on the clock of all the other calls.
            deadline: when it is given up, on the same clock.
        """
        lane = self._lanes[finest_lanes[key] >> self._lane_shift]
        record = lane.buffer.load
        before = record.size
        if 0 < record.count < _LAST_REQUEST and record.append(key, payload, self._record_bytes):
            self.pending_bytes += record.size - before  # most often so, and nothing else changes
        else:
            record = self._add(lane, (key, payload), now)
        if deadline < inf:
            record.limit(deadline)
            self._deadline = min(self._deadline, deadline)
            self.due = min(self.due, deadline)
        self._requests += 1
        return record

    # ---- calls out

    def next_call(self, now: float) -> Call | float:
        """The next call to make, or the time until which there is none (`inf`: until something happens)."""
        if now < self.due:
            return self.due
        if self._deadline <= now:
            self._expire(now)
        self._end_rests(now)
        idle = [lane for lane in self._lanes if lane.out is None and lane.ready_at is None]
        if any(lane.buffer.load.due <= now for lane in idle):
            # One lane's deadline takes all lanes along: a call costs more than a record that is not full.
            for lane in idle:
                self._seal(lane)
        call = self._take_call(now) if self._endpoint.until <= now else None
        if call is not None:
            for record in call.records:
                record.aboard = False
            self._endpoint.left()
            self._put_calls += 1
        self.due = self._next_due()
        return self.due if call is None else call

    def flush(self, now: float) -> list[Record]:
        """Makes everything buffered due at once: the records to be settled until all of it has been sent."""
        for lane in self._lanes:
            self._seal(lane)
        self._calls.hurry()
        self.due = self._next_due()
        unsettled = self._unsettled()
        for record in unsettled:
            record.due = min(record.due, now)  # those that wait for their lane board as due
        return unsettled

    # ---- what became of a call

    def acknowledged(self, call: Call, outcomes: Sequence[Outcome], now: float) -> None:
        """Takes the answer to a call: an outcome for each of its records, in their order."""
        if len(outcomes) != len(call.records):
            self.failed(call, unreadable(f"{len(outcomes)} results for {len(call.records)} records"), now)
            return
        self._endpoint.answered()
        for record, outcome in zip(call.records, outcomes, strict=True):
            self._take_outcome(record, outcome, now)
        self.due = self._next_due()

    def failed(self, call: Call, error: Refused, now: float) -> None:
        """Takes note that a call failed as a whole. Its records may have been stored if its answer was lost."""
        if self._patient:
            error = error._replace(again=True)
        until = None
        if error.again and error.code not in THROTTLED:
            until = now + backoff(self._endpoint.failures, self._chance.random())
            self._endpoint.failed(call.count, until)
        else:
            self._endpoint.answered()
        for record in call.records:
            self._take_outcome(record, error, now, until)
        self.due = self._next_due()

    @property
    def is_failing(self) -> bool:
        """Whether something has failed, other than for being too fast, and has not been stored since or given up."""
        return bool(self._failing)

    def drop_oldest(self) -> bool:
        """Gives up the oldest record that has not been handed out; False when all have."""
        leaving = self._leaving()
        waiting = [(one, lane) for lane in self._lanes for one in lane.waiting if one not in leaving]
        if not waiting:
            return False
        record, lane = min(waiting, key=lambda one: one[0].born)
        self._dropped += record.count
        self._settle(record, Refused(DROPPED, "newer requests needed its room", again=False))
        self._remove(lane, record)
        return True

    def abandon(self, error: Refused) -> None:
        """Gives up everything that is not acknowledged."""
        for lane in self._lanes:
            lost = lane.is_in_flight
            for record in lane.unsettled:
                self._settle(record, error._replace(lost=lost and record is lane.out))
            lane.buffer.take()
            lane.full.clear()
            lane.out = lane.ready_at = None
        self._calls.take()
        self._full_calls.clear()
        self._failing.clear()
        self._endpoint = Endpoint()
        self.due = self._deadline = inf

    def take_news(self) -> list[Record]:
        """The records of which all or some requests have ended since this was asked last."""
        news, self._news = self._news, []
        return news

    def stats(self, now: float) -> Stats:
        """What has been done so far."""
        born = min((record.born for record in self._unsettled()), default=now)
        return Stats(
            requests=self._requests,
            refused=self._refused,
            expired=self._expired,
            dropped=self._dropped,
            unknown=self._unknown,
            pending=self.pending,
            pending_bytes=self.pending_bytes,
            oldest=now - born,
            records=self._records,
            bytes=self._bytes,
            put_calls=self._put_calls,
            retried_entries=self._retried_entries,
            throttled_entries=self._throttled_entries,
        )

    @property
    def refused(self) -> int:
        """Requests that were given up."""
        return self._refused

    @property
    def unknown(self) -> int:
        """Of those, requests that may be stored all the same."""
        return self._unknown

    @property
    def pending(self) -> int:
        """Requests that are neither acknowledged nor given up."""
        return self._requests - self._acknowledged - self._refused

    @property
    def maybe_stored(self) -> int:
        """Of those, requests that may be stored: they are on their way, or were and no answer came."""
        outs = [(lane.out, lane.is_in_flight) for lane in self._lanes]  # both read once: another thread may ask
        return sum(out.count for out, is_in_flight in outs if out is not None and (is_in_flight or out.maybe_stored))

    # ---- lanes

    def _add(self, lane: _Lane, item: tuple[str, bytes], now: float) -> Record:
        """Adds a request that begins a record, or ends it: the record that it travels in."""
        buffer = lane.buffer
        before = buffer.load.size
        full = buffer.add(item, now + self._linger)
        record = buffer.load
        if record.count == 1:
            record.born = now
            before = 0
        self.pending_bytes += record.size - before
        if full is not None:
            self._queue(lane, full)
        if lane.out is None:
            self.due = min(self.due, record.due if lane.ready_at is None else lane.ready_at)
        return record

    def _seal(self, lane: _Lane) -> None:
        """Ends the lane's open record."""
        record = lane.buffer.take()
        if record is not None:
            self._queue(lane, record)

    def _queue(self, lane: _Lane, record: Record) -> None:
        lane.full.append(record)
        self._board(lane)

    def _board(self, lane: _Lane) -> None:
        """Puts the lane's next record into the call, if none is on its way and it need not rest."""
        if lane.out is None and lane.full and lane.ready_at is None:
            lane.out = lane.full.popleft()
            self._put_aboard(lane.out)
        if self._aggregate and lane.full and lane.out is not None and lane.out.aboard:
            # One waits behind another: better a call that is not full than a lane that stands still.
            self._calls.hurry()
        self.due = min(self.due, self._calls.load.due)

    def _put_aboard(self, record: Record) -> None:
        record.aboard = True
        full = self._calls.add(record, record.due)
        if full is not None:
            self._full_calls.append(full)
            self.due = -inf

    def _take_call(self, now: float) -> Call | None:
        """The next call, if one is due: no larger than the endpoint takes."""
        call = self._full_calls.popleft() if self._full_calls else None
        if call is None and self._calls.load.due <= now:
            call = self._calls.take()
        if call is not None and call.count > self._endpoint.limit:
            for record in call.cut(self._endpoint.limit):
                self._put_aboard(record)
        return call

    def _end_rests(self, now: float) -> None:
        for lane in self._lanes:
            if lane.ready_at is not None and lane.ready_at <= now:
                lane.ready_at = None
                if lane.out is not None:
                    self._put_aboard(lane.out)
                else:
                    self._board(lane)

    def _take_outcome(self, record: Record, outcome: Outcome, now: float, until: float | None = None) -> None:
        """Takes what became of a record. `until`: when all of its call may be sent again, if that failed as a whole."""
        lane = self._lanes[record.lane]
        if lane.out is not record:
            return  # abandoned meanwhile
        throttled = isinstance(outcome, Refused) and outcome.code in THROTTLED
        if self._paced:
            lane.rest = longer_rest(lane.rest) if throttled else lane.rest * REST_AFTER_SUCCESS
        if isinstance(outcome, Refused) and outcome.again:
            self._retried_entries += 1
            self._throttled_entries += throttled
            record.maybe_stored |= outcome.lost
            if not throttled:
                self._failing.add(record.lane)
            lane.ready_at = until
            if until is None:
                lane.ready_at = now + backoff(lane.attempts, self._chance.random()) + throttled * lane.rest
                lane.attempts += 1
            self._deadline = min(self._deadline, record.deadline)
            return
        self._settle(record, outcome)
        self._failing.discard(record.lane)
        lane.out = None
        lane.attempts = 0
        if lane.rest >= FIRST_REST / 2:
            lane.ready_at = now + lane.rest
        self._board(lane)

    def _settle(self, record: Record, outcome: Outcome) -> None:
        self.pending_bytes -= record.size
        if isinstance(outcome, Refused):
            outcome = outcome._replace(lost=outcome.lost or record.maybe_stored)
            self._refused += record.count
            self._unknown += record.count * outcome.lost
        else:
            self._acknowledged += record.count
            self._records += 1
            self._bytes += record.size
        record.settle(outcome)
        self._news.append(record)

    def _expire(self, now: float) -> None:
        """Gives up what is not in flight and whose time is over."""
        leaving = self._leaving()
        for lane in self._lanes:
            for record in lane.waiting:
                if record.deadline <= now and record not in leaving:
                    self._expire_in(lane, record, now)
        left = min((one.deadline for lane in self._lanes for one in lane.waiting), default=inf)
        self._deadline = max(left, now + EXPIRY_STEP)

    def _leaving(self) -> list[Record]:
        """The records of full calls: they stay whatever happens."""
        return [record for call in self._full_calls for record in call.records]

    def _expire_in(self, lane: _Lane, record: Record, now: float) -> None:
        before = record.size
        ended = record.expire(now)
        self._expired += ended
        self._refused += ended
        self._unknown += ended * record.maybe_stored
        self._news.append(record)
        if record.count:
            self.pending_bytes -= before - record.size
            return
        self.pending_bytes -= record.size
        record.settle(Refused(EXPIRED, "the time of all its requests was over", again=False, lost=record.maybe_stored))
        self._remove(lane, record)

    def _remove(self, lane: _Lane, record: Record) -> None:
        """Takes a record that has ended off its lane."""
        if record is lane.buffer.load:
            lane.buffer.clear()
        elif record is not lane.out:
            lane.full.remove(record)
        else:
            if record.aboard:
                self._calls.load.remove(record)
            self._failing.discard(record.lane)
            lane.out = lane.ready_at = None
            self._board(lane)

    def _unsettled(self) -> list[Record]:
        return [record for lane in self._lanes for record in lane.unsettled]

    def _next_due(self) -> float:
        due = -inf if self._full_calls else self._calls.load.due
        for lane in self._lanes:  # without a call for each: there are as many lanes as requests of a call may be
            if lane.ready_at is not None:
                if lane.ready_at < due and (lane.out is not None or lane.full or lane.buffer.load.count):
                    due = lane.ready_at
            elif lane.out is None and lane.buffer.load.due < due:
                due = lane.buffer.load.due
        return min(max(due, self._endpoint.until), self._deadline)


def longer_rest(rest: float) -> float:
    """Seconds that a lane rests between its records, once it has been throttled again."""
    return min(LONGEST_REST, max(FIRST_REST, 2 * rest))


def backoff(attempts: int, chance: float) -> float:
    """Seconds to wait after `attempts` earlier failures: exponential, with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return chance * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempts, 30))
