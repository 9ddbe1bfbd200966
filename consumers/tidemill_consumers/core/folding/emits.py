"""The follow-up requests of an entity that may be unsent.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_plan.py and test_room.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tidemill.contract.request import Request
from tidemill_consumers.core.batch import Arrival, Emitted, Mark, Position
from tidemill_consumers.core.emits import CLOCKS_DIFFER, kept_bytes
from tidemill_consumers.core.fitting import MAX_RECENT_BYTES
from tidemill_consumers.core.folding.budget import Budget


class EmitJournal(msgspec.Struct, gc=False):
    """The follow-up requests of one entity while a batch is folded over it.

    Attributes:
        budget: limits what the fold leaves on the entity.
        emitted: number of follow-up requests so far, which is the counter of the last.
        before: the entity's follow-up requests from before, which may be unsent.
        now: those to send once the entity is saved.
        by_cause: `before` by the arrival that emitted them; filled when a redelivery first needs it.
    """

    budget: Budget
    emitted: int
    before: Sequence[Emitted]
    now: list[Emitted] = msgspec.field(default_factory=list)
    by_cause: dict[tuple[str, Position], Emitted] = msgspec.field(default_factory=dict)

    def add(self, arrival: Arrival, requests: tuple[Request, ...]) -> None:
        """Add a new arrival's follow-up requests."""
        self.emitted += len(requests)
        self._send(Emitted(arrival.shard, arrival.position, requests, arrival.arrived - CLOCKS_DIFFER))

    def add_again(self, arrival: Arrival) -> None:
        """Add a redelivery's follow-up requests again, because they may be unsent."""
        if self.before and not self.by_cause:
            self.by_cause = {(one.shard, one.position): one for one in self.before}
        emitted = self.by_cause.get((arrival.shard, arrival.position))
        if emitted is not None:
            self._send(emitted._replace(since=arrival.arrived - CLOCKS_DIFFER))

    def after(self, marks: Mapping[str, Mark], shard: str) -> tuple[Emitted, ...]:
        """The follow-up requests that the entity keeps: those sent now, and those of other shards that may be unsent.

        Earlier ones of this shard have either been added again or left before this delivery began. The oldest ones of
        other shards are dropped if there is no room.

        Args:
            marks: the entity's marks after the fold.
            shard: the delivery's shard.
        """
        if not self.before:
            return tuple(self.now)
        room = MAX_RECENT_BYTES - self.budget.used
        kept: list[Emitted] = []
        for one in reversed(self.before):
            if one.shard in marks and one.shard != shard:
                room -= kept_bytes(one)
                if room < 0:
                    break
                kept.append(one)
        return (*kept[::-1], *self.now)

    def _send(self, emitted: Emitted) -> None:
        self.now.append(emitted)
        self.budget.take(kept_bytes(emitted))
