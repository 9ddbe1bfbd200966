"""One shard of a mapping, without I/O: it is told of each read and each response, and says what to do next.

Room: event source, pure: `now` is an argument, in seconds since 1970 of a clock that never steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidemill_event_source.decisions.batches import BatchResult, InvocationResponse
from tidemill_event_source.decisions.checkpoint import Checkpoint, Progress, sequencer_of
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Render, Waiting, passes_filters
from tidemill_event_source.decisions.sequencer import Discard, Invoke, Sequencer
from tidemill_event_source.shard_reader import READ_LIMIT, Page

POLL_SECONDS = 1.0
"""How often a shard is read that has nothing more:
https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html#services-kinesis-polling-and-stream-starting-positions
"""

BEHIND_SECONDS = 0.2
"""How often while there is more to read: "each shard can support up to 5 read transactions per second"."""


@dataclass(frozen=True, slots=True)
class Read:
    """To do: read on, then tell `took` or `read_failed`."""

    limit: int = READ_LIMIT


@dataclass(frozen=True, slots=True)
class Deliver:
    """To do: the action of the sequencer of that number, then tell `answered` or `discarded`."""

    sequencer: int
    action: Invoke | Discard


class Shard:
    """Reads, filters, deals out to sequencers, and knows from where to begin again.

    One idea: where each record of the shard is, from being read to being done.

    Args:
        config: the mapping.
        shard_id: the shard's id.
        checkpoint: where it stood.
        render: gives a record its form in the event.

    Attributes:
        filtered: how many records no filter let through.
        handled: how many were applied or given up.
    """

    def __init__(self, config: MappingConfig, shard_id: str, checkpoint: Checkpoint, render: Render) -> None:
        self.shard_id = shard_id
        self.filtered = 0
        self.handled = 0
        self._config = config
        self._render = render
        self._progress = Progress(checkpoint, config.parallelization_factor)
        self._sequencers = [
            Sequencer(config, shard_id, checkpoint.window, checkpoint.state.encode())
            for _ in range(config.parallelization_factor)
        ]
        self._read_at = -math.inf
        self._reading = False
        self._ended = False
        """Whether the shard is closed and has been read to its end."""

    @property
    def waiting(self) -> int:
        """Records read and not done."""
        return sum(sequencer.records for sequencer in self._sequencers)

    @property
    def oldest(self) -> float | None:
        """When the first record that waits arrived, in seconds since 1970; None if none waits."""
        return min((one.arrived for s in self._sequencers if (one := s.first)), default=None)

    @property
    def settled(self) -> bool:
        """Whether all that was read is done."""
        return all(sequencer.settled for sequencer in self._sequencers)

    @property
    def drained(self) -> bool:
        """Whether the shard is closed, read to its end and done, so that its children may begin."""
        return self._ended and self.settled

    @property
    def checkpoint(self) -> Checkpoint:
        """Where to go on after a restart: nothing is skipped, and only what is in flight comes again."""
        first = min(
            (one for s in self._sequencers if (one := s.first)), key=lambda one: int(one.sequence), default=None
        )
        only, *_ = self._sequencers  # one alone has a window
        return self._progress.checkpoint(first, only.window, only.state, self.drained)

    def next(self, now: float) -> Read | Deliver | None:
        """What to do now; None while there is nothing, at least until `wake`.

        Delivering comes before reading: a batch whose window has passed goes as it is.
        """
        for number, sequencer in enumerate(self._sequencers):
            if action := sequencer.next(now, self._ended):
                return Deliver(number, action)
        if self._wants_more() and now >= self._read_at:
            self._reading = True
            return Read()
        return None

    def wake(self) -> float:
        """When `next` may have something to do though nothing else happens."""
        read = self._read_at if self._wants_more() else math.inf
        return min(read, *(sequencer.wake(self._ended) for sequencer in self._sequencers))

    def took(self, page: Page, now: float) -> None:
        """The last Read brought this page."""
        self._reading = False
        self._ended = page.ended
        self._read_at = now + (BEHIND_SECONDS if page.behind_ms > 0 else POLL_SECONDS)
        progress = self._progress
        dealt: list[list[Waiting]] = [[] for _ in self._sequencers]
        for record in page.records:
            number = sequencer_of(record.partition_key, len(dealt))
            if not progress.is_done(record, number):
                if passes_filters(record, self._config):
                    arrived = record.arrived.timestamp()
                    rendered = self._render(record)
                    dealt[number].append(
                        Waiting(record.sequence, progress.last, record.partition_key, arrived, now, rendered)
                    )
                else:
                    self.filtered += 1
            progress.last = record.sequence
        for sequencer, records in zip(self._sequencers, dealt, strict=True):
            sequencer.take(records)

    def read_failed(self, now: float) -> None:
        """The last Read failed: it is tried again, from where it stood."""
        self._reading = False
        self._read_at = now + POLL_SECONDS

    def answered(
        self, number: int, batch: Sequence[Waiting], response: InvocationResponse, now: float
    ) -> BatchResult | None:
        """An Invoke ended; returns how much of its batch is done, None for a complete failure."""
        result = self._sequencers[number].answered(response, now)
        if result and result.done:
            self.handled += result.done
            self._progress.did(number, batch[result.done - 1].sequence)
        return result

    def discarded(self, number: int, batch: Sequence[Waiting]) -> None:
        """The destination was told of a Discard."""
        self._sequencers[number].discarded()
        self.handled += len(batch)
        self._progress.did(number, batch[-1].sequence)

    def _wants_more(self) -> bool:
        if self._reading or self._ended:
            return False
        most = self._config.parallelization_factor * self._config.batch_size + READ_LIMIT
        return any(one.wants_more for one in self._sequencers) and self.waiting < most


def readable(shards: Mapping[str, Sequence[str]], drained: frozenset[str]) -> list[str]:
    """The shards that may be read: those not drained whose parents are, or are gone.

    Args:
        shards: id -> its parents' ids.
        drained: the ids of shards that are done.
    """
    return [
        shard
        for shard, parents in shards.items()
        if shard not in drained and all(parent in drained or parent not in shards for parent in parents)
    ]
