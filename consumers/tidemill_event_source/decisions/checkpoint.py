"""How far a mapping is with a shard: what a restart goes on from, and which records it finds done already.

Room: event source, pure.
Tests: tests/consumers/tidemill_event_source/decisions/test_shard.py.

Sequencers advance independently, so that some are ahead of the first record that is not done. A restart reads from
before that record, and passes over the records that a sequencer ahead of it has done.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from tidemill_event_source.decisions.batches import NO_STATE, TimeWindow
from tidemill_event_source.decisions.records import Waiting
from tidemill_event_source.shard_reader import Horizon, StreamRecord


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


class Progress:
    """What of a shard is read and done, since its checkpoint and before.

    Args:
        checkpoint: where it stood.
        sequencers: how many there are now. With another number the keys are dealt out anew: what was done of them as
            they were dealt out before stands.

    Attributes:
        last: the last sequence number read.
    """

    def __init__(self, checkpoint: Checkpoint, sequencers: int) -> None:
        same = len(checkpoint.done) == sequencers
        self.last = checkpoint.after
        self._start = checkpoint.start
        self._done = list(checkpoint.done) if same else [checkpoint.after] * sequencers
        self._earlier = checkpoint.earlier if same else checkpoint.done

    def is_done(self, record: StreamRecord, number: int) -> bool:
        """Whether the record was done before a restart; the number is its sequencer's."""
        if len(self._done) > 1 and _is_at_or_before(record.sequence, self._done[number]):
            return True
        if not self._earlier:
            return False
        return _is_at_or_before(record.sequence, self._earlier[sequencer_of(record.partition_key, len(self._earlier))])

    def did(self, number: int, sequence: str) -> None:
        """The sequencer of that number has done its records up to that sequence number."""
        self._done[number] = sequence

    def checkpoint(self, first: Waiting | None, window: TimeWindow | None, state: bytes, drained: bool) -> Checkpoint:
        """Where to go on after a restart.

        Args:
            first: the first record that is not done.
            window: the tumbling window that is open.
            state: its state.
            drained: whether the shard is closed and all of it is done.
        """
        after = first.before if first else self.last
        if after and all(not one or int(one) <= int(after) for one in self._earlier):
            self._earlier = ()
        return Checkpoint(
            start=self._start,
            after=after,
            done=tuple(self._done),
            window=window,
            state=state.decode(),
            drained=drained,
            earlier=self._earlier,
        )


def sequencer_of(key: str, count: int) -> int:
    """The number of the sequencer that has the key's records, the same one for as long as the count is the same."""
    return zlib.crc32(key.encode()) % count if count > 1 else 0


def _is_at_or_before(sequence: str, other: str | None) -> bool:
    return other is not None and int(sequence) <= int(other)
