"""How far the delivery's shard has been applied to an entity, beside the other shards' marks.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_plan.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tidemill_consumers.core.batch import Arrival, Mark, Position
from tidemill_consumers.core.fitting import fitting_marks

NOWHERE = Position(-1, -1)
"""Before all records of a shard."""


class MarkJournal(msgspec.Struct, gc=False):
    """The marks of one entity while a batch of one shard is folded over it.

    Attributes:
        before: by shard, as the entity had them.
        shard: the delivery's.
        last: up to here, arrivals are redeliveries.
        latest: the last arrival that is no redelivery.
        since: the first arrival of this delivery whose answer may not have left.
        evicted: marks that had no room, of shards whose records the stream may still hold.
    """

    before: Mapping[str, Mark]
    shard: str
    last: Position = NOWHERE
    latest: Arrival | None = None
    since: Position | None = None
    evicted: int = 0

    @classmethod
    def of(cls, before: Mapping[str, Mark], shard: str) -> MarkJournal:
        """The marks before a delivery."""
        mark = before.get(shard)
        return cls(before, shard) if mark is None else cls(before, shard, mark.position)

    @property
    def current(self) -> Mark | None:
        """The shard's mark so far."""
        if self.latest is None or self.since is None:
            return self.before.get(self.shard)
        return Mark(self.latest.position, self.latest.arrived, self.since)

    def advance(self, arrival: Arrival) -> None:
        """An arrival that is no redelivery."""
        self.latest = arrival
        self.last = arrival.position
        if self.since is None:
            self.since = arrival.position

    def answer_from(self, arrival: Arrival) -> None:
        """From this redelivery on answers may not have left."""
        if self.since is None:
            self.since = arrival.position

    def after(self, retention: float) -> dict[str, Mark]:
        """The marks after the fold, without those of shards whose records the stream holds no more.

        Args:
            retention: seconds that the stream keeps a record.
        """
        marks = dict(self.before)
        if current := self.current:
            marks[self.shard] = current
        in_retention = _without_old_shards(marks, retention)
        fitting = fitting_marks(in_retention)
        self.evicted = len(in_retention) - len(fitting)
        return fitting


def _without_old_shards(marks: dict[str, Mark], retention: float) -> dict[str, Mark]:
    # By the stream's own clock: what arrived longer ago than the stream keeps cannot be delivered again.
    arrivals = [mark.arrived for mark in marks.values()]
    horizon = max(arrivals) - retention
    if min(arrivals) >= horizon:
        return marks
    return {shard: mark for shard, mark in marks.items() if mark.arrived >= horizon}
