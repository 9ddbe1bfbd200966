"""The marks of an entity: how far each shard has been applied to it.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_plan.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tidemill_consumers.core.batch import Arrival, Mark, Position
from tidemill_consumers.core.fitting import fitting_marks

NOWHERE = Position(-1, -1)
"""Before all records of a shard."""


def mark_text(mark: Mark) -> str:
    """A mark as the item has it."""
    position, since = mark.position, mark.since
    unknown = "" if mark.known else "/unknown"
    place = f"{position.sequence}/{position.sub}"  # half of the time is the long number's
    begun = place if since is position else f"{since.sequence}/{since.sub}"
    return f"{place}/{mark.arrived!r}/{begun}{unknown}"


class MarkJournal(msgspec.Struct, gc=False):
    """The marks of one entity while a batch of one shard is folded over it.

    Attributes:
        before: the entity's marks, by shard.
        shard: the delivery's shard.
        last: arrivals up to this position are redeliveries.
        latest: the last arrival that is no redelivery.
        since: the first position of this delivery whose answer may be unsent.
        evicted: number of marks that had no room, of shards whose records the stream may still hold.
    """

    before: Mapping[str, Mark]
    shard: str
    last: Position = NOWHERE
    latest: Arrival | None = None
    since: Position | None = None
    evicted: int = 0

    @classmethod
    def of(cls, before: Mapping[str, Mark], shard: str) -> MarkJournal:
        """The journal as a delivery begins."""
        mark = before.get(shard)
        return cls(before, shard) if mark is None else cls(before, shard, mark.position)

    @property
    def current(self) -> Mark | None:
        """The shard's mark so far."""
        if self.latest is None or self.since is None:
            return self.before.get(self.shard)
        return Mark(self.latest.position, self.latest.arrived, self.since)

    def move(self, arrival: Arrival) -> None:
        """Move the shard's mark on to an arrival that is no redelivery."""
        self.latest, self.last = arrival, arrival.position
        if self.since is None:
            self.since = arrival.position

    def answer_from(self, arrival: Arrival) -> None:
        """Record that the answer to this redelivery, and later ones, may be unsent."""
        if self.since is None:
            self.since = arrival.position

    def after(self, retention: float) -> dict[str, Mark]:
        """The marks after the fold, without those of shards whose records the stream no longer holds.

        Args:
            retention: seconds that the stream keeps a record.
        """
        marks = dict(self.before)
        if current := self.current:
            marks[self.shard] = current
        if len(marks) == 1:
            return marks  # as most entities': the newest mark stays whatever the retention
        in_retention = _without_old_shards(marks, retention)
        fitting = fitting_marks(in_retention)
        self.evicted = len(in_retention) - len(fitting)
        return fitting


def _without_old_shards(marks: dict[str, Mark], retention: float) -> dict[str, Mark]:
    # By the stream's own clock. A record older than the retention cannot be delivered again.
    arrivals = [mark.arrived for mark in marks.values()]
    horizon = max(arrivals) - retention
    if min(arrivals) >= horizon:
        return marks
    return {shard: mark for shard, mark in marks.items() if mark.arrived >= horizon}
