"""Notes how far into a record a delivery came, for records whose requests are more work than one delivery can do.

Room: isolation. Lambda always delivers a record from its beginning. So a delivery that ends within a record notes the
position before which everything is done: applied, answered, emitted, quarantined. The next delivery goes on from there.
The note is an item of the entities' table, one per shard, under a key that no request can have.

Cost: one read for each batch that begins with an aggregate, one write for a delivery that ends within one. A note only
saves work: it stays true once written, and without it the marks make redeliveries harmless.
"""

from __future__ import annotations

import logging

from botocore.exceptions import BotoCoreError, ClientError

from tidemill.contract.request import MAX_KEY_CHARACTERS
from tidemill_consumers.adapters.entities import Entities, Unloadable
from tidemill_consumers.core.batch import Entity, Position, Write

log = logging.getLogger(__name__)


class Progress:
    """The notes, in the table of entities."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities

    def of(self, shard: str, sequence: int) -> Position | None:
        """The position to go on from within a record; None if there is no note of it, or an unreadable one."""
        try:
            found = self._entities.load([note_key(shard)]).get(note_key(shard))
        except (Unloadable, ClientError, BotoCoreError) as error:
            log.warning("cannot read how far %s was done: %s", shard, error)
            return None
        noted = found.document if found else None
        sub = noted.get("sub") if noted and noted.get("sequence") == str(sequence) else None
        return Position(sequence, sub) if type(sub) is int and sub > 0 else None

    def note(self, shard: str, done: Position) -> None:
        """Note that everything in the record before the position is done."""
        key = note_key(shard)
        try:
            before = self._entities.load([key]).get(key) or Entity(key)
            document = {"sequence": str(done.sequence), "sub": done.sub}
            note = Entity(key, before.version + 1, document)
            self._entities.save([Write(key, before.version, note, done, (), (), None)])
        except (Unloadable, ClientError, BotoCoreError) as error:
            log.warning("cannot note how far %s was done: %s", shard, error)


def note_key(shard: str) -> str:
    """The key of a shard's note, longer than any request's key."""
    return f"progress/{shard}".ljust(MAX_KEY_CHARACTERS + 1, ".")
