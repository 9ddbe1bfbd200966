"""Evidence of why a shard refuses records: because of their number, or by chance.

Room: SDK core. No I/O; time is an argument.
Tests: tests/producers/tidemill/sending/pacing/test_pace.py.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

MEMORY = 0.7
"""Factor by which earlier evidence counts less with each period."""

ENOUGH = 2.0
"""Fewest cases to expect before neighbours are evidence."""

ALIKE = 0.6
"""Least share of the expected cases that speaks for chance."""

UNMOVED = 0.7
"""Least share of the refusals before a cut that, after it, speaks for chance."""

FEWEST_SINCE = 16
"""Fewest records since a cut that are compared with those before."""


class Neighbours:
    """Tells refusals by chance from those of a full shard by the order of the entries of an answer.

    A full shard refuses the rest of a call, so nothing is acknowledged behind a refused entry. By chance, an
    acknowledged entry stands behind a refused one as often as any other entry does.
    """

    def __init__(self) -> None:
        self._pairs = self._behind_refused = self._acknowledged = self._both = 0.0
        self._at, self._was_refused = -inf, False

    def note(self, is_refused: bool, now: float) -> None:
        """Notes the next entry; those of one answer have the same time."""
        if self._at == now:
            self._pairs += 1
            self._behind_refused += self._was_refused
            self._acknowledged += not is_refused
            self._both += self._was_refused and not is_refused
        self._at, self._was_refused = now, is_refused

    def forget(self) -> None:
        """Has earlier entries count less."""
        self._pairs *= MEMORY
        self._behind_refused *= MEMORY
        self._acknowledged *= MEMORY
        self._both *= MEMORY

    @property
    def are_independent(self) -> bool | None:
        """Whether refusals fall by chance; None without enough evidence."""
        expected = self._acknowledged * self._behind_refused / self._pairs if self._pairs else 0.0
        return None if expected < ENOUGH else self._both >= ALIKE * expected


class Before(NamedTuple):
    """A rate before cuts, to be compared with what has been since.

    Attributes:
        first_rate: the rate before the first of them.
        rate: the rate that is compared.
        share: the share of the records that was refused at that rate.
        records: number of records since.
        refused: how many of these were refused.
    """

    first_rate: float
    rate: float
    share: float
    records: int = 0
    refused: int = 0

    def after(self, records: int, refused: int) -> Before:
        """Counts these records, too."""
        return self._replace(records=self.records + records, refused=self.refused + refused)

    def is_as_before(self, rate: float) -> bool:
        """Whether cuts down to that rate have changed little: then nobody's load was the cause."""
        return self.is_known and not self.has_fallen and rate <= self.rate / 2

    @property
    def is_known(self) -> bool:
        """Whether there are enough records to compare."""
        return self.records >= FEWEST_SINCE

    @property
    def has_fallen(self) -> bool:
        """Whether fewer are refused now."""
        return self.refused < UNMOVED * self.share * self.records

    def lowered(self, rate: float) -> Before:
        """From now on compares with a lower rate, where fewer were refused."""
        return Before(self.first_rate, rate, self.refused / self.records)
