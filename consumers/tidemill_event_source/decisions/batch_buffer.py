"""Records that wait for a batch: how many of them one batch takes, and when it goes.

Room: event source, pure: `now` is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidemill_event_source.decisions.batches import MAX_EVENT_BYTES, Batch, envelope_size
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Waiting
from tidemill_event_source.decisions.tumbling_windows import TumblingWindows


class BatchBuffer:
    """Gathers records until BatchSize, the event's size, the batching window or the tumbling window makes a batch.

    Args:
        config: the mapping.
        windows: the tumbling windows, one of which a batch belongs to.

    Attributes:
        full: whether a whole batch can be formed: one more record would not fit into it.
    """

    def __init__(self, config: MappingConfig, windows: TumblingWindows) -> None:
        self._config = config
        self._windows = windows
        self._records: list[Waiting] = []
        self.measure()

    def __len__(self) -> int:
        return len(self._records)

    @property
    def first(self) -> Waiting | None:
        """The first record."""
        return self._records[0] if self._records else None

    def take(self, records: Sequence[Waiting]) -> None:
        """Take in records, in order."""
        self._records += records
        self._measure_on()

    def due(self, ended: bool) -> float:
        """When the next batch goes, or the open tumbling window is closed.

        Args:
            ended: whether the shard is closed and has been read to its end, so that no more records come.
        """
        if self._windows.must_close(self.first, ended):
            return -math.inf
        return self._filled_at(ended) if self._records else self._windows.idle_at

    def form(self, now: float, ended: bool) -> Batch | None:
        """The batch that goes now, or the final one of the open tumbling window; None before its time."""
        if final := self._windows.final(self.first, now, ended):
            return Batch((), final)
        if now < self._filled_at(ended):
            return None
        records = tuple(self._records[: self._count])
        tumbling = self._windows.enter(records[0])
        del self._records[: self._count]
        self.measure()
        return Batch(records, tumbling)

    def measure(self) -> None:
        """Measure the next batch from its begin, as the records or the tumbling window have changed."""
        # The batch that would go now: this many records, this many bytes, and whether no more will fit.
        self._count = self._size = 0
        self.full = False
        self._measure_on()

    def _filled_at(self, ended: bool) -> float:
        if not self._count:
            return math.inf
        return -math.inf if self.full or ended else self._records[0].read + self._config.window

    def _measure_on(self) -> None:
        """Measure the records that came since: by count, by the event's size, by the tumbling window."""
        if self.full or self._count == len(self._records):
            return
        window = self._windows.of(self._records[0])
        if not self._count:
            self._size = envelope_size(self._windows.fields(window) if window else None) - 1
        for place in range(self._count, len(self._records)):
            record = self._records[place]
            size = self._size + 1 + len(record.event)
            too_large = size > MAX_EVENT_BYTES and place > 0
            if too_large or (window and record.arrived >= window.end):
                self.full = True
                return
            self._count, self._size = place + 1, size
            if self._count == self._config.batch_size:
                self.full = True
                return
