"""Calls: the records that lanes send are gathered into PutRecords calls, which leave as the endpoint takes them.

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
        lanes: number of lanes. Each has one record on its way, so a call is full when every lane is aboard.
        hurries: whether a call leaves as it is once a record waits behind another one of its lane: better a call that
            is not full than a lane that stands still.

    Attributes:
        endpoint: whether the endpoint answers.
    """

    __slots__ = ("_full", "_hurries", "_open", "endpoint")

    def __init__(self, lanes: int, hurries: bool) -> None:
        self.endpoint = Endpoint()
        self._hurries = hurries
        self._open: Buffer[Record, Call] = Buffer(Call, CALL_BYTES, min(CALL_RECORDS, lanes))
        self._full: deque[Call] = deque()

    @property
    def due(self) -> float:
        """When the next call is to leave, whether the endpoint answers or not."""
        return -inf if self._full else self._open.load.due

    @property
    def filled(self) -> list[Record]:
        """The records of full calls: they stay whatever happens."""
        return [record for call in self._full for record in call.records]

    def board(self, lane: Lane) -> float:
        """Puts the lane's next record into the open call, if it has one to send: when a call is to leave now."""
        due = inf
        record = lane.advance()
        if record is not None and self.put(record):
            due = -inf
        if self._hurries and lane.full and lane.out is not None and lane.out.aboard:
            self._open.hurry()
        return min(due, self._open.load.due)

    def put(self, record: Record) -> bool:
        """Puts a record into the open call; whether another call is full by that."""
        record.aboard = True
        full = self._open.add(record, record.due)
        if full is None:
            return False
        self._full.append(full)
        return True

    def take(self, now: float) -> Call | None:
        """The next call, if one is due and the endpoint takes one: no larger than it takes."""
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
        """Makes what is in the open call due at once."""
        self._open.hurry()

    def remove(self, record: Record) -> None:
        """Takes a record that has ended out of the open call."""
        self._open.load.remove(record)

    def clear(self) -> None:
        """Drops all calls, and what is known of the endpoint."""
        self._open.take()
        self._full.clear()
        self.endpoint = Endpoint()
