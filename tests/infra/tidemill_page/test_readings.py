"""Readings of event sources: one function's, with the lag as long as it says something."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tidemill_consumers.codec import metrics
from tidemill_event_source import Counts, MappingConfig, ShardCounts
from tidemill_page import Answered, Batches, Reading, Readings
from tidemill_page.readings import LAG_SECONDS
from tidemill_page.reckoning import ShardReading

NOON = 1_764_072_000.0
NOTHING = Answered()
ARN = "arn:aws:kinesis:us-east-1:111122223333:stream/requests"


@dataclass
class Source:
    """An event source as far as it is read."""

    counts: Counts = field(default_factory=Counts)
    shards: tuple[ShardCounts, ...] = ()
    function: str = "apply"

    @property
    def config(self) -> MappingConfig:
        return MappingConfig(ARN, function_arn=f"arn:aws:lambda:us-east-1:111122223333:function:{self.function}")


def read(
    readings: Readings,
    *sources: Source,
    second: float = 0.0,
    answered: Answered = NOTHING,
    batches: Batches | None = None,
) -> Reading:
    every: Any = sources
    return readings.read(every, answered, batches or Batches("apply"), NOON + second)


def test_numbers_of_the_function_are_added_up_and_others_left_out() -> None:
    counts = Counts(invocations=4, errors=1, throttles=2, records=9, discarded=3, last_result="OK")
    waits = ShardCounts("shard-0", 5, 9, NOON - 2)
    other = Source(replace(counts, last_result="PROBLEM: of another"), (waits,), function="apply-2")
    reading = read(Readings("apply"), Source(counts, (waits,)), other, answered=Answered(70, 8, 6))
    assert (reading.requests, reading.write_calls, reading.quarantined) == (70, 8, 6)
    assert (reading.invocations, reading.errors, reading.throttles, reading.discarded) == (4, 1, 2, 3)
    assert reading.shards == (ShardReading("shard-0", 5, 9),)
    assert reading.problem is None


def test_the_last_batchs_problem_is_told() -> None:
    reading = read(Readings("apply"), Source(Counts(last_result="PROBLEM: Function call failed")))
    assert reading.problem == "PROBLEM: Function call failed"


def test_the_lag_is_the_last_batchs_until_that_is_long_ago() -> None:
    readings, source = Readings("apply"), Source()
    assert read(readings, source).lag is None
    source.counts = Counts(invocations=1, iterator_age=2.5)
    assert read(readings, source, second=1).lag == 2.5
    assert read(readings, source, second=LAG_SECONDS).lag == 2.5
    assert read(readings, source, second=LAG_SECONDS + 1).lag is None


def test_what_waits_longer_than_the_last_batch_did_is_the_lag() -> None:
    source = Source(Counts(invocations=1, iterator_age=2.5), (ShardCounts("shard-0", 1, 1, NOON),))
    readings = Readings("apply")
    assert read(readings, source, second=1).lag == 2.5
    assert read(readings, source, second=100).lag == 100
    assert read(readings, source, second=-1).lag == 2.5, "a clock that is behind the stream's makes no negative lag"


def test_requests_that_were_delivered_again_count_once() -> None:
    batches = Batches("apply")
    figures = metrics.Figures(requests=10, redelivered=4, applied=5, rejected=1, write_units=7.0, reply_latency=(20.0,))
    batches.heard(metrics.line_of(figures, "apply", NOON))
    reading = read(Readings("apply"), answered=Answered(requests=14), batches=batches)
    assert (reading.requests, reading.applied, reading.rejected, reading.repeats) == (10, 5, 1, 0)
    assert (reading.write_units, reading.p50_ms, reading.p99_ms) == (7.0, 20.0, 20.0)
    reading = read(Readings("apply"), answered=Answered(requests=14))
    assert (reading.requests, reading.applied, reading.write_units, reading.p50_ms) == (14, None, None, None)
