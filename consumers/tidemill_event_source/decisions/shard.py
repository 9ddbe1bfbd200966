"""One shard of a mapping, without I/O: told what was read and what came back, it says what to do next.

Room: event source, pure: `now` is an argument, in seconds since 1970 of a clock that never steps.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidemill_event_source.decisions.batches import NO_STATE, BatchResult, InvocationResponse, TimeWindow
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Render, Waiting, filtered_document
from tidemill_event_source.decisions.sequencer import Discard, Invoke, Sequencer
from tidemill_event_source.shard_reader import READ_LIMIT, Horizon, Page, StreamRecord

POLL_SECONDS = 1.0
"""How often a shard is read that has nothing more:
https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html#services-kinesis-polling-and-stream-starting-positions
"""

BEHIND_SECONDS = 0.2
"""How often while there is more to read: "each shard can support up to 5 read transactions per second"."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a shard is begun of which nothing is done yet."""

    position: Horizon
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a mapping is with a shard: what must outlive the process.

    Attributes:
        start: where it was begun.
        after: the sequence number up to which all is done; None where nothing is.
        done: each sequencer's highest sequence number done, which may be ahead of `after`.
        window: the tumbling window that is open.
        state: its state, as JSON.
        drained: whether the shard is closed and all of it is done.
        earlier: `done` as it was with another number of sequencers, as long as that is ahead of `after`.
    """

    start: Start
    after: str | None = None
    done: tuple[str | None, ...] = ()
    window: TimeWindow | None = None
    state: str = NO_STATE.decode()
    drained: bool = False
    earlier: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """To do: read on, then tell `took` or `read_failed`."""

    limit: int = READ_LIMIT


@dataclass(frozen=True, slots=True)
class Deliver:
    """To do: what the sequencer of that number wants, then tell `answered` or `discarded`."""

    sequencer: int
    action: Invoke | Discard


@dataclass(slots=True)
class _Progress:
    """What a shard remembers beside its sequencers."""

    last: str | None
    """The last sequence number read."""
    done: list[str | None]
    read_at: float = -math.inf
    reading: bool = False
    ended: bool = False
    filtered: int = field(default=0)


class Shard:
    """Reads, filters, deals out to sequencers, and knows from where to begin again.

    Args:
        config: the mapping.
        shard_id: the shard's id.
        checkpoint: where it stood.
        render: gives a record its form in the event.
    """

    def __init__(self, config: MappingConfig, shard_id: str, checkpoint: Checkpoint, render: Render) -> None:
        self.shard_id = shard_id
        self._config = config
        self._render = render
        self._start = checkpoint.start
        count = config.parallelization_factor
        # With another factor the keys are dealt out anew; what was done of them as they were dealt out before stands.
        same = len(checkpoint.done) == count
        done = list(checkpoint.done) if same else [checkpoint.after] * count
        self._earlier = checkpoint.earlier if same else checkpoint.done
        self._at = _Progress(checkpoint.after, done)
        self._sequencers = [
            Sequencer(config, shard_id, checkpoint.window, checkpoint.state.encode()) for _ in range(count)
        ]

    @property
    def waiting(self) -> int:
        """Records read and not done."""
        return sum(sequencer.records for sequencer in self._sequencers)

    @property
    def filtered(self) -> int:
        """Records that no filter let through."""
        return self._at.filtered

    @property
    def settled(self) -> bool:
        """Whether all that was read is done."""
        return all(sequencer.settled for sequencer in self._sequencers)

    @property
    def drained(self) -> bool:
        """Whether the shard is closed, read to its end and done, so that its children may begin."""
        return self._at.ended and self.settled

    @property
    def checkpoint(self) -> Checkpoint:
        """Where to go on after a restart: nothing is skipped, and only what is in flight comes again."""
        first = min(
            (one for s in self._sequencers if (one := s.first)), key=lambda one: int(one.sequence), default=None
        )
        after = first.before if first else self._at.last
        if after and all(not one or int(one) <= int(after) for one in self._earlier):
            self._earlier = ()
        only, *_ = self._sequencers  # one alone has a window
        return Checkpoint(
            start=self._start,
            after=after,
            done=tuple(self._at.done),
            window=only.window,
            state=only.state.decode(),
            drained=self.drained,
            earlier=self._earlier,
        )

    def next(self, now: float) -> Read | Deliver | None:
        """What to do now; None while there is nothing, at least until `wake`.

        Delivering comes before reading: a batch whose window has passed goes as it is.
        """
        for number, sequencer in enumerate(self._sequencers):
            if action := sequencer.next(now, self._at.ended):
                return Deliver(number, action)
        if self._wants_more() and now >= self._at.read_at:
            self._at.reading = True
            return Read()
        return None

    def wake(self) -> float:
        """When `next` may have something to do though nothing else happens."""
        read = self._at.read_at if self._wants_more() else math.inf
        return min(read, *(sequencer.wake(self._at.ended) for sequencer in self._sequencers))

    def took(self, page: Page, now: float) -> None:
        """What the last Read brought."""
        self._at.reading = False
        self._at.ended = page.ended
        self._at.read_at = now + (BEHIND_SECONDS if page.behind_ms > 0 else POLL_SECONDS)
        dealt: list[list[Waiting]] = [[] for _ in self._sequencers]
        for record in page.records:
            number = _number(record.partition_key, len(dealt))
            if not self._is_done(record, number) and self._lets_through(record):
                dealt[number].append(
                    Waiting(
                        record.sequence,
                        self._at.last,
                        record.partition_key,
                        record.arrived.timestamp(),
                        now,
                        self._render(record),
                    )
                )
            self._at.last = record.sequence
        for sequencer, records in zip(self._sequencers, dealt, strict=True):
            sequencer.take(records)

    def read_failed(self, now: float) -> None:
        """The last Read failed: it is tried again, from where it stood."""
        self._at.reading = False
        self._at.read_at = now + POLL_SECONDS

    def answered(
        self, number: int, batch: Sequence[Waiting], response: InvocationResponse, now: float
    ) -> BatchResult | None:
        """An Invoke ended; returns how much of its batch is done, None for a complete failure."""
        result = self._sequencers[number].answered(response, now)
        if result and result.done:
            self._at.done[number] = batch[result.done - 1].sequence
        return result

    def discarded(self, number: int, batch: Sequence[Waiting]) -> None:
        """The destination was told of a Discard."""
        self._sequencers[number].discarded()
        self._at.done[number] = batch[-1].sequence

    def _wants_more(self) -> bool:
        if self._at.reading or self._at.ended:
            return False
        most = self._config.parallelization_factor * self._config.batch_size + READ_LIMIT
        return any(one.wants_more for one in self._sequencers) and self.waiting < most

    def _is_done(self, record: StreamRecord, number: int) -> bool:
        if len(self._sequencers) > 1 and _is_at_or_before(record.sequence, self._at.done[number]):
            return True
        if not self._earlier:
            return False
        return _is_at_or_before(record.sequence, self._earlier[_number(record.partition_key, len(self._earlier))])

    def _lets_through(self, record: StreamRecord) -> bool:
        if not self._config.filters:
            return True
        document = filtered_document(self._config.service, record)
        if any(pattern.matches(document) for pattern in self._config.filters):
            return True
        self._at.filtered += 1
        return False


def _is_at_or_before(sequence: str, other: str | None) -> bool:
    return other is not None and int(sequence) <= int(other)


def _number(key: str, count: int) -> int:
    """Which of the sequencers has the key: always the same one."""
    return zlib.crc32(key.encode()) % count if count > 1 else 0


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
