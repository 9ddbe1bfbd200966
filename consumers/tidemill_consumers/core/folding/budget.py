"""Limits how much one write may leave on an entity: outcomes, follow-up requests, writers of re-sends; and its objects.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_room.py.
"""

from __future__ import annotations

import msgspec

MAX_OUTCOMES = 512
"""Outcomes one write may leave on one entity; the key's later requests wait until their receipts have left."""

MAX_OUTCOME_BYTES = 40 * 1024
"""Bytes of the outcomes and follow-up requests that one write may leave on one entity; the last request may pass it."""

MAX_RESENT = 512
"""Re-sends that one write may take for one entity, because each one's writer stays in the item until the next."""

MAX_OBJECT_BYTES = 8 * 1024 * 1024
"""Bytes of the objects that the rules of one write may return, for they are in memory until it ends."""


class Budget(msgspec.Struct, gc=False):
    """What a fold has left on its entity so far, and whether it may leave more.

    Attributes:
        most: bytes that it may leave.
        used: bytes left so far.
        outcomes: number of outcomes left so far.
        resent: number of re-sends so far.
        object_bytes: bytes of objects so far.
        is_full: whether the key's later requests have to wait.
    """

    most: int
    used: int = 0
    outcomes: int = 0
    resent: int = 0
    object_bytes: int = 0
    is_full: bool = False

    def take(self, size: int, outcomes: int = 0) -> None:
        """Count bytes of outcomes or follow-up requests that are left on the entity.

        Args:
            size: bytes; negative if a text is replaced by a shorter one.
            outcomes: number of additional outcomes.
        """
        self.used += size
        self.outcomes += outcomes
        self.is_full = (
            self.outcomes >= MAX_OUTCOMES
            or self.used >= self.most
            or self.resent >= MAX_RESENT
            or self.object_bytes >= MAX_OBJECT_BYTES
        )

    def take_resent(self) -> None:
        """Count a re-send."""
        self.resent += 1
        self.is_full |= self.resent >= MAX_RESENT

    def take_object(self, size: int) -> None:
        """Count an object of so many bytes."""
        self.object_bytes += size
        self.is_full |= self.object_bytes >= MAX_OBJECT_BYTES
