"""A mapping on a simulated clock: hours of traffic in seconds, by the same decisions as the real one.

Room: event source, pure: time, arrivals and the function are arguments.
Tests: tests/consumers/tidemill_event_source/test_invocation_counts.py.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

from tidemill_event_source.decisions.batches import Batch, InvocationResponse
from tidemill_event_source.decisions.checkpoint import Checkpoint, Start
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.failures import Failure
from tidemill_event_source.decisions.records import Render, kinesis_renderer
from tidemill_event_source.decisions.sequencer import Discard, Invoke
from tidemill_event_source.decisions.shard import Deliver, Read, Shard
from tidemill_event_source.shard_reader import READ_LIMIT, Page, StreamRecord

FIRST_SEQUENCE = 10**55
"""Sequence numbers as long as AWS's, for they count towards an event's size."""


class Arrival(NamedTuple):
    """A record that reaches a shard."""

    at: float
    """Seconds since 1970."""
    key: str
    data: bytes


Function: TypeAlias = Callable[[Batch, float], tuple[InvocationResponse, float]]
"""A batch and the time of its invocation -> the response, and after how many seconds it comes."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation that ended."""

    shard: str
    at: float
    batch: Batch
    response: InvocationResponse


class _Stream:
    """A shard's records as time lets them appear."""

    def __init__(self, shard: str, arrivals: Iterable[Arrival]) -> None:
        self._shard = shard
        self._records = self._numbered(arrivals)
        self._next = next(self._records, None)

    @property
    def exhausted(self) -> bool:
        return self._next is None

    def read(self, limit: int, now: float) -> Page:
        records: list[StreamRecord] = []
        while self._next and self._next[0] <= now and len(records) < limit:
            records.append(self._next[1])
            self._next = next(self._records, None)
        behind = now - self._next[0] if self._next else 0.0
        return Page(tuple(records), behind_ms=max(0, round(behind * 1000)), ended=False)

    def _numbered(self, arrivals: Iterable[Arrival]) -> Iterator[tuple[float, StreamRecord]]:
        for number, one in enumerate(arrivals):
            arrived = datetime.fromtimestamp(one.at, UTC)
            yield one.at, StreamRecord(self._shard, str(FIRST_SEQUENCE + number), one.key, one.data, arrived)


class Simulation:
    """Runs a mapping over arrivals.

    Args:
        config: the mapping.
        arrivals: each shard's, in order of time.
        function: the function that is invoked.
        heard: called with each invocation that ended.
        discarded: called with each batch given up: the failure, the shard and the time.
        begin: the time at which it starts.
        render: gives a record its form in the event; by default Kinesis's.

    Attributes:
        now: the time.
        invocations: how many ran.

    Example:
        arrivals = {"shardId-000000000000": [Arrival(at, "k", b"{}") for at in range(60)]}
        simulation = Simulation(config, arrivals, lambda batch, now: (InvocationResponse(), 0.01))
        simulation.run(until=120)
        print(simulation.invocations)
    """

    def __init__(
        self,
        config: MappingConfig,
        arrivals: Mapping[str, Iterable[Arrival]],
        function: Function,
        *,
        heard: Callable[[Invocation], None] = lambda _: None,
        discarded: Callable[[Failure, str, float], None] = lambda *_: None,
        begin: float = 0.0,
        render: Render | None = None,
    ) -> None:
        start = Start(config.starting_position, config.starting_timestamp)
        render = render or kinesis_renderer(config.stream_arn)
        self._function = function
        self._heard = heard
        self._discarded = discarded
        self._streams = {name: _Stream(name, records) for name, records in arrivals.items()}
        self._shards = {name: Shard(config, name, Checkpoint(start), render) for name in arrivals}
        self._agenda: list[tuple[float, int, str, Callable[[float], None]]] = []
        self._made = 0
        self._due = dict.fromkeys(arrivals, math.inf)
        self.now = begin
        self.invocations = 0
        for name in arrivals:
            self._plan(begin, name, lambda _: None)

    def run(self, until: float = math.inf) -> None:
        """Go on until that time, or until all that arrives is done."""
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, name, happen = heapq.heappop(self._agenda)
            happen(self.now)
            self._act(name)
            if self._is_done():
                break
        self.now = max(self.now, until) if until < math.inf else self.now

    def _is_done(self) -> bool:
        exhausted = all(stream.exhausted for stream in self._streams.values())
        return exhausted and all(shard.settled for shard in self._shards.values())

    def _act(self, name: str) -> None:
        """Do all that the shard asks for now, and plan to come again when it may ask for more."""
        shard = self._shards[name]
        while action := shard.next(self.now):
            match action:
                case Read():
                    shard.took(self._streams[name].read(READ_LIMIT, self.now), self.now)
                case Deliver(sequencer, Invoke(batch)):
                    self._invoke(name, sequencer, batch)
                case Deliver(sequencer, Discard(failure)):
                    self._discarded(failure, name, self.now)
                    shard.discarded(sequencer, failure.records)
        wake = shard.wake()
        if self.now < wake < math.inf and (wake < self._due[name] or self._due[name] <= self.now):
            self._due[name] = wake
            self._plan(wake, name, lambda _: None)

    def _invoke(self, name: str, sequencer: int, batch: Batch) -> None:
        response, seconds = self._function(batch, self.now)

        def answer(now: float) -> None:
            if response.invoked:
                self.invocations += 1
            self._heard(Invocation(name, now, batch, response))
            self._shards[name].answered(sequencer, batch.records, response, now)

        self._plan(self.now + seconds, name, answer)

    def _plan(self, at: float, name: str, happen: Callable[[float], None]) -> None:
        self._made += 1
        heapq.heappush(self._agenda, (at, self._made, name, happen))
