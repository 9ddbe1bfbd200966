"""Decides which requests are planned apart, from the deliveries of a shard that began and did not end.

Room: core. Pure. A shard's note is a hint. At worst a batch is planned apart needlessly, which only takes longer; or it
is planned as usual although one of its requests ends the process, and then it is delivered again.
"""

from __future__ import annotations

import msgspec

MAX_DEATHS = 2
"""Deliveries beginning at one record that may end their process; the next one is planned apart."""


class Noted(msgspec.Struct, frozen=True):
    """The note of a shard's deliveries.

    Attributes:
        first: the first sequence number of the latest delivery.
        begun: how many consecutive deliveries began there and did not end.
        apart: requests are planned apart up to this sequence number; 0 if none are.
    """

    first: int
    begun: int
    apart: int = 0

    @property
    def is_apart(self) -> bool:
        """Whether the latest delivery is planned apart."""
        return self.apart >= self.first


def begin(before: Noted | None, first: int, last: int) -> Noted:
    """The note as a delivery begins.

    After a failure Lambda bisects the batch. The first half begins where the batch did; the second lies below `apart`,
    so it is planned apart without ending two more processes. If a search for the request runs out of time, it goes on
    in the next delivery, which may hold further records: all of it is planned apart, until one delivery is completed.

    Args:
        before: the note so far.
        first: the delivery's first sequence number.
        last: its last sequence number.
    """
    begun = before.begun + 1 if before and before.first == first else 1
    apart = before.apart if before and before.apart >= first else 0
    return Noted(first, begun, max(apart, last) if apart or begun > MAX_DEATHS else 0)


def end(noted: Noted) -> Noted:
    """The note after a delivery that did not move its shard on: the next begins at the same record."""
    return Noted(noted.first, 0, noted.apart)
