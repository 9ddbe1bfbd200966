"""Something that fails again and again: how long to wait, and what a log says of it, at its begin and at its end.

Room: SDK core. No I/O; time and chance are arguments, and a line is a value.
"""

from math import inf

FIRST_PAUSE = 1.0
"""Longest pause in seconds before replies are asked for again; it doubles with each further failure."""

LONGEST_PAUSE = 60.0
"""Longest such pause in seconds."""

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
        failures, self._failures = self._failures, 0
        seconds, self._since = now - self._since, inf
        if not self._said:
            self._unsaid += failures
            return None
        self._said.clear()
        return f"{failures:,} {'try' if failures == 1 else 'tries'} failed in {seconds:,.1f} s"


def pause(failures: int, chance: float) -> float:
    """Seconds before something is asked again that failed, after `failures` earlier ones. `chance`: from 0 up to 1."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 30)) * (1 + chance) / 2


def text_of(error: BaseException) -> str:
    """An exception's kind and what it says, whatever asking it raises."""
    text = said_by(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def said_by(error: BaseException) -> str:
    """What an exception says, whatever asking it raises."""
    try:
        return str(error)
    except BaseException as another:  # foreign code: SystemExit too
        return f"(it raised {type(another).__name__} when it was asked what it says)"
