"""What a load test sent for one key, and what went wrong with it.

Room: load, pure.
Tests: tests/infra/tidemill_bench/test_order_checker.py.
"""

from __future__ import annotations

from dataclasses import dataclass

SERIAL = "serial"
"""In a request's data: its number among those of its key, in the order sent, from 1."""


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """What was sent for one key, and what was answered.

    Attributes:
        accepted: the serial numbers answered with "accepted".
        unanswered: how many nobody answered.
    """

    accepted: tuple[int, ...] = ()
    unanswered: int = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """What went wrong; none of it should.

    Attributes:
        lost: without an answer, or accepted without effect.
        duplicates: effects beyond one per request.
        reordered: applied behind a later one of its key.
    """

    lost: int = 0
    duplicates: int = 0
    reordered: int = 0

    def plus(self, other: Faults) -> Faults:
        """Both together."""
        return Faults(self.lost + other.lost, self.duplicates + other.duplicates, self.reordered + other.reordered)
