"""The SDK's log: what is said in a producer's own threads is handed to the thread that may wait for others.

Room: SDK. Log handlers are foreign code: they may send by the very producer that logs, or wait for a lock whose holder
waits for it.
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
    """The logger `tidemill`, for threads that must not run its handlers themselves too."""

    def __init__(self) -> None:
        self._here = local()

    def hand_over(self, tell: Callable[[Callable[[], object]], None]) -> None:
        """From now on what this thread says is told by `tell`, in another thread."""
        self._here.tell = tell

    def say(self, level: int, message: str, *args: object) -> None:
        """Says something."""
        tell = getattr(self._here, "tell", None)
        if tell is None:
            _logger.log(level, message, *args, stacklevel=3)
        else:
            tell(partial(_logger.log, level, message, *args))

    def debug(self, message: str, *args: object) -> None:
        """What helps only whoever looks for a fault."""
        self.say(logging.DEBUG, message, *args)

    def info(self, message: str, *args: object) -> None:
        """What went well."""
        self.say(logging.INFO, message, *args)

    def warning(self, message: str, *args: object) -> None:
        """What may pass."""
        self.say(logging.WARNING, message, *args)

    def error(self, message: str, *args: object) -> None:
        """What was lost."""
        self.say(logging.ERROR, message, *args)


log = Log()
