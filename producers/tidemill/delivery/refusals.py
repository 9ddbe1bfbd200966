"""Refusals: logs which requests were given up, and keeps their errors until one is raised.

Room: SDK. No I/O but the log; time is an argument.
Tests: tests/producers/tidemill/test_once.py.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tidemill.errors import failure
from tidemill.runtime.log import log
from tidemill.runtime.trouble import SAID_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tidemill.errors import GivenUp
    from tidemill.sending.records import Record
    from tidemill.sending.tally import Tally

SAID_PROBLEMS = 5
"""Most reasons in one log line."""

KEPT = 1_000
"""Most refused records that are kept: a single one is enough to raise an error."""


class Refusals:
    """Logs how many requests were given up, one line a minute at most, so that nothing is lost silently.

    Args:
        tally: the scheduler's counts.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._told = 0
        """Number of requests given up that have been logged."""
        self._untold: dict[str, None] = {}
        """The reasons of refusals that have not been logged yet."""
        self._tells_at = -inf
        """When the next line may be logged."""
        self._records: list[Record] = []

    @property
    def due(self) -> float:
        """When `tell` is due; `inf` while there is nothing to tell."""
        return self._tells_at if self._untold else inf

    def note(self, ended: Sequence[Record], now: float) -> None:
        """Notes the refusals among records of which some requests have ended."""
        refusals = [record.refusal for record in ended if record.refusal is not None]
        if refusals:
            self._untold |= dict.fromkeys(str(failure(one)) for one in refusals)
            if self._tells_at < now:
                self.tell(now)
            self._records = [record for record in self._records if not record.reported]
            self.keep(ended)
            del self._records[:-KEPT]

    def keep(self, ended: Iterable[Record]) -> None:
        """Keeps the records of which some requests were given up, without logging."""
        self._records += [record for record in ended if record.refusal is not None]

    def tell(self, now: float) -> None:
        """Logs the refusals that have not been logged, if there are any."""
        if not self._untold:
            return
        told, self._told = self._told, self._tally.refused
        problems, self._untold = self._untold, {}
        self._tells_at = now + SAID_SECONDS
        log.error("%d requests are given up: %s", self._told - told, "; or ".join(list(problems)[:SAID_PROBLEMS]))

    def take(self) -> GivenUp | None:
        """The error of a request that was given up and not reported yet, if there is any."""
        records, self._records = self._records, []
        for record in records:
            if record.refusal is not None and not record.reported:
                return failure(record.refusal, record.tried)
        return None
