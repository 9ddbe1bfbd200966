"""What is given up without an answer of the stream: requests whose time is over, the oldest for room, or all.

Room: SDK core. No I/O; time is an argument.
Tests: tests/producers/tidemill/sending/test_scheduler.py.

Nothing changes in a record that has been handed out, nor in one of a full call.
"""

from collections.abc import Sequence
from math import inf

from tidemill.sending.calls import Calls
from tidemill.sending.lane import Lane
from tidemill.sending.records import EXPIRED, Record, Refused
from tidemill.sending.tally import Tally

EXPIRY_STEP = 0.1
"""Seconds that a request may outlive its deadline: looking for such requests costs more than they do."""

DROPPED = "Dropped"
"""The code of requests that made room for newer ones."""


class GivingUp:
    """Ends requests in the lanes, and in the call that is being filled.

    Args:
        lanes: all lanes.
        calls: where their records leave.
        tally: counts what ends.

    Attributes:
        deadline: when to look for requests whose time is over.
    """

    __slots__ = ("_calls", "_lanes", "_tally", "deadline")

    def __init__(self, lanes: Sequence[Lane], calls: Calls, tally: Tally) -> None:
        self._lanes = lanes
        self._calls = calls
        self._tally = tally
        self.deadline = inf

    def expire(self, now: float) -> None:
        """Gives up requests whose time is over."""
        filled = self._calls.filled
        for lane in self._lanes:
            for record in lane.waiting:
                if record.deadline <= now and record not in filled:
                    self._expire_in(lane, record, now)
        left = min((one.deadline for lane in self._lanes for one in lane.waiting), default=inf)
        self.deadline = max(left, now + EXPIRY_STEP)

    def drop_oldest(self) -> bool:
        """Gives up the oldest record; False when there is none that can be."""
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
        """Gives up all records, also those that have been handed out: these may be stored."""
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
        """Takes a record that has ended off its lane; the one behind it may leave."""
        was_out = record is lane.out
        lane.remove(record)
        if was_out:
            if record.aboard:
                self._calls.remove(record)
            self._calls.board(lane)
