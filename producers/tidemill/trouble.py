"""What a log says of something that fails again and again: one line when it begins, and one when it is over.

Room: SDK core. No I/O; time is an argument, and a line is a value.
"""

from math import inf

SAID_SECONDS = 60.0
"""Seconds from one line that says that something began to fail to the next, at least: it may come and go."""


class Trouble:
    """Says when something begins to fail, and when that is over, with how often and how long.

    Another line comes if it fails for a reason that has not been said yet. What comes and goes is said to begin once a
    minute at most, and the failures in between are counted.
    """

    def __init__(self) -> None:
        self._since = inf
        self._failures = self._unsaid = 0
        self._said: set[str] = set()
        self._next = -inf

    def failed(self, code: str, problem: str, now: float) -> str | None:
        """It failed: the line to log, if any.

        Args:
            code: the kind of problem.
            problem: what is said about it.
            now: the time in seconds.
        """
        self._since = min(self._since, now)
        self._failures += 1
        if code in self._said or (not self._said and now < self._next):
            return None
        self._said.add(code)
        self._next = now + SAID_SECONDS
        unsaid, self._unsaid = self._unsaid, 0
        return f"{problem}; trying again until it works" + (f" ({unsaid} tries failed before)" if unsaid else "")

    def over(self, now: float) -> str | None:
        """It fails no more: the line to log, if any."""
        if not self._failures:
            return None
        failures, self._failures = self._failures, 0
        seconds, self._since = now - self._since, inf
        if not self._said:
            self._unsaid += failures
            return None
        self._said.clear()
        return f"{failures:,} {'try' if failures == 1 else 'tries'} failed in {seconds:,.1f} s"
