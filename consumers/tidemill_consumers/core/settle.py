"""Decides after saving which replies may leave, and from where to deliver again; counts what was done.

Room: core. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tidemill.contract.request import Reply
from tidemill_consumers.core.batch import Arrival, Plan, Position, Receipt, Unreadable, Verdict, Write
from tidemill_consumers.core.folding.depth import looped


@dataclass
class Counts:
    """What saved writes did: by their requests' outcomes, changed entities, and what these could not remember.

    Attributes:
        rejected: requests that their rule rejected.
        repeated: requests that their producer had sent before.
        redelivered: requests that Lambda had delivered before.
        quarantined: requests that can never be applied.
        keys: entities that changed.
        evicted: marks dropped for lack of room.
        untold: of those quarantined, the requests that cannot be told from repeats.
        looped: of those quarantined, the follow-up requests that too many emits led to.
        left: requests left to the analytics stage.
        of_key: by key, its requests.
    """

    rejected: int = 0
    repeated: int = 0
    redelivered: int = 0
    quarantined: int = 0
    keys: int = 0
    evicted: int = 0
    untold: int = 0
    looped: int = 0
    left: int = 0
    of_key: dict[str, int] = field(default_factory=dict)

    @property
    def applied(self) -> int:
        """Requests that were applied."""
        others = self.rejected + self.repeated + self.redelivered + self.quarantined
        return sum(self.of_key.values()) - others

    @property
    def hottest_key(self) -> str:
        """The key with the most requests; empty if there were none."""
        return max(self.of_key, key=self.of_key.__getitem__, default="")

    def add(self, plan: Plan, failed_keys: Collection[str]) -> None:
        """Add what a plan did, without the writes that failed: their requests are delivered again."""
        of_key = self.of_key
        for write in plan.writes:
            key = write.key
            if key in failed_keys:
                continue
            of_key[key] = of_key.get(key, 0) + write.taken
            self.keys += write.new_entity is not None
            self.rejected += write.rejected
            self.repeated += write.repeated
            self.redelivered += write.redelivered
            self.quarantined += len(write.quarantine)
            self.evicted += write.evicted
            self.untold += write.untold
            self.looped += looped(write.quarantine)


def is_proven_when_saved(write: Write) -> bool:
    """Whether the save would notice that the entity was stale when the write was planned.

    The conditional write compares versions before anything is answered or emitted. A write without a new entity is
    never compared, and a write with quarantined requests has these stored before the comparison.
    """
    is_compared_or_has_no_effect = write.new_entity is not None or not (write.receipts or write.emits)
    return is_compared_or_has_no_effect and not write.quarantine


def settle(plan: Plan, failed_keys: Collection[str]) -> Verdict:
    """The verdict once every write was tried.

    A failed key is delivered again from its first arrival; until then it answers and emits nothing.
    """
    done = [write for write in plan.writes if write.key not in failed_keys]
    return Verdict(
        receipts=tuple([receipt for write in done for receipt in write.receipts]),
        retry_from=tuple([write.first for write in plan.writes if write.key in failed_keys]),
        stopped={write.key: write.stopped for write in done if write.stopped is not None} | dict(plan.not_begun),
        emits=tuple([emitted for write in done for emitted in write.emits]),
    )


def refusals(unreadable: Iterable[Unreadable]) -> list[Receipt]:
    """The answers to unreadable requests that name a client, to be sent once these are in the quarantine."""
    return [
        Receipt(one.asker.client, Reply(one.asker.id, "quarantined", error=one.reason), one.position)
        for one in unreadable
        if one.asker is not None
    ]


def accepted(left: Iterable[Arrival]) -> list[Receipt]:
    """The answers to requests that are left to the analytics stage, and name a client."""
    return [
        Receipt(one.request.client, Reply(one.request.id, "accepted"), one.position)
        for one in left
        if one.request.client is not None
    ]


def waiting(arrivals: Iterable[Arrival], verdict: Verdict) -> list[Arrival]:
    """The arrivals to plan once the verdict's receipts and follow-up requests have left."""
    stopped = verdict.stopped
    return [arrival for arrival in arrivals if arrival.key in stopped and arrival.position >= stopped[arrival.key]]


def lowest(positions: Iterable[Position]) -> Position | None:
    """The lowest position; None if there is none.

    Lambda delivers everything from its sequence number on; marks make redeliveries harmless.
    """
    return min(positions, default=None)
