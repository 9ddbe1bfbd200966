"""What an entity's item may hold, in bytes: each part has its room, and all rooms together are below DynamoDB's 400 KB.

Room: core. Pure. Sizes as DynamoDB counts them: the page "DynamoDB item sizes and formats"; the limit: "Constraints in
Amazon DynamoDB".

| part | at most |
|---|---|
| the document | item_limits.MAX_BYTES, else its request is quarantined |
| outcomes and follow-up requests | MAX_RECENT_BYTES, the oldest go |
| writers, of each of three kinds | MAX_WRITER_BYTES, the least recently seen go |
| marks | MAX_MARK_BYTES, those of the shards that were seen longest ago go |
| the key and the names of the attributes | FIXED_BYTES |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from tidemill_consumers.core.batch import Mark
from tidemill_consumers.core.item_limits import text_bytes

T = TypeVar("T")

MAX_RECENT_BYTES = 72 * 1024
"""Of all outcomes and follow-up requests kept per entity."""

MAX_WRITER_BYTES = 14 * 1024
"""Of the writers of one kind. 64 of verified clients, whose names are longest, take 12 KiB."""

MAX_MARK_BYTES = 24 * 1024
"""Of the marks, some hundred."""

FIXED_BYTES = 1200
"""Of the key, 256 characters of four bytes each, and of the attributes' names, numbers and overheads."""

BYTES_OF_WRITER = 56
"""Of a writer beside its name, at most: three numbers as text, and DynamoDB's byte for an element."""

BYTES_OF_MARK = 176
"""Of a mark beside its shard's name, at most."""

FEW_MARKS = 32
"""Marks that fit whatever their shards' names are."""


def latest_that_fit(items: Sequence[tuple[str, T]], each: int, room: int) -> Sequence[tuple[str, T]]:
    """The last of the items that fit into a room, with their names and so many bytes besides."""
    first = len(items)
    for name, _ in reversed(items):
        room -= text_bytes(name) + each
        if room < 0:
            break
        first -= 1
    return items[first:]


def fitting_marks(marks: dict[str, Mark]) -> dict[str, Mark]:
    """The marks that fit: what the entity knows of shards seen longest ago has to go first."""
    if len(marks) <= FEW_MARKS:
        return marks
    latest = sorted(marks.items(), key=lambda one: one[1].arrived)
    return dict(latest_that_fit(latest, BYTES_OF_MARK, MAX_MARK_BYTES))
