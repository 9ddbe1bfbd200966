"""What a batch's saved and failed keys mean: whom to answer, and where to begin again.

Room: core. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tidemill.contract.request import Reply
from tidemill_consumers.core.batch import Arrival, Plan, Position, Receipt, Unreadable, Verdict, Write


def is_proven_when_saved(write: Write) -> bool:
    """Whether the save would notice that the entity was stale when the write was planned.

    The conditional write compares versions, before anything is answered or emitted. A write without a new entity is
    never compared, and one that quarantines requests stores them before it is.
    """
    is_compared_or_has_no_effect = write.new_entity is not None or not (write.receipts or write.emits)
    return is_compared_or_has_no_effect and not write.quarantine


def settle(plan: Plan, failed_keys: Collection[str]) -> Verdict:
    """The verdict once every write was tried.

    A failed key is delivered again from its first arrival; it answers nobody yet and emits nothing.
    """
    done = [write for write in plan.writes if write.key not in failed_keys]
    return Verdict(
        receipts=tuple([receipt for write in done for receipt in write.receipts]),
        retry_from=tuple([write.first for write in plan.writes if write.key in failed_keys]),
        stopped={write.key: write.stopped for write in done if write.stopped is not None} | dict(plan.not_begun),
        emits=tuple([emitted for write in done for emitted in write.emits]),
    )


def refusals(unreadable: Iterable[Unreadable]) -> list[Receipt]:
    """The answers to those that name somebody to answer, to be sent once they are in the quarantine."""
    return [
        Receipt(one.asker.client, Reply(one.asker.id, "quarantined", error=one.reason), one.position)
        for one in unreadable
        if one.asker is not None
    ]


def waiting(arrivals: Iterable[Arrival], verdict: Verdict) -> list[Arrival]:
    """The arrivals that go on once the verdict's receipts and follow-up requests have left."""
    stopped = verdict.stopped
    return [arrival for arrival in arrivals if arrival.key in stopped and arrival.position >= stopped[arrival.key]]


def lowest(positions: Iterable[Position]) -> Position | None:
    """The lowest of the positions; None of none.

    Its sequence number is what Lambda needs: it delivers everything from there, and marks make the rest harmless.
    """
    return min(positions, default=None)
