"""Deliveries of a shard that began and did not end: which requests are to be planned apart.

Room: core. Pure. What is noted of a shard is a hint: at worst a batch is planned apart without need, which takes longer
and changes nothing, or as ever though one of its requests ends the process, and then it comes again.
"""

from __future__ import annotations

import msgspec

MAX_DEATHS = 2
"""Deliveries from one record on that may end their process before what follows is planned apart."""


class Noted(msgspec.Struct, frozen=True):
    """The note of a shard's deliveries.

    Attributes:
        first: the first sequence of the latest.
        begun: how many began there one after another, and did not end.
        apart: up to which sequence requests are planned apart; 0 where none are.
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

    Half of a batch, to which Lambda comes down after a failure, begins where the whole did; the other half lies before
    where the whole ended, so that it need not cost two more processes. A search for which there was no time to its end
    goes on in the next delivery, which may hold more records behind those: all of it is planned apart, until one
    delivery is done to its end.

    Args:
        before: what was known.
        first: the delivery's first sequence.
        last: its last.
    """
    begun = before.begun + 1 if before and before.first == first else 1
    apart = before.apart if before and before.apart >= first else 0
    return Noted(first, begun, max(apart, last) if apart or begun > MAX_DEATHS else 0)


def end(noted: Noted) -> Noted:
    """The note after a delivery that did not move its shard on: the next begins at the same record."""
    return Noted(noted.first, 0, noted.apart)
