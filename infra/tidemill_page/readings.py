"""Readings of event sources that run in this process.

Room: page. Asks nothing of anybody: the numbers are in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tidemill_event_source import EventSource
from tidemill_page.answers import Answered
from tidemill_page.batches import Batches
from tidemill_page.reckoning import Reading, ShardReading

LAG_SECONDS: Final = 60.0
"""For how long the age of a batch is told after its end, as CloudWatch does."""


class Readings:
    """Reads the mappings of one function.

    Args:
        function: its name.
    """

    def __init__(self, function: str) -> None:
        self._function = function
        self._invocations = 0
        self._ended = 0.0
        """When the last batch ended, in seconds since 1970."""

    def read(self, sources: Sequence[EventSource], answered: Answered, batches: Batches, now: float) -> Reading:
        """What holds now.

        Args:
            sources: all that run.
            answered: what functions have answered.
            batches: what the function's lines of metrics have said.
            now: in seconds since 1970.
        """
        own = [one for one in sources if self._function in one.config.function_arn.split(":")]
        counts = [one.counts for one in own]
        shards = [shard for one in own for shard in one.shards]
        invocations = sum(one.invocations for one in counts)
        if invocations != self._invocations:
            self._invocations, self._ended = invocations, now
        ages = [now - one.oldest for one in shards if one.oldest is not None]
        if now - self._ended < LAG_SECONDS:
            ages += [one.iterator_age for one in counts]
        problems = [one.last_result for one in counts if one.last_result.startswith("PROBLEM")]
        batched, latency = batches.totals, batches.latency(now)
        return Reading(
            at=now,
            requests=answered.requests - (batched.redelivered if batched else 0),
            invocations=invocations,
            errors=sum(one.errors for one in counts),
            throttles=sum(one.throttles for one in counts),
            discarded=sum(one.discarded for one in counts),
            quarantined=answered.quarantined,
            write_calls=answered.write_calls,
            write_units=batched.write_units if batched else None,
            applied=batched.applied if batched else None,
            rejected=batched.rejected if batched else None,
            repeats=batched.repeats if batched else None,
            p50_ms=latency[0] if latency else None,
            p99_ms=latency[1] if latency else None,
            lag=max(0.0, *ages) if ages else None,
            shards=tuple(ShardReading(one.shard, one.waiting, one.done) for one in shards),
            problem=problems[0] if problems else None,
        )
