"""A token bucket: what a shard takes now, of bytes and of records.

Room: SDK core. No I/O; time is an argument.
Tests: tests/producers/tidemill/sending/pacing/test_pace.py.

Amounts are seconds: the time in which a shard takes as many bytes, or as many records, by its documented limits.
https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
"""

from math import inf

SHARD_BYTES = 1024 * 1024
"""Bytes, with partition keys, that a shard takes in a second."""

SHARD_RECORDS = 1_000
"""Records that a shard takes in a second."""

SAVED = 1.0
"""Seconds of its rate that an unused bucket saves."""

QUANTUM = 0.1
"""Seconds of a shard that an emptied bucket gathers before records leave: fewer calls, of more records."""


class Bucket:
    """What a shard takes now.

    Attributes:
        rate: share of a shard's limits that it is filled with.
        debt: seconds that were used in advance, or saved if negative; of bytes or of records, whichever are more.
    """

    def __init__(self) -> None:
        self.rate = 1.0
        self._bytes = self._records = -SAVED
        self._at = self._opens_at = -inf

    @property
    def debt(self) -> float:
        """Seconds that were used in advance, or saved if negative."""
        return max(self._bytes, self._records)

    def opens_at(self, now: float, credit: float) -> float:
        """When records may leave: `now`, or later. `credit`: seconds that may be used in advance.

        The last record may overdraw it. Once it is overdrawn, it stays closed until it has gathered a quantum.
        """
        if self._opens_at > now:
            return self._opens_at
        self._fill(now)
        if self.debt < credit:
            return now
        self._opens_at = now + (self.debt - credit + QUANTUM) / self.rate
        return self._opens_at

    def take(self, size: int, now: float) -> None:
        """Takes a record of `size` bytes out."""
        self._fill(now)
        self._bytes += size / SHARD_BYTES
        self._records += 1 / SHARD_RECORDS

    def was_used(self, now: float) -> bool:
        """Whether half of what it may save is used."""
        self._fill(now)
        return self.debt > -SAVED * self.rate / 2

    def pause(self, now: float, seconds: float) -> None:
        """Drops what was saved, and waits."""
        self._fill(now)
        self._bytes = max(min(self._bytes, SAVED), seconds * self.rate)
        self._records = max(min(self._records, SAVED), seconds * self.rate)
        self.reopen()

    def reopen(self) -> None:
        """Opens it if it is not overdrawn: the rate or the credit has changed."""
        self._opens_at = -inf

    def _fill(self, now: float) -> None:
        gained = min(2 * SAVED, now - self._at) * self.rate
        self._bytes = max(-SAVED * self.rate, self._bytes - gained)
        self._records = max(-SAVED * self.rate, self._records - gained)
        self._at = now
