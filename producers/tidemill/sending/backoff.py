"""The back-off before a record is sent again.

Room: SDK core. No I/O; chance is an argument.
Tests: tests/producers/tidemill/sending/test_scheduler.py.
"""

from typing import Protocol

FIRST_BACKOFF = 0.1
"""Longest wait in seconds before the first retry; it doubles with each."""

LONGEST_BACKOFF = 10.0
"""Longest wait in seconds before any retry."""


class Chance(Protocol):
    """The part of `random.Random` that is needed. It is an argument, so that runs can be reproduced."""

    def random(self) -> float:
        """A number from 0 up to 1."""


def backoff(attempts: int, chance: float) -> float:
    """Seconds to wait after `attempts` earlier failures: exponential, with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return chance * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempts, 30))
