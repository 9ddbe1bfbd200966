"""The SDK's log: a producer's own threads pass their lines to another thread, which runs the log handlers.

Room: SDK. Log handlers are foreign code: they may send by the same producer, or wait for a lock whose holder waits for
that producer.
Tests: tests/producers/tidemill/runtime/test_herald.py.
"""

from __future__ import annotations

import logging
from functools import partial
from threading import local
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("tidemill")


class Log:
    """The logger `tidemill`, usable also by threads that must not run log handlers themselves."""

    def __init__(self) -> None:
        self._here = local()

    def hand_over(self, tell: Callable[[Callable[[], object]], object]) -> None:
        """From now on this thread's lines are passed to `tell`, which logs them in another thread."""
        self._here.tell = tell

    def say(self, level: int, message: str, *args: object) -> None:
        """Logs a line."""
        tell = getattr(self._here, "tell", None)
        if tell is None:
            _logger.log(level, message, *args, stacklevel=3)
        else:
            tell(partial(_logger.log, level, message, *args))

    def debug(self, message: str, *args: object) -> None:
        """Logs a line for debugging."""
        self.say(logging.DEBUG, message, *args)

    def info(self, message: str, *args: object) -> None:
        """Logs a line about normal work."""
        self.say(logging.INFO, message, *args)

    def warning(self, message: str, *args: object) -> None:
        """Logs a line about a problem that may pass."""
        self.say(logging.WARNING, message, *args)

    def error(self, message: str, *args: object) -> None:
        """Logs a line about requests that were lost."""
        self.say(logging.ERROR, message, *args)


log = Log()
