"""The totals of what functions answer to the batches that they are given.

Room: page, pure but for the lock.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class Answered:
    """Totals: requests that functions were given, their calls to the table, and requests that they quarantined."""

    requests: int = 0
    write_calls: int = 0
    quarantined: int = 0


class Answers:
    """Adds up answers. Safe for threads.

    Attributes:
        totals: so far.
    """

    def __init__(self) -> None:
        self.totals = Answered()
        self._lock = Lock()

    def heard(self, answer: bytes) -> None:
        """A function's answer, which need not be one of this project's."""
        with suppress(ValueError, KeyError, TypeError):
            applied = json.loads(answer)["applied"]
            more = [int(applied[name]) for name in ("requests", "write_calls", "quarantined")]
            with self._lock:
                now = self.totals
                self.totals = Answered(now.requests + more[0], now.write_calls + more[1], now.quarantined + more[2])
