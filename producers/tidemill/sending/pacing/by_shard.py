"""Paces the records of all lanes: which lane sends to which shard, and when a shard's next record may leave.

Room: SDK core. No I/O; time is an argument.

Answers name the shard of each acknowledged record, and none for a refused one: that is the lane's, as last heard of.
Lanes are neighbouring ranges of hash keys, as shards are; so a lane that was not heard of is taken to be with its
neighbour. Before any answer all lanes have one pace. After a reshard the lanes of a closed shard are heard of anew.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple, Protocol

from tidemill.sending.pacing.pace import Pace
from tidemill.sending.records import THROTTLED, Acknowledged, Outcome, Record, carried


class Division(NamedTuple):
    """Records that may leave now and those that may not yet.

    Attributes:
        going: those that leave.
        held: those that do not.
        until: when the first of the held ones may leave, unless something happens.
    """

    going: list[Record]
    held: list[Record]
    until: float


class Paces(Protocol):
    """Says which records may leave: `Pacing`, or `Unpaced`."""

    def divide(self, records: Sequence[Record], most: int, now: float) -> Division:
        """Divides records into those that leave now, `most` at most, and the others."""

    def note(self, record: Record, outcome: Outcome, now: float) -> bool:
        """Notes a record's outcome. Returns whether it may be sent again soon."""


class Unpaced:
    """Lets all records leave."""

    def divide(self, records: Sequence[Record], most: int, now: float) -> Division:
        """The first `most` records leave."""
        return Division(list(records[:most]), list(records[most:]), inf)

    def note(self, record: Record, outcome: Outcome, now: float) -> bool:
        """Learns nothing."""
        return False


class Pacing:
    """The paces of a stream's shards, by lane.

    Args:
        lanes: number of lanes.
    """

    __slots__ = ("_left_by", "_of_lane", "_of_shard", "_shards")

    def __init__(self, lanes: int) -> None:
        self._of_shard: dict[str, Pace] = {}
        self._of_lane = [Pace()] * lanes
        """The pace of each lane, which is its shard's or a neighbour's."""
        self._left_by = list(self._of_lane)
        """The pace that let the lane's last record leave."""
        self._shards: list[str | None] = [None] * lanes
        """The shard that each lane was heard of; None while it was not."""

    @property
    def shards(self) -> set[str]:
        """The shards that are known."""
        return set(self._of_shard)

    def divide(self, records: Sequence[Record], most: int, now: float) -> Division:
        """Divides records into those that leave now, `most` at most, and the others."""
        going: list[Record] = []
        held: list[Record] = []
        until = inf
        for record in records:
            pace = self._of_lane[record.lane]
            opens_at = pace.opens_at(now)
            if opens_at <= now and len(going) < most:
                pace.left(carried(record), now)
                self._left_by[record.lane] = pace
                going.append(record)
            else:
                held.append(record)
                until = min(until, opens_at)
        return Division(going, held, until)

    def note(self, record: Record, outcome: Outcome, now: float) -> bool:
        """Notes a record's outcome. Returns whether it may be sent again soon: its shard refuses records by chance."""
        pace = self._of_lane[record.lane]
        if isinstance(outcome, Acknowledged):
            self._acknowledged(record, outcome.shard, now)
        elif outcome.code in THROTTLED:
            pace.refused(now)
        return pace.chance > 0

    def _acknowledged(self, record: Record, shard: str, now: float) -> None:
        lane, size = record.lane, carried(record)
        if self._shards[lane] != shard:
            self._move(lane, shard)
        pace = self._of_lane[lane]
        if self._left_by[lane] is not pace:
            pace.left(size, now)
        pace.acknowledged(now)

    def _move(self, lane: int, shard: str) -> None:
        """Notes the shard of a lane that was not heard of, or was another's."""
        shards, before = self._shards, self._shards[lane]
        if shard not in self._of_shard:
            self._of_shard[shard] = Pace()
            shards[:] = [None if one == before else one for one in shards]  # that one is closed
        shards[lane] = shard
        self._of_lane[lane] = self._of_shard[shard]
        for neighbours in (range(lane + 1, len(shards)), range(lane - 1, -1, -1)):
            for other in neighbours:
                if shards[other] is not None:
                    break
                self._of_lane[other] = self._of_shard[shard]
        if before is not None and before not in shards:
            del self._of_shard[before]
