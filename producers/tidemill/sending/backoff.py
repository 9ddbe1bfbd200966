"""The back-off before a record is sent again, and the rests of a throttled lane between its records.

Room: SDK core. No I/O; chance is an argument.
Tests: tests/producers/tidemill/sending/test_scheduler.py.
"""

from typing import Protocol

FIRST_BACKOFF = 0.1
"""Longest wait in seconds before the first retry; it doubles with each."""

LONGEST_BACKOFF = 10.0
"""Longest wait in seconds before any retry."""

FIRST_REST = 0.05
"""Seconds that a lane rests between its records after it was throttled once; doubles with each further time."""

LONGEST_REST = 5.0
"""Longest rest of a lane in seconds."""

REST_AFTER_SUCCESS = 0.85
"""Factor by which a lane's rest shrinks after each record that was not throttled."""


class Chance(Protocol):
    """The part of `random.Random` that is needed. It is an argument, so that runs can be reproduced."""

    def random(self) -> float:
        """A number from 0 up to 1."""


def backoff(attempts: int, chance: float) -> float:
    """Seconds to wait after `attempts` earlier failures: exponential, with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return chance * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempts, 30))


def longer_rest(rest: float) -> float:
    """A lane's rest in seconds after it was throttled again."""
    return min(LONGEST_REST, max(FIRST_REST, 2 * rest))


def shorter_rest(rest: float) -> float:
    """A lane's rest in seconds after a record that was not throttled; 0 once it is short."""
    left = rest * REST_AFTER_SUCCESS
    return left if left >= FIRST_REST / 2 else 0.0
