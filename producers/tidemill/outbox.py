"""The producer's mind: what is buffered, what is on its way, what to send next. The whole pipeline is here.

Room: SDK core. No I/O; time and chance are arguments. `producer.py` gives it a thread and a wire.

    request ─ lane's buffer ─▶ record ─ calls' buffer ─▶ call ─▶ acknowledged, or back to its lane to wait

What keeps the order: a key has one lane, a lane has one record on its way, and its next record leaves only
when that one is acknowledged. A record that fails is sent again as the same bytes.
"""

from collections import deque
from collections.abc import Sequence
from math import inf
from typing import Protocol

import msgspec

from tidemill.buffer import (
    CALL_BYTES,
    CALL_RECORDS,
    MAX_RECORD_BYTES,
    RECORD_BYTES,
    RECORD_REQUESTS,
    THROTTLED,
    Buffer,
    Call,
    Outcome,
    Record,
    Refused,
)
from tidemill.lane import LANES, hash_key, lane_bits, lane_of, partition_key
from tidemill.request import Document, Request
from tidemill.sendable import to_payload, uuid7

LINGER = 0.1
"""Seconds that a request may wait for company."""

FIRST_BACKOFF = 0.1
"""Longest wait in seconds before the first retry; it doubles with each."""

LONGEST_BACKOFF = 10.0
"""Longest wait in seconds before any retry."""


class Chance(Protocol):
    """The part of `random.Random` that is needed; given, so that a run can be repeated."""

    def random(self) -> float:
        """A number from 0 up to 1."""

    def getrandbits(self, k: int, /) -> int:
        """A number of `k` bits."""


class Stats(msgspec.Struct, frozen=True):
    """What a producer has done so far.

    Attributes:
        requests: accepted for sending.
        refused: of those, given up for an error that no retry can cure.
        pending: of those, not yet acknowledged or refused.
        records: acknowledged.
        bytes: of the acknowledged records' data.
        put_calls: PutRecords calls handed out.
        retried_entries: records that failed and were queued again.
        throttled_entries: of those, because the shard or the service said it was too fast.
    """

    requests: int = 0
    refused: int = 0
    pending: int = 0
    records: int = 0
    bytes: int = 0
    put_calls: int = 0
    retried_entries: int = 0
    throttled_entries: int = 0


class _Lane:
    """A lane: the record being filled, the full ones behind the one on its way."""

    __slots__ = ("attempts", "buffer", "full", "out", "ready_at")

    def __init__(self, number: int, lanes: int, size: int) -> None:
        key = hash_key(number, lanes)
        self.buffer: Buffer[tuple[str, bytes], Record] = Buffer(lambda: Record(number, key), size, RECORD_REQUESTS)
        self.full: deque[Record] = deque()
        self.out: Record | None = None
        self.ready_at: float | None = None
        self.attempts = 0


class Outbox:
    """Requests in, calls out.

    Whoever drives it calls `next_call` until it returns a time instead of a call, and tells it what became of
    every call by `acknowledged` or `failed`. Any number of calls may be on their way at once.

    Args:
        writer: the writer id of the requests made here.
        chance: where ids and back-offs come from.
        lanes: number of lanes, a power of two.
        record_bytes: size of a full record. A larger request makes a record of its own.
        linger: seconds that a request may wait for company.
        counter: the highest counter that the writer has used.

    Raises:
        ValueError: an argument out of its range.
    """

    def __init__(
        self,
        writer: str,
        chance: Chance,
        *,
        lanes: int = LANES,
        record_bytes: int = RECORD_BYTES,
        linger: float = LINGER,
        counter: int = 0,
    ) -> None:
        lane_bits(lanes)
        longest = MAX_RECORD_BYTES - len(partition_key(lanes - 1))
        if not 1 <= record_bytes <= longest:
            raise ValueError(f"record_bytes={record_bytes}: use 1 to {longest}")
        if not 0 <= linger < inf:
            raise ValueError(f"linger={linger}: use seconds, 0 or more")
        self.writer = writer
        self.counter = counter
        self.pending_bytes = 0
        """Bytes of the records that are neither acknowledged nor given up."""
        self.due = inf
        """No call is to be had before this time, unless something happens."""
        self._chance = chance
        self._linger = linger
        self._lanes = [_Lane(number, lanes, record_bytes) for number in range(lanes)]
        # A lane has one record on its way, so a call is full when every lane is aboard.
        self._calls: Buffer[Record, Call] = Buffer(Call, CALL_BYTES, min(CALL_RECORDS, lanes))
        self._full_calls: deque[Call] = deque()
        self._requests = self._acknowledged = self._refused = 0
        self._records = self._bytes = self._put_calls = 0
        self._retried_entries = self._throttled_entries = 0

    # ---- requests in

    def send(
        self,
        cmd: str,
        *,
        key: str,
        data: Document,
        client: str | None,
        id: str | None,  # noqa: A002 - the contract's own name
        at: int,
        now: float,
    ) -> tuple[str, Record]:
        """Makes a request of this writer and buffers it: its id, and the record that it travels in.

        Args:
            cmd: the command.
            key: the ordering key.
            data: the command's data.
            client: who sends it.
            id: its id; None makes a UUIDv7.
            at: the client's clock, milliseconds since 1970.
            now: the time in seconds, on the clock of all the other calls.

        Raises:
            UnsendableRequest: the contract does not allow it.
        """
        request = Request(
            id=uuid7(at, self._chance.getrandbits(74)) if id is None else id,
            cmd=cmd,
            key=key,
            client=client,
            writer=self.writer,
            counter=self.counter + 1,
            at=at,
            data=data,
        )
        record = self.add(request, now)
        self.counter += 1
        return request.id, record

    def add(self, request: Request, now: float) -> Record:
        """Buffers a request as it is: the record that it travels in.

        Raises:
            UnsendableRequest: the contract does not allow it.
        """
        payload = to_payload(request)
        key = request.key or ""  # it has one: that has just been checked
        lane = self._lanes[lane_of(key, len(self._lanes))]
        buffer = lane.buffer
        before = buffer.load.size
        full = buffer.add((key, payload), now + self._linger)
        record = buffer.load
        self.pending_bytes += record.size if record.count == 1 else record.size - before
        if full is not None:
            self._queue(lane, full)
        if record.due < self.due and lane.out is None:
            self.due = record.due
        self._requests += 1
        return record

    # ---- calls out

    def next_call(self, now: float) -> Call | float:
        """The next call to make, or the time until which there is none (`inf`: until something happens)."""
        self._end_backoffs(now)
        idle = [lane for lane in self._lanes if lane.out is None]
        if any(lane.buffer.load.due <= now for lane in idle):
            # One lane's deadline takes all lanes along: a call costs more than a record that is not full.
            for lane in idle:
                self._seal(lane)
        call = self._full_calls.popleft() if self._full_calls else None
        if call is None and self._calls.load.due <= now:
            call = self._calls.take()
        self.due = self._next_due()
        if call is None:
            return self.due
        for record in call.records:
            record.aboard = False
        self._put_calls += 1
        return call

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
            message = f"{len(outcomes)} results for {len(call.records)} records"
            self.failed(call, Refused("MalformedResponse", message, again=True), now)
            return
        for record, outcome in zip(call.records, outcomes, strict=True):
            self._take_outcome(record, outcome, now)
        self.due = self._next_due()

    def failed(self, call: Call, error: Refused, now: float) -> None:
        """Takes note that a call failed as a whole. Its records may have been stored, or not."""
        for record in call.records:
            self._take_outcome(record, error, now)
        self.due = self._next_due()

    def abandon(self, error: Refused) -> None:
        """Gives up everything that is not acknowledged."""
        for record in self._unsettled():
            self._settle(record, error)
        for lane in self._lanes:
            lane.buffer.take()
            lane.full.clear()
            lane.out = lane.ready_at = None
        self._calls.take()
        self._full_calls.clear()
        self.due = inf

    @property
    def stats(self) -> Stats:
        """What has been done so far."""
        return Stats(
            requests=self._requests,
            refused=self._refused,
            pending=self.pending,
            records=self._records,
            bytes=self._bytes,
            put_calls=self._put_calls,
            retried_entries=self._retried_entries,
            throttled_entries=self._throttled_entries,
        )

    @property
    def pending(self) -> int:
        """Requests that are neither acknowledged nor given up."""
        return self._requests - self._acknowledged - self._refused

    # ---- lanes

    def _seal(self, lane: _Lane) -> None:
        """Ends the lane's open record."""
        record = lane.buffer.take()
        if record is not None:
            self._queue(lane, record)

    def _queue(self, lane: _Lane, record: Record) -> None:
        lane.full.append(record)
        self._board(lane)
        self.due = min(self.due, self._calls.load.due)

    def _board(self, lane: _Lane) -> None:
        """Puts the lane's next record into the call, if none is on its way."""
        if lane.out is None and lane.full:
            lane.out = lane.full.popleft()
            self._put_aboard(lane.out)
        if lane.full and lane.out is not None and lane.out.aboard:
            # One waits behind another: better a call that is not full than a lane that stands still.
            self._calls.hurry()

    def _put_aboard(self, record: Record) -> None:
        record.aboard = True
        full = self._calls.add(record, record.due)
        if full is not None:
            self._full_calls.append(full)
            self.due = -inf

    def _end_backoffs(self, now: float) -> None:
        for lane in self._lanes:
            if lane.ready_at is not None and lane.ready_at <= now and lane.out is not None:
                lane.ready_at = None
                self._put_aboard(lane.out)

    def _take_outcome(self, record: Record, outcome: Outcome, now: float) -> None:
        lane = self._lanes[record.lane]
        if lane.out is not record:
            return  # abandoned meanwhile
        if isinstance(outcome, Refused) and outcome.again:
            self._retried_entries += 1
            self._throttled_entries += outcome.code in THROTTLED
            lane.ready_at = now + backoff(lane.attempts, self._chance.random())
            lane.attempts += 1
            return
        self._settle(record, outcome)
        lane.out = None
        lane.attempts = 0
        self._board(lane)

    def _settle(self, record: Record, outcome: Outcome) -> None:
        self.pending_bytes -= record.size
        if isinstance(outcome, Refused):
            self._refused += record.count
        else:
            self._acknowledged += record.count
            self._records += 1
            self._bytes += record.size
        record.settle(outcome)

    def _unsettled(self) -> list[Record]:
        found: list[Record] = []
        for lane in self._lanes:
            found += [lane.out] if lane.out is not None else []
            found += lane.full
            found += [lane.buffer.load] if lane.buffer.load.count else []
        return found

    def _next_due(self) -> float:
        if self._full_calls:
            return -inf
        due = self._calls.load.due
        for lane in self._lanes:
            if lane.out is None:
                due = min(due, lane.buffer.load.due)
            elif lane.ready_at is not None:
                due = min(due, lane.ready_at)
        return due


def backoff(attempts: int, chance: float) -> float:
    """Seconds to wait after `attempts` earlier failures: exponential, with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return chance * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempts, 30))
