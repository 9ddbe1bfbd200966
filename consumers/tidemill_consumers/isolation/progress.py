"""How far a record was done whose requests are more work than one delivery can do.

Room: isolation. Lambda delivers from a record's beginning, however far it was done. So where a delivery ends within
one, it notes up to where all is done: applied, answered, emitted, quarantined. The next goes on from there and spends
nothing on what stands before. The note is an item of the entities' table under a key that no request can have, one a
shard.

Its cost: one read for each batch that begins with an aggregate, one write for a delivery that ends within one. A note
is only a help: what was noted stays true, and without it marks make all that comes again harmless.
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
        """Where to go on within a record; None where nothing is noted of it, or the note cannot be read."""
        try:
            found = self._entities.load([note_key(shard)]).get(note_key(shard))
        except (Unloadable, ClientError, BotoCoreError) as error:
            log.warning("cannot read how far %s was done: %s", shard, error)
            return None
        noted = found.document if found else None
        sub = noted.get("sub") if noted and noted.get("sequence") == str(sequence) else None
        return Position(sequence, sub) if type(sub) is int and sub > 0 else None

    def note(self, shard: str, done: Position) -> None:
        """Note that all of the record is done that stands before the position."""
        key = note_key(shard)
        try:
            before = self._entities.load([key]).get(key) or Entity(key)
            document = {"sequence": str(done.sequence), "sub": done.sub}
            note = Entity(key, before.version + 1, document)
            self._entities.save([Write(key, before.version, note, done, (), (), None)])
        except (Unloadable, ClientError, BotoCoreError) as error:
            log.warning("cannot note how far %s was done: %s", shard, error)


def note_key(shard: str) -> str:
    """The key of a shard's note: longer than any request's."""
    return f"progress/{shard}".ljust(MAX_KEY_CHARACTERS + 1, ".")
