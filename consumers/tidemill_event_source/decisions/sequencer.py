"""One strictly serial sequence of batches: what is gathered, when it goes, what a failure makes of it.

Room: event source, pure: no I/O, `now` is an argument, in seconds since 1970 of a clock that never steps.

A mapping has as many sequencers for a shard as its ParallelizationFactor says; a key's records are all in one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidemill_event_source.decisions.batches import (
    MAX_EVENT_BYTES,
    MAX_STATE_BYTES,
    NO_STATE,
    Batch,
    BatchResult,
    InvocationResponse,
    TimeWindow,
    Tumbling,
    batch_result,
    envelope_size,
)
from tidemill_event_source.decisions.config import FOREVER, MappingConfig
from tidemill_event_source.decisions.failures import Failure
from tidemill_event_source.decisions.records import Waiting

FIRST_BACKOFF = 0.25
"""Seconds before the first retry; each further one waits twice as long. Eight tries thus fit in a minute, which
is what AWS was seen to do with a MaximumRecordAgeInSeconds of 60."""

LONGEST_BACKOFF = 60.0

IDLE_WINDOW_SECONDS = 120.0
""""When no new records are being added to the current window, Lambda waits for up to 2 minutes before assuming
that the window is over": https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html."""


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures in a row."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** (min(failures, 16) - 1))


@dataclass(frozen=True, slots=True)
class Invoke:
    """To do: invoke the function, then tell `answered`."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Discard:
    """To do: tell the destination, then tell `discarded`."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A batch that was formed and is not done: it goes again as it is, or in parts, before anything new does."""

    batch: Batch
    retries: int = 0
    invocations: int = 0
    response: InvocationResponse | None = None


class Sequencer:
    """Gathers records and says what to do next.

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
        self._shard = shard
        self._gathered: list[Waiting] = []
        self._attempts: list[_Attempt] = []
        self._busy: Invoke | Discard | None = None
        self._failures = 0
        self._not_before = -math.inf
        self.window = window
        self.state = state
        self._early = False
        self._start_over()

    @property
    def records(self) -> int:
        """Records taken in and not done."""
        return sum(len(attempt.batch.records) for attempt in self._attempts) + len(self._gathered)

    @property
    def wants_more(self) -> bool:
        """Whether there is less than a whole batch to form."""
        return not self._full

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do for what was taken in; an open window is yet to be closed."""
        return not self._attempts and not self._gathered and self.window is None

    @property
    def first(self) -> Waiting | None:
        """The first record that is not done."""
        for attempt in self._attempts:
            if attempt.batch.records:
                return attempt.batch.records[0]
        return self._gathered[0] if self._gathered else None

    def take(self, records: Sequence[Waiting]) -> None:
        """Take in what was read, in order."""
        self._gathered += records
        self._measure()

    def next(self, now: float, ended: bool) -> Invoke | Discard | None:
        """What to do now; None while there is nothing, at least until `wake`.

        Args:
            now: the time.
            ended: whether the shard is closed and has been read to its end, so that nothing will come.
        """
        if self._busy:
            return None
        if not self._attempts and (formed := self._form(now, ended)):
            self._attempts.append(_Attempt(formed))
        if self._attempts:
            self._busy = self._proceed(now)
        return self._busy

    def wake(self, ended: bool) -> float:
        """When `next` may have something to do though nothing else happens."""
        if self._busy:
            return math.inf
        if self._attempts:
            return min(self._not_before, self._expiry(self._attempts[0]))
        if self._early or self._full or self._must_close(ended) or (ended and self._count):
            return -math.inf
        if self._count:
            return self._gathered[0].read + self._config.window
        return self.window.end + IDLE_WINDOW_SECONDS if self.window else math.inf

    def answered(self, response: InvocationResponse, now: float) -> BatchResult | None:
        """The last Invoke ended; returns how much of its batch is done, None for a complete failure."""
        self._busy = None
        head = self._attempts.pop(0)
        if not response.invoked:
            # Throttles and service errors before the invocation do not count as retries.
            self._again([head], now)
            return None
        attempt = replace(head, invocations=head.invocations + 1, response=response)
        result = batch_result(head.batch, response, self._config)
        whole = len(head.batch.records)
        if result is None or (result.done == 0 and whole):
            self._failed(attempt, partial=result is not None, now=now)
            return result
        self._failures = 0
        self._settle(head.batch, result)
        if result.done < whole:
            # What follows the checkpoint is a batch of its own, with all its retries before it.
            rest = replace(head.batch, records=head.batch.records[result.done :])
            self._again([_Attempt(rest)], now)
        return result

    def discarded(self) -> None:
        """The destination was told of the last Discard."""
        self._busy = None
        self._attempts.pop(0)
        self._failures = 0
        self._not_before = -math.inf

    def _proceed(self, now: float) -> Invoke | Discard | None:
        head = self._attempts[0]
        if self._expire(now):
            head = self._attempts[0]
            return Discard(Failure("RecordAgeExceeded", head.batch.records, max(1, head.invocations), None))
        if now < self._not_before:
            return None
        if self._is_exhausted(head):
            return Discard(Failure("RetryAttemptsExhausted", head.batch.records, head.invocations, head.response))
        return Invoke(self._with_state(head.batch))

    def _is_exhausted(self, attempt: _Attempt) -> bool:
        # "If the invocation is unsuccessful, your Lambda function suspends further processing until a successful
        # invocation": a window's final invocation is never given up.
        limit = self._config.maximum_retry_attempts
        return bool(attempt.batch.records) and limit != FOREVER and attempt.retries > limit

    def _expire(self, now: float) -> bool:
        """Split off what has become too old, so that it stands first; whether there is any."""
        head = self._attempts[0]
        if self._config.maximum_record_age == FOREVER:
            return False
        oldest = now - self._config.maximum_record_age
        records = head.batch.records
        expired = next((place for place, one in enumerate(records) if one.arrived > oldest), len(records))
        if 0 < expired < len(records):
            self._attempts[:1] = [
                replace(head, batch=replace(head.batch, records=records[:expired])),
                replace(head, batch=replace(head.batch, records=records[expired:])),
            ]
        return expired > 0

    def _expiry(self, attempt: _Attempt) -> float:
        if self._config.maximum_record_age == FOREVER or not attempt.batch.records:
            return math.inf
        return attempt.batch.records[0].arrived + self._config.maximum_record_age

    def _failed(self, attempt: _Attempt, partial: bool, now: float) -> None:
        records = attempt.batch.records
        if self._config.bisect_batch_on_function_error and len(records) > 1 and not partial:
            # "Bisecting a batch does not count toward the retry quota":
            # https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
            half = (len(records) + 1) // 2
            parts = [records[:half], records[half:]]
            self._again([_Attempt(replace(attempt.batch, records=part), attempt.retries) for part in parts], now)
        else:
            self._again([replace(attempt, retries=attempt.retries + 1)], now)

    def _again(self, attempts: list[_Attempt], now: float) -> None:
        self._attempts = [*attempts, *self._attempts]
        self._failures += 1
        self._not_before = now if self._is_exhausted(attempts[0]) else now + backoff(self._failures)

    def _settle(self, batch: Batch, result: BatchResult) -> None:
        """Carry the tumbling window's state on."""
        if not batch.tumbling:
            return
        if batch.tumbling.final:
            self.state = NO_STATE
            # "Subsequent invoke will continue the same window with a fresh state" after an early end.
            self.window = batch.tumbling.window if batch.tumbling.terminated_early else None
            self._early = False
        elif result.state is not None:
            self.state = result.state
            self._early = len(result.state) > MAX_STATE_BYTES
        self._start_over()

    # ── Gathering ────────────────────────────────────────────────────────────────────────────────────────────

    def _form(self, now: float, ended: bool) -> Batch | None:
        if self._early or self._must_close(ended) or self._has_idled(now):
            assert self.window is not None, "only an open window is closed"  # noqa: S101
            return Batch((), self._tumbling(self.window, final=True, early=self._early))
        if not self._count or not (self._full or now >= self._gathered[0].read + self._config.window or ended):
            return None
        records = tuple(self._gathered[: self._count])
        tumbling = None
        if self._config.tumbling_window:
            self.window = self.window or self._window_of(records[0])
            tumbling = self._tumbling(self.window)
        del self._gathered[: self._count]
        self._start_over()
        return Batch(records, tumbling)

    def _start_over(self) -> None:
        # The batch that would go now: this many of what is gathered, this many bytes, and no more will fit.
        self._count = self._size = 0
        self._full = False
        self._measure()

    def _measure(self) -> None:
        """How much of what is gathered one batch takes: by count, by the event's size, by its window."""
        if self._full or self._count == len(self._gathered):
            return
        window = None
        if self._config.tumbling_window:
            window = self.window or self._window_of(self._gathered[0])
        if not self._count:
            self._size = envelope_size(self._tumbling(window) if window else None) - 1
        for place in range(self._count, len(self._gathered)):
            record = self._gathered[place]
            size = self._size + 1 + len(record.event)
            too_large = size > MAX_EVENT_BYTES and place > 0
            if too_large or (window and record.arrived >= window.end):
                self._full = True
                return
            self._count, self._size = place + 1, size
            if self._count == self._config.batch_size:
                self._full = True
                return

    # ── Tumbling windows ─────────────────────────────────────────────────────────────────────────────────────

    def _window_of(self, record: Waiting) -> TimeWindow:
        start = int(record.arrived // self._config.tumbling_window) * self._config.tumbling_window
        return TimeWindow(start, start + self._config.tumbling_window)

    def _tumbling(self, window: TimeWindow, final: bool = False, early: bool = False) -> Tumbling:
        return Tumbling(self._shard, self._config.stream_arn, window, self.state, final, early)

    def _with_state(self, batch: Batch) -> Batch:
        """The batch as it goes now: with the state as it is now, for parts of it may have been done."""
        return replace(batch, tumbling=replace(batch.tumbling, state=self.state)) if batch.tumbling else batch

    def _must_close(self, ended: bool) -> bool:
        """Whether the open window has all its records: a later one's is there, or the shard has none any more.

        "When a shard ends, Lambda considers the current window to be closed, and any child shards will start
        their own window in a fresh state."
        """
        if self.window is None:
            return False
        return self._gathered[0].arrived >= self.window.end if self._gathered else ended

    def _has_idled(self, now: float) -> bool:
        return self.window is not None and not self._gathered and now >= self.window.end + IDLE_WINDOW_SECONDS
