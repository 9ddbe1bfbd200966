"""The open tumbling window of a shard: which records are in it, its state, and when it closes.

Room: event source, pure. The rules, quoted below, are from
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html
Tests: tests/consumers/tidemill_event_source/decisions/test_waking.py.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tidemill_event_source.decisions.batches import MAX_STATE_BYTES, NO_STATE, Batch, TimeWindow, Tumbling
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Waiting

IDLE_WINDOW_SECONDS = 120.0
""""When no new records are being added to the current window, Lambda waits for up to 2 minutes before assuming
that the window is over"."""


class TumblingWindows:
    """The windows of one sequencer, at most one of which is open; a mapping without TumblingWindowInSeconds has none.

    Args:
        config: the mapping.
        shard: the shard's id.
        window: the window that was open, to go on from.
        state: its state, as JSON.

    Attributes:
        open: the window that is open; None between windows.
        state: its state, as JSON.
    """

    def __init__(self, config: MappingConfig, shard: str, window: TimeWindow | None, state: bytes) -> None:
        self._config = config
        self._shard = shard
        self.open = window
        self.state = state
        self._is_early = False
        """Whether the open window must end early, its state being too large."""

    @property
    def idle_at(self) -> float:
        """When the open window closes though no later record comes."""
        return self.open.end + IDLE_WINDOW_SECONDS if self.open else math.inf

    def of(self, record: Waiting) -> TimeWindow | None:
        """The window of a batch that begins with the record; None where the mapping has no windows.

        A record that arrived a little before the open window is in it: shards are not sorted by time of arrival.
        """
        length = self._config.tumbling_window
        if not length:
            return None
        start = int(record.arrived // length) * length
        return self.open or TimeWindow(start, start + length)

    def fields(self, window: TimeWindow, final: bool = False, early: bool = False) -> Tumbling:
        """What an event of the window says beside its records."""
        return Tumbling(self._shard, self._config.stream_arn, window, self.state, final, early)

    def enter(self, record: Waiting) -> Tumbling | None:
        """Open the window of a batch that begins with the record; the fields of the batch's event."""
        window = self.of(record)
        if window is None:
            return None
        self.open = window
        return self.fields(window)

    def must_close(self, following: Waiting | None, ended: bool) -> bool:
        """Whether the open window is to be closed whatever the time: early, or because it has all its records.

        It has them once a later window's record is there, or the shard has no more. "When a shard ends, Lambda
        considers the current window to be closed, and any child shards will start their own window in a fresh state."

        Args:
            following: the first record that is in no batch yet.
            ended: whether the shard is closed and has been read to its end.
        """
        if self.open is None:
            return False
        return self._is_early or (following.arrived >= self.open.end if following else ended)

    def final(self, following: Waiting | None, now: float, ended: bool) -> Tumbling | None:
        """The fields of the open window's final invocation; None while the window stays open."""
        is_idle = following is None and now >= self.idle_at
        if self.open and (is_idle or self.must_close(following, ended)):
            return self.fields(self.open, final=True, early=self._is_early)
        return None

    def with_state(self, batch: Batch) -> Batch:
        """The batch as it goes now, with the state of now: parts of the batch may have changed it since."""
        return replace(batch, tumbling=replace(batch.tumbling, state=self.state)) if batch.tumbling else batch

    def invoked(self, tumbling: Tumbling, state: bytes | None) -> None:
        """An invocation with these fields succeeded: carry its state on, or drop it after a final invocation."""
        if tumbling.final:
            self.state = NO_STATE
            # "Subsequent invoke will continue the same window with a fresh state" after an early end.
            self.open = tumbling.window if tumbling.terminated_early else None
            self._is_early = False
        elif state is not None:
            self.state = state
            self._is_early = len(state) > MAX_STATE_BYTES
