"""How long to wait before a record is sent again, and how long a throttled lane rests between its records.

Room: SDK core. No I/O; chance is an argument.
Tests: tests/producers/tidemill/sending/test_scheduler.py.
"""

from typing import Protocol

FIRST_BACKOFF = 0.1
"""Longest wait in seconds before the first retry; it doubles with each."""

LONGEST_BACKOFF = 10.0
"""Longest wait in seconds before any retry."""

FIRST_REST = 0.05
"""Seconds that a lane rests between its records once it was throttled; twice as long with each time."""

LONGEST_REST = 5.0
"""Longest such rest in seconds."""

REST_AFTER_SUCCESS = 0.85
"""What is left of a lane's rest after each record that was not throttled."""


class Chance(Protocol):
    """The part of `random.Random` that is needed; given, so that a run can be repeated."""

    def random(self) -> float:
        """A number from 0 up to 1."""


def backoff(attempts: int, chance: float) -> float:
    """Seconds to wait after `attempts` earlier failures: exponential, with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return chance * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempts, 30))


def longer_rest(rest: float) -> float:
    """Seconds that a lane rests between its records, once it has been throttled again."""
    return min(LONGEST_REST, max(FIRST_REST, 2 * rest))


def shorter_rest(rest: float) -> float:
    """Seconds that a lane rests between its records, once one was not throttled; 0 when little is left of it."""
    left = rest * REST_AFTER_SUCCESS
    return left if left >= FIRST_REST / 2 else 0.0
