"""Scheduled requests as records of their producers that reach the shards of a stream, on a simulated clock.

Room: local platform, pure: the scheduled requests bring the time. Aggregated records are the SDK's own scheduler's,
each producer's apart; plain ones are put together every tenth of a second. Only sizes matter, so that no request is
written out.
Tests: tests/infra/tidemill_bench/test_simulated.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from math import inf
from random import Random
from typing import Final, NamedTuple

from tidemill.contract.lanes import LANES, lane_of
from tidemill.contract.request import Request, encode
from tidemill.sending.records import CALL_RECORDS, Acknowledged, Call, Record
from tidemill.sending.scheduler import LINGER
from tidemill_bench.counting import units_of
from tidemill_bench.fleet import Schedulers, Spread
from tidemill_event_source.decisions.simulation import Arrival
from tidemill_load.results.faults import AFTER, SERIAL
from tidemill_load.workloads.scheduled_request import ScheduledRequest

PUT_SECONDS: Final = 0.02
"""A PutRecords call, there and back."""


@cache
def _bytes(size: int) -> bytes:
    """Bytes of that size; one object for all that are."""
    return bytes(size)


class Content(NamedTuple):
    """The requests of a record: when they were due, their keys and clients, in order; and the record's producer."""

    due: list[float]
    keys: list[str]
    clients: list[str]
    producer: int


class SimulatedProducer:
    """Requests in, records of each shard out, by one producer or many; nothing is done before it is asked for.

    Args:
        scheduled: in the order of time.
        shards: how many; each has as many lanes as any other, or nearly.
        aggregate: whether many requests share a record.
        begin: the stream's clock at the scheduled requests' second 0.
        seed: of the producer's chance.
        producers: how many there are; a client's requests are always the same one's.
    """

    def __init__(
        self,
        scheduled: Iterable[ScheduledRequest],
        shards: int,
        aggregate: bool,
        begin: float,
        seed: int,
        producers: int = 1,
    ) -> None:
        self._scheduled = iter(scheduled)
        self._aggregate = aggregate
        self._begin = begin
        self._spread, self._several = Spread(producers), producers > 1
        self._schedulers = Schedulers(Random(seed))
        self._open: dict[Record, Content] = {}
        self._acknowledging: deque[tuple[float, int, Call]] = deque()
        self._arrivals: tuple[deque[Arrival], ...] = tuple(deque() for _ in range(shards))
        self._leaves, self._together = 0.0, 0  # the plain records that go together, and how many
        self._bare = 0
        self.contents: tuple[deque[Content], ...] = tuple(deque() for _ in range(shards))
        """Contents of each shard's records, oldest first; a reader removes those that it has read."""
        self.shards: dict[str, int] = {}
        """By partition key, the shard that its records reach."""
        self.requests = self.bytes = self.records = self.put_calls = self.put_units = self.stream_bytes = 0
        self.entities: set[str] = set()
        self.ended = False
        """Whether all that was scheduled has been put."""
        self.last = 0.0
        """When the last request was due, in seconds from the beginning."""

    def arrivals(self, shard: int) -> Iterator[Arrival]:
        """The records of one shard, as they arrive."""
        queue = self._arrivals[shard]
        while True:
            while not queue:
                if self.ended:
                    return
                self._advance()
            yield queue.popleft()

    def _advance(self) -> None:
        """Take in the next request, and do what falls due before it."""
        one = next(self._scheduled, None)
        if one is None:
            self._schedulers.flush(self.last)
            self._turn(inf)
            self.ended = True
            return
        self.last = one.at
        if self._schedulers.due <= one.at or (self._acknowledging and self._acknowledging[0][0] <= one.at):
            self._turn(one.at)
        size = self._size(one)
        self.requests += 1
        self.bytes += size
        self.entities.add(one.key)
        if self._aggregate:
            self._buffer(one, size)
        else:
            self._put_plain(one, size)

    def _put_plain(self, one: ScheduledRequest, size: int) -> None:
        leaves = (int(one.at / LINGER) + 1) * LINGER
        if leaves != self._leaves or self._together == CALL_RECORDS:
            self._leaves, self._together = leaves, 0
            self.put_calls += 1
        self._together += 1
        content = Content([one.at], [one.key], [one.client], self._spread.of(one.client))
        self._put(one.key, size, leaves + PUT_SECONDS, content)

    def _buffer(self, one: ScheduledRequest, size: int) -> None:
        producer = self._spread.of(one.client)
        record = self._schedulers.buffer(producer, one.key, _bytes(size), one.at)
        content = self._open.get(record)
        if content is None:
            content = self._open[record] = Content([], [], [], producer)
        content.due.append(one.at)
        content.keys.append(one.key)
        content.clients.append(one.client)

    def _turn(self, until: float) -> None:
        """Make the calls that fall due, and have them acknowledged."""
        schedulers = self._schedulers
        while True:
            answered = self._acknowledging[0][0] if self._acknowledging else inf
            at = min(answered, schedulers.due)
            if at > until or at == inf:
                return
            now = max(at, 0.0) if at > -inf else self.last
            if answered <= schedulers.due:
                self._acknowledge(*self._acknowledging.popleft())
                continue
            while isinstance(found := schedulers.next_call(now), tuple):
                self.put_calls += 1
                self._acknowledging.append((now + PUT_SECONDS, *found))

    def _acknowledge(self, now: float, producer: int, call: Call) -> None:
        shards = [self._put(one.partition_key, one.size, now, self._open.pop(one)) for one in call.records]
        self._schedulers.settle(producer, call, [Acknowledged(str(shard), "") for shard in shards], now)

    def _put(self, partition_key: str, size: int, at: float, content: Content) -> int:
        """Put a record. Returns its shard's number."""
        shard = self.shards.get(partition_key)
        if shard is None:
            shard = self.shards[partition_key] = lane_of(content.keys[0]) * len(self.contents) // LANES
        self.records += 1
        self.put_units += units_of(size)
        self.stream_bytes += size
        self.contents[shard].append(content)
        self._arrivals[shard].append(Arrival(self._begin + at, partition_key, _bytes(size)))
        return shard

    def _size(self, one: ScheduledRequest) -> int:
        """Bytes of the request's JSON; all have the same but for their names."""
        names = len(one.cmd) + len(one.key) + len(one.client)
        if not self._bare:
            request = Request(
                id="0" * 36,
                cmd=one.cmd,
                key=one.key,
                client=one.client,
                writer="w" * 12,
                counter=1_000_000,
                at=1_764_000_000_000,
                data={**one.data, SERIAL: 1_000, **({AFTER: 100} if self._several else {})},
            )
            self._bare = len(encode(request)) - names
        return self._bare + names
