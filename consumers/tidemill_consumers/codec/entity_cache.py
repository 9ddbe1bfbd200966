"""A cache of the entities that this execution environment saved last, which saves reading them again.

Room: codec, no I/O. Cached entities may be stale, if another environment saved them since; the conditional write
detects it. A plan that leads to no such write is made from a fresh read.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, repeat

from msgspec.json import encode as to_json

from tidemill_consumers.core.batch import Entity
from tidemill_consumers.core.emits import kept_bytes
from tidemill_consumers.core.fitting import BYTES_OF_TOTALS
from tidemill_consumers.core.outcomes import bytes_of_all

SAMPLES = 50
"""Cached entities that are read anyway, to detect another environment's writes: a conflict costs more than five
reads."""

BYTES_OF_ANY = 500
"""Rough size of an entity's key, version and names."""

BYTES_OF_PLACE = 150
"""Rough size of a mark."""


class EntityCache:
    """The most recently saved entities that fit.

    Args:
        max_bytes: of all of them together, as JSON or MessagePack, roughly; in memory they take some five times that.
        samples: how many of the wanted entities are read anyway.
    """

    def __init__(self, max_bytes: int, samples: int = SAMPLES) -> None:
        self.samples = samples
        self._room = max_bytes
        self._entities: dict[str, tuple[Entity, int]] = {}  # the oldest first

    def take(self, keys: Iterable[str]) -> dict[str, Entity]:
        """Remove and return the cached entities of the keys: they come back when they are saved."""
        held = self._entities
        taken = {key: held.pop(key) for key in keys if key in held}
        self._room += sum([size for _, size in taken.values()])
        return {key: entity for key, (entity, _) in taken.items()}

    def keep(self, entities: Iterable[Entity], document_bytes: Iterable[int] = ()) -> None:
        """Cache these entities, and drop the oldest if there is no room.

        Args:
            entities: the entities.
            document_bytes: the sizes of their documents as MessagePack, as far as known; 0: not known.
        """
        held = self._entities
        for entity, known in zip(entities, chain(document_bytes, repeat(0)), strict=False):
            before = held.pop(entity.key, None)
            if before is not None:
                self._room += before[1]
            size = (known or len(to_json(entity.document))) + _bytes_beside_document(entity)
            self._room -= size
            held[entity.key] = entity, size
        dropped: list[str] = []
        for key, (_, size) in held.items():
            if self._room >= 0:
                break
            dropped.append(key)
            self._room += size
        for key in dropped:  # one after another from the front, a dictionary would be walked through anew for each
            del held[key]

    def forget(self) -> None:
        """Drop all entities."""
        self.take(list(self._entities))


def _bytes_beside_document(entity: Entity) -> int:
    size = BYTES_OF_ANY + BYTES_OF_PLACE * len(entity.marks) + len(entity.writers) + len(entity.redriven)
    size += BYTES_OF_TOTALS * len(entity.totals)
    if entity.recent:
        size += bytes_of_all(entity.recent.values())
    if entity.emits:
        size += sum(map(kept_bytes, entity.emits))
    return size
