"""Counts of what a mapping did.

Room: event source, pure but for the lock.
Tests: tests/consumers/tidemill_event_source/test_source.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class Counts:
    """What a mapping did so far.

    Attributes:
        invocations: invocations of the function that ran.
        errors: of them, those that failed, wholly or in part.
        throttles: invocations that did not run: throttled, or the service failed.
        records: records done: applied, discarded or filtered out.
        discarded: records given up.
        filtered: records that no filter let through.
        iterator_age: seconds; how old the last record of the last batch was when the batch ended.
        last_result: the LastProcessingResult of Lambda's API.
    """

    invocations: int = 0
    errors: int = 0
    throttles: int = 0
    records: int = 0
    discarded: int = 0
    filtered: int = 0
    iterator_age: float = 0.0
    last_result: str = "No records processed"


@dataclass(frozen=True, slots=True)
class ShardCounts:
    """A shard's numbers.

    Attributes:
        shard: its id.
        waiting: records read and not done.
        done: records done since a worker follows it: applied, discarded or filtered out.
        oldest: seconds since 1970; when the first of those that wait arrived; None if none waits.
    """

    shard: str
    waiting: int
    done: int
    oldest: float | None


class Tally:
    """Counts that several threads add to.

    Attributes:
        counts: a snapshot.
    """

    def __init__(self) -> None:
        self.counts = Counts()
        self._lock = Lock()

    def add(
        self,
        *,
        invocations: int = 0,
        errors: int = 0,
        throttles: int = 0,
        records: int = 0,
        discarded: int = 0,
        age: float | None = None,
        result: str | None = None,
    ) -> None:
        """Add to the counts; `age` and `result` take the place of the last ones, unless they are None."""
        with self._lock:
            now = self.counts
            self.counts = Counts(
                invocations=now.invocations + invocations,
                errors=now.errors + errors,
                throttles=now.throttles + throttles,
                records=now.records + records,
                discarded=now.discarded + discarded,
                iterator_age=now.iterator_age if age is None else age,
                last_result=result or now.last_result,
            )
