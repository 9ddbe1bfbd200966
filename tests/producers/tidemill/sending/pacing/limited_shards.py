"""A stream with shards that take so much and no more, and producers that send to it: the scheduler in virtual time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count, pairwise
from math import inf
from random import Random
from typing import Any, Protocol

from tidemill.contract.aggregation import unpack
from tidemill.sending.records import Acknowledged, Call, Outcome, Record, Refused
from tidemill.sending.scheduler import Scheduler

MIB = 1024 * 1024
SHARD_BYTES, SHARD_RECORDS = MIB, 1_000
"""What a shard takes in a second."""

THROTTLED = Refused("ProvisionedThroughputExceededException", "slow down", again=True)


class Limit(Protocol):
    """What a shard takes."""

    def admits(self, size: int, now: float) -> bool:
        """Whether a record of that size is taken now."""


class Bucket:
    """A second's bytes and records, which refill steadily; the last record may leave a debt of bytes."""

    def __init__(self) -> None:
        self._bytes, self._records, self._at = float(SHARD_BYTES), float(SHARD_RECORDS), 0.0

    def admits(self, size: int, now: float) -> bool:
        passed, self._at = now - self._at, now
        self._bytes = min(SHARD_BYTES, self._bytes + passed * SHARD_BYTES)
        self._records = min(SHARD_RECORDS, self._records + passed * SHARD_RECORDS)
        if self._records < 1 or self._bytes <= 0:
            return False
        self._records -= 1
        self._bytes -= size
        return True


class Seconds:
    """So much in each second of the clock, and nothing is carried over."""

    def __init__(self) -> None:
        self._bytes, self._records, self._second = 0, 0, 0

    def admits(self, size: int, now: float) -> bool:
        if int(now) > self._second:
            self._bytes, self._records, self._second = 0, 0, int(now)
        if self._records + 1 > SHARD_RECORDS or self._bytes + size > SHARD_BYTES:
            return False
        self._records += 1
        self._bytes += size
        return True


class Endless:
    """Takes all."""

    def admits(self, size: int, now: float) -> bool:
        return True


class Stream:
    """Shards of equal width, each with a limit of its own.

    Args:
        chance: refuses entries, and gives latencies.
        limits: makes a shard's limit.
        shards: number of shards.
        by_chance: share of the entries that are refused by chance.
    """

    def __init__(self, chance: Random, limits: Callable[[], Limit] = Bucket, shards: int = 1, by_chance: float = 0.0):
        self._chance = chance
        self._limits = limits
        self._by_chance = by_chance
        self._made = count()
        self._shards: list[tuple[str, Limit]] = []
        self.log: list[tuple[float, str, int, int, bytes]] = []
        """When, by whom, of how many bytes, of which lane, and what was stored."""
        self.refused_at: list[float] = []
        self.reshard(shards)

    def reshard(self, shards: int) -> None:
        """Replaces all shards by others."""
        self._shards = [(f"shardId-{next(self._made):012d}", self._limits()) for _ in range(shards)]

    def take(self, producer: Producer, record: Record, now: float) -> Outcome:
        shard, limit = self._shards[record.lane * len(self._shards) // producer.lanes]
        size = len(record.data) + len(record.partition_key.encode())
        if self._chance.random() < self._by_chance or not limit.admits(size, now):
            self.refused_at.append(now)
            return THROTTLED
        self.log.append((now, producer.name, size, record.lane, record.data))
        return Acknowledged(shard, str(len(self.log)))

    def inversions(self) -> int:
        """How many requests stand before an earlier one of their producer and key."""
        keys: dict[tuple[str, str], list[int]] = defaultdict(list)
        for _, name, _, _, data in self.log:
            for one in unpack(data):
                key, number, *_ = one.data.split(b" ", 2)
                keys[name, key.decode()].append(int(number))
        return sum(b <= a for numbers in keys.values() for a, b in pairwise(numbers))

    def mib(self, since: float = 0.0, until: float = inf, name: str = "") -> float:
        """MiB stored in that time by a producer, or by all."""
        return sum(size for at, by, size, *_ in self.log if since <= at < until and name in ("", by)) / MIB

    def share_refused(self) -> float:
        refused = len(self.refused_at)
        return refused / (refused + len(self.log))


class Clock:
    """Virtual time: what is to be done when."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def at(self, when: float, act: Callable[[], None]) -> None:
        heappush(self._due, (max(when, self.now), next(self._number), act))

    def run(self, until: float) -> None:
        while self._due and self._due[0][0] <= until:
            self.now, _, act = heappop(self._due)
            act()
        self.now = until


class Producer:
    """A scheduler whose calls are made one at a time, as a keeper does it, each 10 to 50 ms long."""

    def __init__(
        self,
        clock: Clock,
        stream: Stream,
        name: str = "p",
        *,
        keys: int = 10_000,
        size: int = 2_000,
        latency: tuple[float, float] = (0.01, 0.05),
        **options: Any,
    ) -> None:
        self.name = name
        self.lanes = options.get("lanes", 64)
        self.scheduler = Scheduler(Random(name), **options)
        self.calls: list[int] = []
        self._clock, self._stream, self._latency = clock, stream, latency
        self._keys, self._size = keys, size
        self._chance = Random(name + "'s")
        self._numbers = count()
        self._is_calling = False
        self._wakes = inf
        self._backlog = 0

    def send(self, requests: int) -> None:
        """Sends requests of random keys."""
        for _ in range(requests):
            key, number = f"k{self._chance.randrange(self._keys)}", next(self._numbers)
            data = f"{key} {number} ".encode().ljust(self._size, b".")
            self.scheduler.buffer(key, data, self._clock.now)
        self.pump()

    def saturate(self, backlog: int = 4 * MIB) -> None:
        """From now on sends as much as is taken."""
        self._backlog = backlog
        self.pump()

    def pump(self) -> None:
        now = self._clock.now
        if self._backlog > self.scheduler.pending_bytes:
            missing, self._backlog = self._backlog, 0
            self.send((missing - self.scheduler.pending_bytes) // self._size + 1)
            self._backlog = missing
        if self._is_calling:
            return
        call = self.scheduler.next_call(now)
        if isinstance(call, Call):
            self._is_calling = True
            self.calls.append(call.count)
            self._clock.at(now + self._chance.uniform(*self._latency) / 2, lambda: self._arrive(call))
        elif call < self._wakes and call < inf:
            self._wakes = call
            self._clock.at(call, self._wake)

    def _wake(self) -> None:
        if self._wakes <= self._clock.now:
            self._wakes = inf
            self.pump()

    def _arrive(self, call: Call) -> None:
        outcomes = [self._stream.take(self, record, self._clock.now) for record in call.records]
        self._clock.at(
            self._clock.now + self._chance.uniform(*self._latency) / 2, lambda: self._answered(call, outcomes)
        )

    def _answered(self, call: Call, outcomes: Sequence[Outcome]) -> None:
        self._is_calling = False
        self.scheduler.acknowledged(call, outcomes, self._clock.now)
        self.pump()
