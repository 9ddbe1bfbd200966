"""Entities as the function's environment saved them last, so that it need not read them again.

Room: codec, no I/O. Another environment may have saved them since: what is planned from here is proven by the
conditional write that it leads to, and read where it leads to none.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.json import encode as to_json

from tidemill_consumers.core.batch import Entity
from tidemill_consumers.core.emits import kept_bytes
from tidemill_consumers.core.outcomes import bytes_of_all

SAMPLES = 50
"""Entities that are read all the same, to learn whether another environment was at work: a conflict costs more than
five reads."""

BYTES_OF_ANY = 500
"""Of an entity's key, version and names, roughly."""

BYTES_OF_PLACE = 150
"""Of a mark or a writer, roughly."""


class EntityCache:
    """The latest entities that fit.

    Args:
        max_bytes: of all of them, as JSON, roughly; in memory they take some five times that.
        samples: how many of those that are wanted are read all the same.
    """

    def __init__(self, max_bytes: int, samples: int = SAMPLES) -> None:
        self.samples = samples
        self._room = max_bytes
        self._entities: dict[str, tuple[Entity, int]] = {}  # the oldest first

    def take(self, keys: Iterable[str]) -> dict[str, Entity]:
        """Those that are remembered among the keys. They are forgotten: only what is saved is worth remembering."""
        held = self._entities
        taken = {key: held.pop(key) for key in keys if key in held}
        self._room += sum([size for _, size in taken.values()])
        return {key: entity for key, (entity, _) in taken.items()}

    def keep(self, entities: Iterable[Entity]) -> None:
        """Remember these, and forget the oldest where there is no room."""
        held = self._entities
        for entity in entities:
            _, before = held.pop(entity.key, (None, 0))
            size = _bytes_of(entity)
            self._room += before - size
            held[entity.key] = entity, size
        while self._room < 0:
            _, size = held.pop(next(iter(held)))
            self._room += size

    def forget(self) -> None:
        """Forget all."""
        self.take(list(self._entities))


def _bytes_of(entity: Entity) -> int:
    size = BYTES_OF_ANY + BYTES_OF_PLACE * (len(entity.marks) + len(entity.writers)) + len(to_json(entity.document))
    if entity.recent:
        size += bytes_of_all(entity.recent.values())
    if entity.emits:
        size += sum(map(kept_bytes, entity.emits))
    return size
