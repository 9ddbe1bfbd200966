"""What fails at the moment, each trouble by a name of its own, and told in the log once.

Room: local platform.
Tests: tests/infra/tidemill_local/firehose/test_delivery_stream.py.
"""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


class Troubles:
    """What a delivery stream tries again.

    Args:
        of: its name, for the log.
    """

    def __init__(self, of: str) -> None:
        self._of = of
        self._reasons: dict[str, str] = {}

    @property
    def first(self) -> str | None:
        """Why the oldest of them is one, or None. Any thread may ask."""
        return next(iter(tuple(self._reasons.values())), None)

    def begin(self, what: str, error: Exception) -> None:
        """That fails, and will be tried again."""
        if self._reasons.get(what) != (why := str(error)):
            self._reasons[what] = why
            _log.warning("%s: %s; trying again", self._of, why)

    def end(self, what: str) -> None:
        """That does not fail, or not any more."""
        self._reasons.pop(what, None)
