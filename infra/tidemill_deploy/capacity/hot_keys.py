"""What fills a shard: its load against its limits, its hottest keys and lanes, and what to do about it.

Room: capacity. Pure: records in, figures and advice out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from tidemill.contract.aggregation import CorruptAggregate, is_aggregate, unpack_columns
from tidemill.contract.lanes import LANES, lane_of
from tidemill_deploy.capacity.counting import Different, Heavy, HeavyHitters

SHARD_BYTES = 1024 * 1024
SHARD_RECORDS = 1000
"""What a shard takes in a second: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html."""

FULL = 0.7
"""Of a shard's limit, on average over the time looked at: from here on bursts are throttled."""

HOT = 0.5
"""Of a shard's limit, by one key or lane: the half of a full shard that it stays in is full again soon."""

IDLE = 0.3
"""Of a shard's limit: if no shard has more, half as many shards have room for all."""

TOP = 10
"""Keys and lanes of a shard that are stated."""

Kind: TypeAlias = Literal["enough", "double", "half", "hot key", "hot lane"]


class Busiest(NamedTuple):
    """The most that arrived in a second."""

    bytes: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class ShardLoad:
    """What a shard took while it was looked at.

    Attributes:
        shard: its id.
        is_open: whether it takes records still.
        is_whole: whether all that arrived in the time was read.
        seconds: the time that the figures are of.
        total_bytes: data and partition keys, as AWS counts them.
        records: of the stream; an aggregate is one.
        requests: user records in them.
        busiest: the most bytes and records of a second; these need not be the same second.
        keys: how many different keys; an estimate if `keys_are_estimate`.
        by_bytes: the hottest keys by the bytes of their requests.
        by_requests: the hottest keys by requests.
        by_lane: the hottest lanes by bytes, of 64, by their number.
        request_bytes: bytes of all requests, which `by_bytes` and `by_lane` are shares of.
    """

    shard: str
    is_open: bool
    is_whole: bool
    seconds: float
    total_bytes: int
    records: int
    requests: int
    busiest: Busiest
    keys: int
    keys_are_estimate: bool
    by_bytes: tuple[Heavy, ...]
    by_requests: tuple[Heavy, ...]
    by_lane: tuple[tuple[int, int], ...]
    request_bytes: int

    @property
    def of_bytes(self) -> float:
        """The share of the shard's bytes a second that it took."""
        return self.total_bytes / self.seconds / SHARD_BYTES

    @property
    def of_records(self) -> float:
        """The share of the shard's records a second that it took."""
        return self.records / self.seconds / SHARD_RECORDS

    @property
    def load(self) -> float:
        """The larger of the two."""
        return max(self.of_bytes, self.of_records)

    @property
    def hottest_key(self) -> tuple[str, float]:
        """The key that takes most of what the shard is short of, and its share of that, at least; "" if there is none.

        A record holds requests of several keys, so of records a key has the share that it has of requests.
        """
        found, total = (
            (self.by_bytes, self.request_bytes)
            if self.of_bytes >= self.of_records
            else (self.by_requests, self.requests)
        )
        return (found[0].key, found[0].least / total) if found and total else ("", 0.0)

    @property
    def hottest_lane(self) -> tuple[int, float]:
        """The lane with the most bytes, and its share of them; -1 if there is none."""
        if not self.by_lane or not self.request_bytes:
            return -1, 0.0
        lane, size = self.by_lane[0]
        return lane, size / self.request_bytes


@dataclass
class Tally:
    """What was read of a shard so far.

    Args:
        shard: its id.
        since: from when on it is looked at, in seconds since 1970.
        has_parents: whether it was made by a reshard, so that its time begins with its first record.
    """

    shard: str
    since: float
    has_parents: bool = False
    total_bytes: int = 0
    records: int = 0
    requests: int = 0
    request_bytes: int = 0
    first: float | None = None
    last: float | None = None
    _bytes_of: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    _records_of: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    _by_bytes: HeavyHitters = field(default_factory=HeavyHitters)
    _by_requests: HeavyHitters = field(default_factory=HeavyHitters)
    _by_lane: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    _keys: Different = field(default_factory=Different)

    def take(self, partition_key: str, data: bytes, arrived: float) -> None:
        """Count a record, which arrived at that time, in seconds since 1970."""
        size = len(data) + len(partition_key.encode(errors="surrogatepass"))
        self.total_bytes += size
        self.records += 1
        second = int(arrived)
        self._bytes_of[second] += size
        self._records_of[second] += 1
        self.first = arrived if self.first is None else self.first
        self.last = arrived
        for key, request_size in _requests(partition_key, data):
            self.requests += 1
            self.request_bytes += request_size
            self._by_bytes.add(key, request_size)
            self._by_requests.add(key, 1)
            self._by_lane[lane_of(key)] += request_size
            self._keys.add(key)

    def load(self, until: float, *, is_open: bool, is_whole: bool) -> ShardLoad:
        """The shard's load, from its beginning until that time, or until the last record that was read of it."""
        begun = self.first if self.has_parents and self.first is not None else self.since
        ended = until if is_open and is_whole else self.last or until
        lanes = sorted(self._by_lane.items(), key=lambda one: (-one[1], one[0]))
        return ShardLoad(
            shard=self.shard,
            is_open=is_open,
            is_whole=is_whole,
            seconds=max(1.0, ended - begun),
            total_bytes=self.total_bytes,
            records=self.records,
            requests=self.requests,
            busiest=Busiest(max(self._bytes_of.values(), default=0), max(self._records_of.values(), default=0)),
            keys=self._keys.count,
            keys_are_estimate=self._keys.is_estimate,
            by_bytes=tuple(self._by_bytes.heaviest(TOP)),
            by_requests=tuple(self._by_requests.heaviest(TOP)),
            by_lane=tuple(lanes[:TOP]),
            request_bytes=self.request_bytes,
        )


def _requests(partition_key: str, data: bytes) -> Iterator[tuple[str, int]]:
    """Key and size of each user record."""
    if is_aggregate(data):
        try:
            keys, payloads, _ = unpack_columns(data)
        except CorruptAggregate:
            pass
        else:
            yield from zip(keys, map(len, payloads), strict=True)
            return
    yield partition_key, len(data)


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a stream's load.

    Attributes:
        kind: "enough", "double" or "half" the shards, or what resharding does not help against.
        shards: how many shards to have.
        reason: why, in sentences.
    """

    kind: Kind
    shards: int
    reason: str


HOT_KEY_PAGE = "docs/how-to/capacity.md"


def advice(loads: Sequence[ShardLoad]) -> Advice:
    """What to do, by the loads of a stream's shards."""
    opened = [one for one in loads if one.is_open]
    count = len(opened)
    full = sorted((one for one in opened if one.load >= FULL), key=lambda one: -one.load)
    for one in full:
        key, of_key = one.hottest_key
        if one.load * of_key >= HOT:
            return Advice("hot key", count, _of_hot_key(one, key, of_key))
    for one in full:
        lane, of_lane = one.hottest_lane
        if one.load * of_lane >= HOT:
            return Advice("hot lane", count, _of_hot_lane(one, lane, of_lane))
    if full:
        most = f"{full[0].shard} takes {full[0].load:.0%} of what a shard can"
        return Advice("double", 2 * count, f"{most}, and no key or lane alone makes it so.{_of_lanes(2 * count)}")
    if count > 1 and all(one.load <= IDLE for one in opened):
        return Advice("half", -(-count // 2), f"No shard takes more than {IDLE:.0%} of what it can.")
    fullest = max((one.load for one in opened), default=0.0)
    return Advice("enough", count, f"The fullest shard takes {fullest:.0%} of what it can.")


def _of_hot_key(one: ShardLoad, key: str, share: float) -> str:
    return (
        f"The key {key[:80]!r} alone has {share:.0%} of {one.shard}, which takes {one.load:.0%} of what a shard can. "
        "More shards do not help: a key is in one shard, so that its requests stay in order. Divide the key by the "
        f"application (a counter by parts, say), or send fewer and smaller requests of it: {HOT_KEY_PAGE}."
    )


def _of_hot_lane(one: ShardLoad, lane: int, share: float) -> str:
    return (
        f"Lane {lane} of {LANES} has {share:.0%} of {one.shard}, which takes {one.load:.0%} of what a shard can, and "
        "no key alone makes it so. A lane's aggregated records are in one shard, so more shards do not help: have all "
        f"producers use more lanes (`lanes=256`), then more shards do: {HOT_KEY_PAGE}."
    )


def _of_lanes(shards: int) -> str:
    if shards <= LANES:
        return ""
    return f" Producers need as many lanes as there are shards: `lanes`, by default {LANES}."
