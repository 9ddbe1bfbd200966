"""The failures of the moment, each under its own name and logged once.

Room: local platform.
Tests: tests/infra/tidemill_local/firehose/test_delivery_stream.py.
"""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


class Troubles:
    """The failures that a delivery stream is retrying.

    Args:
        of: the delivery stream's name, for the log.
    """

    def __init__(self, of: str) -> None:
        self._of = of
        self._reasons: dict[str, str] = {}

    @property
    def first(self) -> str | None:
        """The reason of the oldest failure, or None. Any thread may call this."""
        return next(iter(tuple(self._reasons.values())), None)

    def begin(self, what: str, error: Exception) -> None:
        """Record that something failed and will be retried."""
        if self._reasons.get(what) != (why := str(error)):
            self._reasons[what] = why
            _log.warning("%s: %s; trying again", self._of, why)

    def end(self, what: str) -> None:
        """Record that something succeeded."""
        self._reasons.pop(what, None)
