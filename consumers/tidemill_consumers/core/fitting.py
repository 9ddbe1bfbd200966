"""Size limits for the parts of an entity's item, which together stay below DynamoDB's 400 KB.

Room: core. Pure. DynamoDB's page "DynamoDB item sizes and formats" says how sizes are counted; the page "Constraints in
Amazon DynamoDB" states the limit.

| part | at most |
|---|---|
| the document | item_limits.MAX_BYTES, else its request is quarantined |
| outcomes and follow-up requests | MAX_RECENT_BYTES, the oldest are dropped |
| writers | MAX_WRITER_BYTES, the least recently seen are forgotten to a table |
| marks | MAX_MARK_BYTES, those of the least recently seen shards are dropped |
| totals | MOST_TOTALS commands, of as many generations each as MOST_GENERATIONS says |
| the key and the names of the attributes | FIXED_BYTES |
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TypeVar

from tidemill_consumers.core.batch import Mark, Totals
from tidemill_consumers.core.item_limits import text_bytes

T = TypeVar("T")

MAX_RECENT_BYTES = 72 * 1024
"""Limit for all outcomes and follow-up requests kept per entity."""

MAX_WRITER_BYTES = 16 * 1024
"""Limit for the writers, of which more stay only if a batch has that many re-sends."""

FEW_WRITERS = 4
"""This many writers are remembered whatever else the item holds."""

VERIFIED_WRITERS = 64
"""This many writers of verified clients are remembered, even if they cost a write unit."""

WRITE_UNIT = 1024

MAX_MARK_BYTES = 24 * 1024
"""Limit for the marks: room for some hundred."""

MOST_TOTALS = 16
"""Commands whose totals are remembered: as many as a table of rules may have in `Aggregatable`."""

MOST_GENERATIONS = 4
"""Generations of the analytics stage that are remembered for each command."""

BYTES_OF_TOTALS = 650
"""Size of a command's name (98 characters of four bytes) and totals, at most."""

FIXED_BYTES = 1200
"""Size of the key (256 characters of four bytes) and of the attributes' names, numbers and overheads, at most."""

BYTES_OF_MARK = 176
"""Size of a mark without its shard's name, at most."""

FEW_MARKS = 32
"""This many marks always fit, however long their shards' names are."""


def latest_that_fit(items: Sequence[tuple[str, T]], each: int, room: int) -> Sequence[tuple[str, T]]:
    """The last items that fit into `room` bytes, where an item takes its name's bytes and `each` more."""
    first = len(items)
    for name, _ in reversed(items):
        room -= text_bytes(name) + each
        if room < 0:
            break
        first -= 1
    return items[first:]


def room_for_writers(beside: int, least: int) -> int:
    """The bytes of writers that an item can have without a further write unit.

    Args:
        beside: bytes of the item's other parts.
        least: bytes that its writers have in any case.
    """
    units = -(-(beside + least) // WRITE_UNIT)
    return max(least, min(units * WRITE_UNIT - beside, MAX_WRITER_BYTES))


def fitting_marks(marks: dict[str, Mark]) -> dict[str, Mark]:
    """The marks that fit; those of the least recently seen shards are dropped first."""
    if len(marks) <= FEW_MARKS:
        return marks
    latest = sorted(marks.items(), key=lambda one: one[1].arrived)
    return dict(latest_that_fit(latest, BYTES_OF_MARK, MAX_MARK_BYTES))


def fitting_totals(totals: Mapping[str, Totals], live: Container[str]) -> Mapping[str, Totals]:
    """The totals that fit. Those of commands that are not aggregatable any more go first, the longest unused before."""
    if len(totals) <= MOST_TOTALS:
        return totals
    latest = sorted(totals.items(), key=lambda one: (one[0] in live, one[1].applied))
    return dict(latest[-MOST_TOTALS:])
