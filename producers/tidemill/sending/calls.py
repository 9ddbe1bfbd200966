"""Gathers the lanes' records into PutRecords calls, which leave when the endpoint takes them.

Room: SDK core. No I/O; time is an argument.
Tests: tests/producers/tidemill/sending/test_scheduler.py.

    lane ─ board ─▶ the open call ─▶ full calls ─ take ─▶ a call, no larger than the endpoint takes
"""

from collections import deque
from math import inf

from tidemill.sending.endpoint import Endpoint
from tidemill.sending.lane import Lane
from tidemill.sending.records import CALL_BYTES, CALL_RECORDS, Buffer, Call, Record


class Calls:
    """The call that is being filled, the full ones, and when the next may leave.

    Args:
        lanes: number of lanes. Each has at most one record out, so a call with a record of every lane is full.
        hurries: whether a call leaves before it is full when a second record of one of its lanes is full: a small
            call is better than a blocked lane.

    Attributes:
        endpoint: tracks whether the endpoint answers.
    """

    __slots__ = ("_full", "_hurries", "_open", "endpoint")

    def __init__(self, lanes: int, hurries: bool) -> None:
        self.endpoint = Endpoint()
        self._hurries = hurries
        self._open: Buffer[Record, Call] = Buffer(Call, CALL_BYTES, min(CALL_RECORDS, lanes))
        self._full: deque[Call] = deque()

    @property
    def due(self) -> float:
        """When the next call should leave, regardless of the endpoint."""
        return -inf if self._full else self._open.load.due

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
        return min(due, self._open.load.due)

    def put(self, record: Record) -> bool:
        """Puts a record into the open call. Returns whether that filled a call."""
        record.aboard = True
        full = self._open.add(record, record.due)
        if full is None:
            return False
        self._full.append(full)
        return True

    def take(self, now: float) -> Call | None:
        """The next call, cut to the endpoint's limit; None if none is due or the endpoint takes none yet."""
        if self.endpoint.until > now:
            return None
        call = self._full.popleft() if self._full else None
        if call is None and self._open.load.due <= now:
            call = self._open.take()
        if call is None:
            return None
        if call.count > self.endpoint.limit:
            for record in call.cut(self.endpoint.limit):
                self.put(record)
        for record in call.records:
            record.aboard = False
        self.endpoint.left()
        return call

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
        self.endpoint = Endpoint()
