"""The history of one key in a load test, and the faults that were found.

Room: load, pure.
Tests: tests/infra/tidemill_bench/test_order_checker.py.
"""

from __future__ import annotations

from dataclasses import dataclass

SERIAL = "serial"
"""In a request's data: its number among those of its key, in the order sent, from 1."""


AFTER = "after"
"""In the data of one of several writers' requests: the number of its client's previous request of the key, or 0."""


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """The requests sent for one key, by their answers.

    Attributes:
        accepted: the serial numbers answered with "accepted".
        unanswered: how many nobody answered.
        excused: of several writers: how many whose client's previous request was not accepted and left no trace.
    """

    accepted: tuple[int, ...] = ()
    unanswered: int = 0
    excused: int = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """Counts of requests that were lost, applied twice or out of order; all should be 0.

    Attributes:
        lost: without an answer, or accepted without effect.
        duplicates: effects beyond one per request.
        reordered: applied behind a later one of its key.
    """

    lost: int = 0
    duplicates: int = 0
    reordered: int = 0

    def plus(self, other: Faults) -> Faults:
        """The sum of both."""
        return Faults(self.lost + other.lost, self.duplicates + other.duplicates, self.reordered + other.reordered)
