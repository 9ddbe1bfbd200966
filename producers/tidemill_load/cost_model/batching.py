"""How the records of a shard become batches, and how long records wait for them.

Room: load, pure; formulas. The tests compare them with the event source mapping on its simulated clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, expm1, floor, inf, sqrt

POLL_SECONDS = 1.0
"""Seconds between Lambda's reads of a shard that has nothing more to read."""

EVENT_BYTES = 6 * 1024 * 1024
"""The most bytes of an event's JSON."""

EVENT_HEAD = 13
"""Bytes of `{"Records":[]}`, less one: a comma is counted with each record, and the last record has none."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """The records that reach one shard.

    Attributes:
        records: records a second.
        at_random: whether they come at random; else evenly.
        bursts: independent arrivals a second; the other records come together with one of these.
    """

    records: float
    at_random: bool
    bursts: float


@dataclass(frozen=True, slots=True)
class Batches:
    """The average batch of a shard.

    Attributes:
        records: records of a batch.
        first: those of its records that its first read brought.
        hold: seconds from its first read until it is sent, if it is not full before.
        fill: seconds in which enough records come to fill a batch; infinite where no batch is ever full.
    """

    records: float
    first: float
    hold: float
    fill: float = inf

    def wait(self, share: float) -> float:
        """Seconds from a record's arrival until its batch is sent, as a quantile.

        Waiting for earlier batches is not included.

        Args:
            share: share of the records that wait no longer, such as 0.99.
        """
        if self.fill < inf:
            return share * (POLL_SECONDS + min(self.hold, self.fill))
        # Records of the first read wait for the read, then the whole window; the others wait for a part of it.
        first = self.first / self.records
        if 1 - share <= first:
            return self.hold + POLL_SECONDS * (1 - (1 - share) / first)
        return POLL_SECONDS + (self.hold - POLL_SECONDS) * share / (1 - first)


def batches(arriving: Arriving, window: float, most: int, busy: float) -> Batches:
    """The average batch of a shard.

    A batch opens with the read that finds its first record. It is sent when it is full, or when its window has passed
    and the batch before it is done: just before the shard is read again.

    Args:
        arriving: the records that reach the shard.
        window: the batching window in seconds.
        most: records that a batch can hold.
        busy: seconds that the function takes for a batch.
    """
    hold = max(window, busy if busy > POLL_SECONDS else 0.0)
    read = arriving.records * POLL_SECONDS
    if arriving.at_random:
        # Conditional on finding any record: a read that finds nothing opens no batch.
        read /= -expm1(-arriving.bursts * POLL_SECONDS)
    later = arriving.records * max(0.0, hold - POLL_SECONDS)
    fill = most / arriving.records
    if arriving.at_random and not later:
        records = _of_one_read(arriving, most)
        return Batches(records, records, hold, fill if read > most else inf)
    if read + later <= most:
        return Batches(max(1.0, read + later), max(1.0, read), hold)
    if later >= most:
        return Batches(most, read, hold, fill)
    # A full batch leaves some records of its last read behind, fewer each time, until a batch is sent partly filled.
    fulls = floor(read / (most - later))
    rest = read - fulls * (most - later)
    partly = int(rest > 1e-6 * most)
    records = (fulls * most + partly * (rest + later)) / (fulls + partly)
    return Batches(records, read, hold, fill)


def _of_one_read(arriving: Arriving, most: int) -> float:
    """Records of a batch where each read makes batches of its own: one, and one more for each that it overfills."""
    read = arriving.records * POLL_SECONDS
    batches_of_a_read = -expm1(-arriving.bursts * POLL_SECONDS)
    for full in range(most, int(read + 6 * sqrt(read)), most):
        batches_of_a_read += erfc((full + 0.5 - read) / sqrt(2 * read)) / 2
    return read / batches_of_a_read
