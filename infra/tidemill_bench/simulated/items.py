"""The items of a simulated load test: their sizes, and the writers that they remember and forget.

Room: local platform, pure. Nothing is applied, so an item is that of the application that ships after a thousand views;
how many writers it has room for is the consumer's own rule.
Tests: tests/infra/tidemill_bench/test_simulated.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Final

from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Entity, Mark, Position
from tidemill_consumers.core.fitting import FEW_WRITERS, room_for_writers
from tidemill_consumers.core.folding.item_size import bytes_beside_writers
from tidemill_consumers.core.folding.writers import ENTRY_BYTES
from tidemill_consumers.metering.capacity import WRITE_BLOCK, item_size
from tidemill_load.cost_model.cost import FORGOTTEN_BYTES, FORGOTTEN_HEAD

SHARD: Final = "wKxZ3N5dUtA/shardId-000000000000"
"""As a mark names it."""

POSITION: Final = Position(49_600_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000, 0)


class SimulatedItems:
    """The items that batches write.

    Args:
        producers: how many writers there are.
    """

    def __init__(self, producers: int) -> None:
        self._several = producers > 1
        usual = Entity(
            "content/100",
            version=200,
            document={"views": 1_000, "likes": 100},
            marks={SHARD: Mark(POSITION, 1_764_000_000.123, POSITION)},
            forgotten=1_764_000_000.123 if self._several else 0.0,
        )
        self._size = item_size(to_item(usual))
        self._room = room_for_writers(bytes_beside_writers(usual), FEW_WRITERS * ENTRY_BYTES) // ENTRY_BYTES
        self._remembered: dict[str, dict[int, None]] = {}
        self._met: dict[str, set[int]] = {}

    def write(self, requests: Iterable[tuple[str, int]]) -> tuple[int, int]:
        """The write units of a batch: of its entities, and of the writers that they forget.

        Args:
            requests: key and writer of each, in order.
        """
        if not self._several:
            keys = {key for key, _ in requests}
            self._met |= {key: {0} for key in keys}
            return len(keys) * self._units(1), 0
        units = forgotten = 0
        for key, writers in _by_key(requests).items():
            self._met.setdefault(key, set()).update(writers)
            remembered = self._remembered.setdefault(key, {})
            for writer in writers:
                remembered.pop(writer, None)
            remembered.update(writers)
            gone = max(0, len(remembered) - self._room)
            for writer in list(remembered)[:gone]:
                del remembered[writer]
            units += self._units(len(remembered))
            forgotten += gone
        return units, ceil((FORGOTTEN_HEAD + forgotten * FORGOTTEN_BYTES) / WRITE_BLOCK) if forgotten else 0

    @property
    def writers(self) -> int:
        """Writers of each entity, added up."""
        return sum(map(len, self._met.values()))

    @property
    def remembered(self) -> int:
        """Writers that each item remembers, added up."""
        return sum(map(len, self._remembered.values())) if self._several else len(self._met)

    @property
    def bytes(self) -> int:
        """Of all items."""
        return len(self._met) * self._size + self.remembered * ENTRY_BYTES

    def _units(self, writers: int) -> int:
        return ceil((self._size + writers * ENTRY_BYTES) / WRITE_BLOCK)


def _by_key(requests: Iterable[tuple[str, int]]) -> dict[str, dict[int, None]]:
    """The writers of each key, the least recent first."""
    found: dict[str, dict[int, None]] = {}
    for key, writer in requests:
        its = found.setdefault(key, {})
        its.pop(writer, None)
        its[writer] = None
    return found
