"""One strictly serial sequence of batches: records come in, and it says which batch goes or is given up next.

Room: event source, pure: no I/O, `now` is an argument, in seconds since 1970 of a clock that never steps.

A mapping has as many sequencers for a shard as its ParallelizationFactor says; a key's records are all in one. Records
pass through two parts: a BatchBuffer, until they make a batch, and the Attempts, until that batch is done or given up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tidemill_event_source.decisions.attempts import Attempts
from tidemill_event_source.decisions.batch_buffer import BatchBuffer
from tidemill_event_source.decisions.batches import (
    NO_STATE,
    Batch,
    BatchResult,
    InvocationResponse,
    TimeWindow,
    batch_result,
)
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.failures import Failure
from tidemill_event_source.decisions.records import Waiting
from tidemill_event_source.decisions.tumbling_windows import TumblingWindows


@dataclass(frozen=True, slots=True)
class Invoke:
    """To do: invoke the function, then tell `answered`."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Discard:
    """To do: tell the destination, then tell `discarded`."""

    failure: Failure


class Sequencer:
    """Gathers records and says what to do next, one thing at a time.

    Args:
        config: the mapping.
        shard: the shard's id.
        window: the tumbling window that was open, to go on from.
        state: its state, as JSON.
    """

    def __init__(
        self, config: MappingConfig, shard: str, window: TimeWindow | None = None, state: bytes = NO_STATE
    ) -> None:
        self._config = config
        self._windows = TumblingWindows(config, shard, window, state)
        self._buffer = BatchBuffer(config, self._windows)
        self._attempts = Attempts(config)
        self._busy = False

    @property
    def window(self) -> TimeWindow | None:
        """The tumbling window that is open."""
        return self._windows.open

    @property
    def state(self) -> bytes:
        """The open window's state, as JSON."""
        return self._windows.state

    @property
    def records(self) -> int:
        """Records taken in and not done."""
        return self._attempts.records + len(self._buffer)

    @property
    def wants_more(self) -> bool:
        """Whether there is less than a whole batch to form."""
        return not self._buffer.full

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do for what was taken in; an open window is yet to be closed."""
        return not self._attempts and not self._buffer and self.window is None

    @property
    def first(self) -> Waiting | None:
        """The first record that is not done."""
        return self._attempts.first or self._buffer.first

    def take(self, records: Sequence[Waiting]) -> None:
        """Take in what was read, in order."""
        self._buffer.take(records)

    def next(self, now: float, ended: bool) -> Invoke | Discard | None:
        """What to do now; None while there is nothing, at least until `wake`.

        Args:
            now: the time.
            ended: whether the shard is closed and has been read to its end, so that nothing will come.
        """
        if self._busy:
            return None
        if not self._attempts:
            if not (formed := self._buffer.form(now, ended)):
                return None
            self._attempts.add(formed)
        todo = self._attempts.next(now)
        if todo is None:
            return None
        self._busy = True
        return Discard(todo) if isinstance(todo, Failure) else Invoke(self._windows.with_state(todo))

    def wake(self, ended: bool) -> float:
        """When `next` may have something to do though nothing else happens."""
        if self._busy:
            return math.inf
        return self._attempts.due if self._attempts else self._buffer.due(ended)

    def answered(self, response: InvocationResponse, now: float) -> BatchResult | None:
        """The last Invoke ended; returns how much of its batch is done, None for a complete failure."""
        self._busy = False
        batch = self._attempts.head
        result = batch_result(batch, response, self._config)
        if result is None or (result.done == 0 and batch.records):
            self._attempts.failed(response, now, may_bisect=result is None)
            return result
        self._attempts.succeeded(result.done, now)
        if batch.tumbling:
            self._windows.invoked(batch.tumbling, result.state)
            self._buffer.measure()
        return result

    def discarded(self) -> None:
        """The destination was told of the last Discard."""
        self._busy = False
        self._attempts.discarded()
