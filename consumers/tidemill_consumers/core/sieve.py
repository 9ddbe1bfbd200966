"""Which request it is for whose sake the table refuses an entity: found by halves, and sent to the quarantine.

Room: core. Pure. A statement that is refused for itself is refused as often as it comes, and its shard would stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tidemill_consumers.core.batch import Arrival, Position, Write
from tidemill_consumers.core.trust import unproven

REFUSED = "the table does not take what comes of it"


class Sieve:
    """The keys of a batch whose entities the table refused, on the way to the request for which it did."""

    def __init__(self) -> None:
        self._rest: dict[str, Position] = {}
        self._condemned: set[str] = set()
        self.hopeless: dict[str, str] = {}
        """Keys whose entities are refused though the request changes nothing but their marks; and why."""

    def again(self, pending: Sequence[Arrival], refused: Mapping[str, str]) -> list[Arrival]:
        """What of the pending arrivals is to be planned next: of a key that was refused half, or its one condemned."""
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
        """The write, behind whose arrivals those wait that were left out of it."""
        rest = self._rest.get(write.key)
        return write if rest is None else replace(write, stopped=min(rest, write.stopped or rest))
