"""The follow-up requests that an entity has emitted and that may not have left.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_plan.py and test_room.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tidemill.contract.request import Request
from tidemill_consumers.core.batch import Arrival, Emitted, Mark, Position
from tidemill_consumers.core.emits import kept_bytes
from tidemill_consumers.core.fitting import MAX_RECENT_BYTES
from tidemill_consumers.core.folding.budget import Budget


class EmitJournal(msgspec.Struct, gc=False):
    """What one entity emits while a batch is folded over it.

    Attributes:
        budget: what the fold may leave.
        emitted: follow-up requests so far: the counter of the last.
        before: those that the entity kept, for they may not have left.
        now: to be sent once the entity is saved.
        by_cause: those of `before` by the arrival that emitted them, once a redelivery asks for one.
    """

    budget: Budget
    emitted: int
    before: Sequence[Emitted]
    now: list[Emitted] = msgspec.field(default_factory=list)
    by_cause: dict[tuple[str, Position], Emitted] = msgspec.field(default_factory=dict)

    def add(self, arrival: Arrival, requests: tuple[Request, ...]) -> None:
        """A new arrival's follow-up requests."""
        self.emitted += len(requests)
        self._send(Emitted(arrival.shard, arrival.position, requests))

    def add_again(self, arrival: Arrival) -> None:
        """A redelivery's follow-up requests, which may not have left."""
        if self.before and not self.by_cause:
            self.by_cause = {(one.shard, one.position): one for one in self.before}
        emitted = self.by_cause.get((arrival.shard, arrival.position))
        if emitted is not None:
            self._send(emitted)

    def after(self, marks: Mapping[str, Mark], shard: str) -> tuple[Emitted, ...]:
        """What the entity keeps: what is sent now, and what other shards' arrivals emitted and may not have left.

        What this shard's arrivals emitted has either been met again or left before this delivery began. The oldest of
        the others' go where there is no room.

        Args:
            marks: those of the entity after the fold.
            shard: the delivery's.
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
