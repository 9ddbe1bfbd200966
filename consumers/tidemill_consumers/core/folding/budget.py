"""How much one write may leave on one entity: outcomes, and follow-up requests that have not left.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_room.py.
"""

from __future__ import annotations

import msgspec

MAX_OUTCOMES = 512
"""Outcomes one write may leave on one entity; the key's later requests wait until their receipts have left."""

MAX_OUTCOME_BYTES = 40 * 1024
"""Bytes of the outcomes and follow-up requests that one write may leave on one entity; the last request may pass it."""


class Budget(msgspec.Struct, gc=False):
    """What a fold has left so far, and whether it may leave more.

    Attributes:
        most: bytes.
        used: bytes.
        outcomes: how many.
        is_full: whether the key's later requests have to wait.
    """

    most: int
    used: int = 0
    outcomes: int = 0
    is_full: bool = False

    def take(self, size: int, outcomes: int = 0) -> None:
        """Bytes are left on the entity, those of some outcomes or of follow-up requests.

        Args:
            size: negative where a text is replaced by a shorter one.
            outcomes: how many there are more.
        """
        self.used += size
        self.outcomes += outcomes
        self.is_full = self.outcomes >= MAX_OUTCOMES or self.used >= self.most
