"""Batches that were formed and are not done: which goes next, when it is tried again, and when it is given up.

Room: event source, pure: `now` is an argument.
Tests: tests/consumers/tidemill_event_source/decisions/test_waking.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidemill_event_source.decisions.batches import Batch, InvocationResponse
from tidemill_event_source.decisions.config import FOREVER, MappingConfig
from tidemill_event_source.decisions.failures import Failure
from tidemill_event_source.decisions.records import Waiting

FIRST_BACKOFF = 0.25
"""Seconds before the first retry; each further one waits twice as long. Eight tries thus fit in a minute, which
is what AWS was seen to do with a MaximumRecordAgeInSeconds of 60."""

LONGEST_BACKOFF = 60.0


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures in a row."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** (min(failures, 16) - 1))


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A batch, and what became of it so far.

    Attributes:
        retries: failures that count towards MaximumRetryAttempts.
        invocations: how often the function ran with it.
        response: the last response; None before the first.
    """

    batch: Batch
    retries: int = 0
    invocations: int = 0
    response: InvocationResponse | None = None


def _is_exhausted(attempt: _Attempt, config: MappingConfig) -> bool:
    # "If the invocation is unsuccessful, your Lambda function suspends further processing until a successful
    # invocation": a window's final invocation is never given up.
    limit = config.maximum_retry_attempts
    return bool(attempt.batch.records) and limit != FOREVER and attempt.retries > limit


def _too_old(records: Sequence[Waiting], config: MappingConfig, now: float) -> int:
    """How many records, from the first, are too old."""
    if config.maximum_record_age == FOREVER:
        return 0
    oldest = now - config.maximum_record_age
    return next((place for place, one in enumerate(records) if one.arrived > oldest), len(records))


def _split(attempt: _Attempt, place: int) -> list[_Attempt]:
    """The attempt as two, the second from that record on; as it is where no record is left for the second."""
    records = attempt.batch.records
    parts = [part for part in (records[:place], records[place:]) if part]
    return [replace(attempt, batch=replace(attempt.batch, records=part)) for part in parts]


def _after_failure(attempt: _Attempt, config: MappingConfig, may_bisect: bool) -> list[_Attempt]:
    """The attempts that take its place: the batch in halves, or whole with one retry used up."""
    records = attempt.batch.records
    if may_bisect and config.bisect_batch_on_function_error and len(records) > 1:
        # "Bisecting a batch does not count toward the retry quota":
        # https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
        return _split(_Attempt(attempt.batch, attempt.retries), (len(records) + 1) // 2)
    return [replace(attempt, retries=attempt.retries + 1)]


class Attempts:
    """A queue of batches, tried one after the other: a failed one goes again, whole or in parts, before the next.

    Args:
        config: the mapping.
    """

    def __init__(self, config: MappingConfig) -> None:
        self._config = config
        self._queue: list[_Attempt] = []
        self._failures = 0
        """Failures in a row: the wait before the next try grows with them."""
        self._not_before = -math.inf

    def __bool__(self) -> bool:
        return bool(self._queue)

    @property
    def head(self) -> Batch:
        """The batch whose turn it is."""
        return self._queue[0].batch

    @property
    def records(self) -> int:
        """How many records are in the batches."""
        return sum(len(attempt.batch.records) for attempt in self._queue)

    @property
    def first(self) -> Waiting | None:
        """The first record; None where no batch has any, for a window's final invocation has none."""
        return next((attempt.batch.records[0] for attempt in self._queue if attempt.batch.records), None)

    @property
    def due(self) -> float:
        """When `next` has something: at the time of the retry, or once the first record is too old."""
        records = self.head.records
        if self._config.maximum_record_age == FOREVER or not records:
            return self._not_before
        return min(self._not_before, records[0].arrived + self._config.maximum_record_age)

    def add(self, batch: Batch) -> None:
        """Queue a new batch."""
        self._queue.append(_Attempt(batch))

    def next(self, now: float) -> Batch | Failure | None:
        """The batch to invoke the function with now, or one to give up; None while the retry has to wait.

        Records that are too old are given up as a batch of their own, without those behind them.
        """
        if too_old := _too_old(self.head.records, self._config, now):
            self._queue[:1] = _split(self._queue[0], too_old)
            head = self._queue[0]
            return Failure("RecordAgeExceeded", head.batch.records, max(1, head.invocations), None)
        if now < self._not_before:
            return None
        head = self._queue[0]
        if _is_exhausted(head, self._config):
            return Failure("RetryAttemptsExhausted", head.batch.records, head.invocations, head.response)
        return head.batch

    def succeeded(self, done: int, now: float) -> None:
        """The first `done` records of the head are done: at least one of them, where it has any."""
        batch = self._queue.pop(0).batch
        self._failures = 0
        if done < len(batch.records):
            # What follows the checkpoint is a batch of its own, with all its retries before it.
            self._again([_Attempt(replace(batch, records=batch.records[done:]))], now)

    def failed(self, response: InvocationResponse, now: float, *, may_bisect: bool) -> None:
        """None of the head's records are done.

        Args:
            response: throttles and service errors before the invocation do not count as retries.
            now: the time.
            may_bisect: whether the batch may be tried again in halves, where the mapping says so.
        """
        head = self._queue.pop(0)
        if response.invoked:
            ran = replace(head, invocations=head.invocations + 1, response=response)
            self._again(_after_failure(ran, self._config, may_bisect), now)
        else:
            self._again([head], now)

    def discarded(self) -> None:
        """The head is given up."""
        self._queue.pop(0)
        self._failures = 0
        self._not_before = -math.inf

    def _again(self, attempts: list[_Attempt], now: float) -> None:
        self._queue = [*attempts, *self._queue]
        self._failures += 1
        self._not_before = now if _is_exhausted(attempts[0], self._config) else now + backoff(self._failures)
