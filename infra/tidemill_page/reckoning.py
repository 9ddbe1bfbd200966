"""Figures from readings: rates and the last minutes, from totals that are read about once a second.

Room: page, pure: times come with the readings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidemill_page.figures import Figures, History, QuarantinedObject, ShardFigures

RATE_SECONDS: Final = 10.0
"""Over which rates are taken: batches come once in a window, which is 5 seconds by default."""

STEP_SECONDS: Final = 5.0
STEPS: Final = 60
"""Of the history: five minutes."""


@dataclass(frozen=True, slots=True)
class ShardReading:
    """A shard's totals: records that wait now, and records done."""

    shard: str
    waiting: int
    done: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals since the stack's start, and what holds now.

    Attributes:
        at: when they were read, in seconds since 1970.
        lag: in seconds; None while there is none.
        problem: what is wrong now, in words.
    """

    at: float
    requests: int = 0
    invocations: int = 0
    errors: int = 0
    throttles: int = 0
    discarded: int = 0
    quarantined: int = 0
    write_calls: int = 0
    write_units: float | None = None
    applied: int | None = None
    rejected: int | None = None
    repeats: int | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    lag: float | None = None
    shards: tuple[ShardReading, ...] = ()
    problem: str | None = None

    @property
    def writes(self) -> float:
        """Write units, or where those are not known, write calls."""
        return self.write_calls if self.write_units is None else self.write_units


@dataclass(frozen=True, slots=True)
class _Step:
    requests_per_second: float | None
    lag_ms: int | None
    p99_ms: int | None
    writes_per_second: float | None


class Reckoning:
    """Keeps the readings of the last minutes.

    Args:
        since: when the totals began, in seconds since 1970.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._recent: deque[Reading] = deque()
        self._steps: deque[_Step] = deque(maxlen=STEPS)
        self._step: Reading | None = None
        """The reading at which the present step began."""

    def figures(self, now: Reading, newest: Sequence[QuarantinedObject] = ()) -> Figures:
        """The figures at this reading.

        Args:
            now: the reading; later than the last one.
            newest: objects of the quarantine, the newest first.
        """
        self._recent.append(now)
        while len(self._recent) > 2 and now.at - self._recent[1].at >= RATE_SECONDS:
            self._recent.popleft()
        self._keep_step(now)
        then = self._recent[0]
        return Figures(
            source="local",
            at=round(now.at, 3),
            since=round(self._since, 3),
            requests=now.requests,
            invocations=now.invocations,
            requests_per_second=_rate(now.requests - then.requests, now.at - then.at),
            lag_ms=_milliseconds(now.lag),
            waiting=sum(one.waiting for one in now.shards),
            applied=now.applied,
            rejected=now.rejected,
            repeats=now.repeats,
            quarantined=now.quarantined,
            write_calls=now.write_calls,
            write_units=now.write_units,
            p50_ms=_whole(now.p50_ms),
            p99_ms=_whole(now.p99_ms),
            errors=now.errors,
            throttles=now.throttles,
            discarded=now.discarded,
            problem=now.problem,
            shards=tuple(_shards(now, then)),
            newest_quarantined=tuple(newest),
            history=self._history(),
        )

    def _keep_step(self, now: Reading) -> None:
        """Close the present step if it is long enough."""
        began = self._step or now
        seconds = now.at - began.at
        if self._step is None or seconds >= STEP_SECONDS:
            self._step = now
        if seconds >= STEP_SECONDS:
            self._steps.append(
                _Step(
                    _rate(now.requests - began.requests, seconds),
                    _milliseconds(now.lag),
                    _whole(now.p99_ms),
                    _rate(now.writes - began.writes, seconds),
                )
            )

    def _history(self) -> History:
        steps = [_Step(None, None, None, None)] * (STEPS - len(self._steps)) + list(self._steps)
        return History(
            STEP_SECONDS,
            tuple(one.requests_per_second for one in steps),
            tuple(one.lag_ms for one in steps),
            tuple(one.p99_ms for one in steps),
            tuple(one.writes_per_second for one in steps),
        )


def _shards(now: Reading, then: Reading) -> list[ShardFigures]:
    before = {one.shard: one.done for one in then.shards}
    seconds = now.at - then.at
    return [
        ShardFigures(one.shard, one.waiting, _rate(one.done - before.get(one.shard, 0), seconds)) for one in now.shards
    ]


def _rate(more: float, seconds: float) -> float | None:
    """A second's share; none below 0, for a shard that is begun again counts from 0."""
    return round(max(0.0, more) / seconds, 2) if seconds > 0 else None


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)
