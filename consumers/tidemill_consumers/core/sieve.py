"""Finds the request that makes the table refuse an entity, by bisection, so that it is quarantined.

Room: core. Pure. The table refuses such a statement every time, so its shard would be blocked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tidemill_consumers.core.batch import Arrival, Position, Write
from tidemill_consumers.core.trust import unproven

REFUSED = "the table does not take what comes of it"


class Sieve:
    """The bisection for each key of a batch whose entity the table refused."""

    def __init__(self) -> None:
        self._rest: dict[str, Position] = {}
        self._condemned: set[str] = set()
        self.hopeless: dict[str, str] = {}
        """Keys whose entities are refused even if the request changes only their marks; each with the reason."""

    def again(self, pending: Sequence[Arrival], refused: Mapping[str, str]) -> list[Arrival]:
        """The pending arrivals to plan next: half of a refused key's, or its only one, condemned."""
        of_key: dict[str, list[Arrival]] = {}
        for arrival in pending:
            of_key.setdefault(arrival.key, []).append(arrival)
        chosen = {key: self._half(key, several, refused.get(key)) for key, several in of_key.items()}
        return sorted((one for several in chosen.values() for one in several), key=lambda one: one.position)

    def _half(self, key: str, several: Sequence[Arrival], reason: str | None) -> Sequence[Arrival]:
        if reason is None:
            return several
        if len(several) > 1:
            half = len(several) // 2
            self._rest[key] = several[half].position
            return several[:half]
        if key not in self._condemned:
            self._condemned.add(key)
            (one,) = several
            return [unproven(one, f"{REFUSED}: {reason}")]
        self.hopeless[key] = reason
        return ()

    def cut(self, write: Write) -> Write:
        """The write, stopped before the arrivals that were left out of it."""
        rest = self._rest.get(write.key)
        return write if rest is None else replace(write, stopped=min(rest, write.stopped or rest))
