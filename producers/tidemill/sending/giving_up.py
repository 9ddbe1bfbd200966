"""Gives up requests without an answer of the stream: expired ones, the oldest to make room, or all at the end.

Room: SDK core. No I/O; time is an argument.
Tests: tests/producers/tidemill/sending/test_scheduler.py.

Records that have been handed out, and records of a full call, are not changed.
"""

from collections.abc import Sequence
from math import inf

from tidemill.sending.calls import Calls
from tidemill.sending.lane import Lane
from tidemill.sending.records import EXPIRED, Record, Refused
from tidemill.sending.tally import Tally

EXPIRY_STEP = 0.1
"""Seconds that a request may outlive its deadline: searching for expired requests more often would cost more."""

DROPPED = "Dropped"
"""The code of requests that made room for newer ones."""


class GivingUp:
    """Gives up requests in the lanes, and in the call that is being filled.

    Args:
        lanes: all lanes.
        calls: the calls that carry their records.
        tally: counts the requests given up.

    Attributes:
        deadline: when to search for expired requests next.
    """

    __slots__ = ("_calls", "_lanes", "_tally", "deadline")

    def __init__(self, lanes: Sequence[Lane], calls: Calls, tally: Tally) -> None:
        self._lanes = lanes
        self._calls = calls
        self._tally = tally
        self.deadline = inf

    def expire(self, now: float) -> None:
        """Gives up the requests whose deadline has passed."""
        filled = self._calls.filled
        for lane in self._lanes:
            for record in lane.waiting:
                if record.deadline <= now and record not in filled:
                    self._expire_in(lane, record, now)
        left = min((one.deadline for lane in self._lanes for one in lane.waiting), default=inf)
        self.deadline = max(left, now + EXPIRY_STEP)

    def drop_oldest(self) -> bool:
        """Gives up the oldest record; False if none can be given up."""
        filled = self._calls.filled
        waiting = [(one, lane) for lane in self._lanes for one in lane.waiting if one not in filled]
        if not waiting:
            return False
        record, lane = min(waiting, key=lambda one: one[0].born)
        self._tally.dropped += record.count
        self._tally.settle(record, Refused(DROPPED, "newer requests needed its room", again=False))
        self._remove(lane, record)
        return True

    def abandon(self, error: Refused) -> None:
        """Gives up all records, including those that have been handed out, which may be stored."""
        for lane in self._lanes:
            lost = lane.is_in_flight
            for record in lane.unsettled:
                self._tally.settle(record, error._replace(lost=lost and record is lane.out))
            lane.clear()
        self._calls.clear()
        self.deadline = inf

    def _expire_in(self, lane: Lane, record: Record, now: float) -> None:
        self._tally.expire(record, now)
        if not record.count:
            why = "the time of all its requests was over"
            record.settle(Refused(EXPIRED, why, again=False, lost=record.maybe_stored))
            self._remove(lane, record)

    def _remove(self, lane: Lane, record: Record) -> None:
        """Removes a record that has ended from its lane, so that the next one may leave."""
        was_out = record is lane.out
        lane.remove(record)
        if was_out:
            if record.aboard:
                self._calls.remove(record)
            self._calls.board(lane)
