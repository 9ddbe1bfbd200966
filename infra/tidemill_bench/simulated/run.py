"""A load test on a simulated clock: hours of traffic in minutes, by the event source mapping's own decisions.

Room: local platform, pure but for numpy. What functions are given is the scheduler's and the mapping's doing; how long
they take for it is assumed, as the cost model assumes it; items.py has what they write.
Tests: tests/infra/tidemill_bench/test_simulated.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice, repeat
from math import ceil
from typing import Final

import numpy as np

from tidemill_bench.simulated.histogram import Histogram
from tidemill_bench.simulated.items import SimulatedItems
from tidemill_bench.simulated.producer import SimulatedProducer
from tidemill_consumers.adapters.entities import KEYS_PER_READ, STATEMENTS_PER_CALL
from tidemill_event_source.decisions.batches import Batch, InvocationResponse
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import kinesis_renderer
from tidemill_event_source.decisions.simulation import Invocation, Simulation
from tidemill_event_source.shard_reader import StreamRecord
from tidemill_load.cost_model.assumptions import Assumptions
from tidemill_load.cost_model.model import API_SECONDS
from tidemill_load.results.result import Measurement, Mode
from tidemill_load.workloads.scheduled_request import ScheduledRequest

STREAM: Final = "arn:aws:kinesis:us-east-1:123456789012:stream/tidemill-requests"

BEGIN: Final = 1_764_000_000.0
"""The stream's clock at second 0."""

REPLY_SECONDS: Final = 0.05
"""From the end of a batch until its replies are heard."""

STEP: Final = 60.0
"""Simulated seconds between two looks at how far it is."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The mapping's settings, and the assumptions on the functions."""

    window: int
    batch: int
    shards: int
    assumed: Assumptions = field(default_factory=Assumptions)


class Run:
    """One mode at one rate.

    Args:
        mode: buffered or aggregated.
        rate: requests a second, as it is reported.
        scheduled: what is sent.
        settings: the mapping and what is assumed.
        seed: of the producer's chance.
        span: seconds that it stands for; None for up to the last request.
        producers: how many send.
    """

    def __init__(
        self,
        mode: Mode,
        rate: float,
        scheduled: Iterable[ScheduledRequest],
        settings: Settings,
        seed: int,
        span: float | None = None,
        producers: int = 1,
    ) -> None:
        self._span = span
        self._mode = mode
        self._rate = rate
        self._settings = settings
        self._feed = SimulatedProducer(scheduled, settings.shards, mode == "aggregated", BEGIN, seed, producers)
        self._names = [f"shardId-{number:012}" for number in range(settings.shards)]
        self._events: dict[tuple[int, int], bytes] = {}
        self._event = kinesis_renderer(STREAM)
        self._latencies = Histogram()
        self._seconds = self._answered = 0.0
        self._notes = self._units = self._reads = self._writes = self._messages = self._forgotten = self._read_units = 0
        self._items = SimulatedItems(producers)
        self._simulation = Simulation(
            MappingConfig(STREAM, batch_size=settings.batch, window=settings.window),
            {name: self._feed.arrivals(number) for number, name in enumerate(self._names)},
            self._function,
            heard=self._heard,
            begin=BEGIN,
            render=self._render,
        )

    def go(self, tell: Callable[[str], None]) -> bool:
        """Run to the end; whether it got there. Ctrl-C stops it with the counts up to then.

        Args:
            tell: told how far it is.
        """
        try:
            while not self._feed.ended or self._latencies.count < self._feed.requests:
                self._simulation.run(until=self._simulation.now + STEP)
                tell(
                    f"{self._feed.last / 60:,.0f} min, {self._feed.requests:,} requests, "
                    f"{self._simulation.invocations:,} invocations, p95 {self._latencies.percentile(0.95):.2f} s"
                )
        except KeyboardInterrupt:
            return False
        return True

    def measurement(self) -> Measurement:
        """The counts so far. Duplicates and order are not known: nothing was applied."""
        feed, assumed = self._feed, self._settings.assumed
        return Measurement(
            mode=self._mode,
            rate=self._rate,
            slices=1,
            requests=feed.requests,
            bytes=feed.bytes,
            seconds=feed.last,
            span=max(self._span or 0.0, feed.last) if feed.ended else feed.last,
            drain_seconds=max(0.0, self._answered - feed.last),
            sent_rate=feed.requests / feed.last if feed.last else 0.0,
            invocations=self._simulation.invocations,
            billed_ms=1000 * self._seconds,
            memory_mb=assumed.memory,
            gb_seconds=self._seconds * assumed.memory / 1024,
            records=feed.records,
            put_calls=feed.put_calls,
            put_units=feed.put_units,
            stream_bytes=feed.stream_bytes,
            shards=self._settings.shards,
            read_calls=self._reads + self._notes,
            write_calls=self._writes + self._simulation.invocations,  # each notes that it begins
            read_units=self._read_units + self._notes,
            write_units=self._units + self._forgotten + self._simulation.invocations,
            forgotten_units=self._forgotten,
            entities=len(feed.entities),
            writers_per_key=self._items.writers / len(feed.entities) if feed.entities else None,
            item_bytes=self._items.bytes / len(feed.entities) if feed.entities else None,
            remembered=self._items.remembered / len(feed.entities) if feed.entities else None,
            receipts=self._latencies.count,
            reply_messages=self._messages,
            latency=self._latencies.latency(),
            lost=feed.requests - self._latencies.count if feed.ended else None,
        )

    def _render(self, record: StreamRecord) -> bytes:
        """The event of a record of that size; its contents do not matter."""
        sizes = len(record.data), len(record.partition_key)
        if sizes not in self._events:
            self._events[sizes] = self._event(record)
        return self._events[sizes]

    def _function(self, batch: Batch, now: float) -> tuple[InvocationResponse, float]:
        contents = self._feed.contents[self._feed.shards[batch.records[0].key]]
        front = islice(contents, len(batch.records))
        return InvocationResponse(), self._duration(sum(len(content.due) for content in front))

    def _heard(self, invocation: Invocation) -> None:
        contents = self._feed.contents[self._names.index(invocation.shard)]
        self._notes += len(contents[0].due) > 1  # how far an aggregate was done is looked up
        due: list[float] = []
        keys: set[str] = set()
        written: list[tuple[str, int]] = []
        clients: set[str] = set()
        for _ in invocation.batch.records:
            content = contents.popleft()
            due += content.due
            keys.update(content.keys)
            written += zip(content.keys, repeat(content.producer))
            clients.update(content.clients)
        self._answered = invocation.at - BEGIN + REPLY_SECONDS
        self._latencies.add(self._answered - np.array(due))
        self._seconds += self._duration(len(due))
        units, forgotten = self._items.write(written)
        self._units += units
        self._forgotten += forgotten
        self._read_units += len(keys)
        self._reads += ceil(len(keys) / KEYS_PER_READ)
        self._writes += ceil(len(keys) / STATEMENTS_PER_CALL) + (forgotten > 0)
        self._messages += len(clients)

    def _duration(self, requests: int) -> float:
        assumed = self._settings.assumed
        return assumed.invocation_seconds + requests * assumed.request_seconds


def direct(like: Measurement, assumed: Assumptions) -> Measurement:
    """A measurement of direct calls, one a request: reckoned, for no function waits for another.

    Args:
        like: a measurement of the same requests.
        assumed: how long a request takes, and the memory.
    """
    seconds = API_SECONDS + assumed.direct_seconds
    requests = like.requests
    histogram = Histogram()
    histogram.add(np.full(requests, seconds))
    return Measurement(
        mode="direct",
        rate=like.rate,
        slices=1,
        requests=requests,
        bytes=like.bytes,
        seconds=like.seconds,
        span=like.span,
        drain_seconds=seconds,
        sent_rate=like.sent_rate,
        invocations=requests,
        billed_ms=1000 * requests * assumed.direct_seconds,
        memory_mb=assumed.direct_memory,
        gb_seconds=requests * assumed.direct_seconds * assumed.direct_memory / 1024,
        http_requests=requests,
        read_calls=round(requests * assumed.direct_reads),
        write_calls=round(requests * assumed.direct_writes),
        read_units=requests * assumed.direct_reads,
        write_units=requests * assumed.direct_writes,
        entities=like.entities,
        receipts=requests,
        reply_messages=0,
        latency=histogram.latency(),
        lost=0,
    )
