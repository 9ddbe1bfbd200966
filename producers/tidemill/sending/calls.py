"""Gathers the lanes' records into PutRecords calls, which leave when their shards and the endpoint take them.

Room: SDK core. No I/O; time is an argument.
Tests: tests/producers/tidemill/sending/test_scheduler.py.

    lane ─ board ─▶ the open call ─▶ full calls ─ take ─▶ a call of what its shards take, no larger than the endpoint's
                         ▲                         │
                         └──────── put ────────────┘ what its shard does not take yet
"""

from collections import deque
from math import inf

from tidemill.sending.endpoint import Endpoint
from tidemill.sending.lane import Lane
from tidemill.sending.pacing import Paces
from tidemill.sending.records import CALL_BYTES, CALL_RECORDS, Buffer, Call, Record


class Calls:
    """The call that is being filled, the full ones, and when the next may leave.

    Args:
        lanes: number of lanes. Each has at most one record out, so a call with a record of every lane is full.
        hurries: whether a call leaves before it is full when a second record of one of its lanes is full: a small
            call is better than a blocked lane.
        pacing: says which records may leave.

    Attributes:
        endpoint: tracks whether the endpoint answers.
    """

    __slots__ = ("_full", "_held_until", "_hurries", "_open", "_pacing", "endpoint")

    def __init__(self, lanes: int, hurries: bool, pacing: Paces) -> None:
        self.endpoint = Endpoint()
        self._pacing = pacing
        self._held_until = -inf
        self._hurries = hurries
        self._open: Buffer[Record, Call] = Buffer(Call, CALL_BYTES, min(CALL_RECORDS, lanes))
        self._full: deque[Call] = deque()

    @property
    def due(self) -> float:
        """When the next call should leave, regardless of the endpoint."""
        return max(self._held_until, -inf if self._full else self._open.load.due)

    @property
    def filled(self) -> list[Record]:
        """The records of full calls, which are never removed from them."""
        return [record for call in self._full for record in call.records]

    def board(self, lane: Lane) -> float:
        """Puts the lane's next record into the open call, if it has one. Returns when the next call should leave."""
        due = inf
        record = lane.advance()
        if record is not None and self.put(record):
            due = -inf
        if self._hurries and lane.full and lane.out is not None and lane.out.aboard:
            self._open.hurry()
        return max(self._held_until, min(due, self._open.load.due))

    def put(self, record: Record) -> bool:
        """Puts a record into the open call. Returns whether that filled a call."""
        record.aboard = True
        self._held_until = -inf
        full = self._open.add(record, record.due)
        if full is None:
            return False
        self._full.append(full)
        return True

    def take(self, now: float) -> Call | None:
        """The next call: what its shards and the endpoint take now. None if there is nothing to send yet."""
        if max(self.endpoint.until, self._held_until) > now:
            return None
        until = inf
        for _ in range(len(self._full) + 1):
            call = self._next(now)
            if call is None:
                break
            division = self._pacing.divide(call.records, self.endpoint.limit, now)
            call.keep(division.going)
            for record in division.held:
                self.put(record)
            if call.records:
                for record in call.records:
                    record.aboard = False
                self.endpoint.left()
                return call
            until = min(until, division.until)
        self._held_until = -inf if until == inf else until
        return None

    def _next(self, now: float) -> Call | None:
        """Takes the oldest full call out, or else the open one if it is due."""
        if self._full:
            return self._full.popleft()
        return self._open.take() if self._open.load.due <= now else None

    def hurry(self) -> None:
        """Makes the open call due at once, unless it is empty."""
        self._open.hurry()

    def remove(self, record: Record) -> None:
        """Removes a record that has ended from the open call."""
        self._open.load.remove(record)

    def clear(self) -> None:
        """Drops all calls, and resets the endpoint."""
        self._open.take()
        self._full.clear()
        self._held_until = -inf
        self.endpoint = Endpoint()
