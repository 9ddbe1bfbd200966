"""Records of a shard become batches, and wait for them.

Room: load, pure; formulas. The tests hold them against the event source mapping on its simulated clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, expm1, floor, inf, sqrt

POLL_SECONDS = 1.0
"""How often Lambda reads a shard that has nothing more to read."""

EVENT_BYTES = 6 * 1024 * 1024
"""The most of an event's JSON."""

EVENT_HEAD = 13
"""`{"Records":[]}`, without the comma that the last record has not."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """What reaches one shard.

    Attributes:
        records: a second.
        at_random: whether they come at random; else evenly.
        bursts: how many of them come by themselves, a second: the others come along.
    """

    records: float
    at_random: bool
    bursts: float


@dataclass(frozen=True, slots=True)
class Batches:
    """A shard's batches as they are on average.

    Attributes:
        records: of a batch.
        first: of those, what its first read brought.
        hold: seconds from its first read until it goes, if it is not full before.
        fill: seconds in which so many come that a batch is full; infinite where no batch is.
    """

    records: float
    first: float
    hold: float
    fill: float = inf

    def wait(self, share: float) -> float:
        """Seconds from a record's arrival until its batch goes, for that share of them.

        The time that the batches before it take is left aside.

        Args:
            share: such as 0.99.
        """
        if self.fill < inf:
            return share * (POLL_SECONDS + min(self.hold, self.fill))
        # Those of the first read wait for the read, then the whole window; the others for a rest of it.
        first = self.first / self.records
        if 1 - share <= first:
            return self.hold + POLL_SECONDS * (1 - (1 - share) / first)
        return POLL_SECONDS + (self.hold - POLL_SECONDS) * share / (1 - first)


def batches(arriving: Arriving, window: float, most: int, busy: float) -> Batches:
    """The batches of a shard.

    A batch opens with the read that finds its first record. It goes when it is full, or when its window has passed and
    the batch before it is done: just before the shard is read again.

    Args:
        arriving: what reaches the shard.
        window: seconds.
        most: records that a batch can hold.
        busy: seconds that the function takes.
    """
    hold = max(window, busy if busy > POLL_SECONDS else 0.0)
    read = arriving.records * POLL_SECONDS
    if arriving.at_random:
        # Given that there are any: a read that finds nothing opens no batch.
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
    # A full one leaves a rest of its last read, a little less each time, until one goes that is not full.
    fulls = floor(read / (most - later))
    rest = read - fulls * (most - later)
    partly = int(rest > 1e-6 * most)
    records = (fulls * most + partly * (rest + later)) / (fulls + partly)
    return Batches(records, read, hold, fill)


def _of_one_read(arriving: Arriving, most: int) -> float:
    """Records of a batch where each read's records go by themselves: one more as often as the read brings that many."""
    read = arriving.records * POLL_SECONDS
    batches_of_a_read = -expm1(-arriving.bursts * POLL_SECONDS)
    for full in range(most, int(read + 6 * sqrt(read)), most):
        batches_of_a_read += erfc((full + 0.5 - read) / sqrt(2 * read)) / 2
    return read / batches_of_a_read
