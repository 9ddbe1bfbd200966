"""Repeated failures: the pause before each retry, and the log lines at the first failure and after the last.

Room: SDK core. No I/O; time and chance are arguments, and log lines are return values.
"""

from math import inf

FIRST_PAUSE = 1.0
"""Longest pause in seconds after a first failure; it doubles with each further one."""

LONGEST_PAUSE = 60.0
"""Longest pause in seconds after any failure."""

SAID_SECONDS = 60.0
"""Shortest time in seconds between two lines that report a new failure: it may come and go."""


class Trouble:
    """Makes a log line when something begins to fail, and one when it works again, with the number and duration.

    A further line reports each new kind of problem. If failures come and go, their beginning is reported once a minute
    at most, and the unreported ones are counted.
    """

    def __init__(self) -> None:
        self._since = inf
        self._failures = self._unsaid = 0
        self._said: set[str] = set()
        self._next = -inf

    def failed(self, code: str, problem: str, now: float) -> str | None:
        """Notes a failure. Returns the line to log, if any.

        Args:
            code: the kind of problem.
            problem: its description.
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
        """Notes a success. Returns the line to log, if any."""
        failures, self._failures = self._failures, 0
        seconds, self._since = now - self._since, inf
        if not self._said:
            self._unsaid += failures
            return None
        self._said.clear()
        return f"{failures:,} {'try' if failures == 1 else 'tries'} failed in {seconds:,.1f} s"


def pause(failures: int, chance: float) -> float:
    """Seconds to wait after a failure before the retry. `failures`: earlier ones. `chance`: from 0 up to 1."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 30)) * (1 + chance) / 2


def text_of(error: BaseException) -> str:
    """An exception's type and message, even if its `__str__` raises."""
    text = said_by(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def said_by(error: BaseException) -> str:
    """An exception's message, even if its `__str__` raises."""
    try:
        return str(error)
    except BaseException as another:  # foreign code: SystemExit too
        return f"(it raised {type(another).__name__} when it was asked what it says)"
