"""How requests are packed into records, and how many shards the records need.

Room: load, pure; formulas. The tests compare them with the producer's outbox and the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, expm1, floor, log1p

from tidemill.contract.lanes import MAX_LANES, partition_key
from tidemill.sending.records import RECORD_REQUESTS
from tidemill_load.cost_model.assumptions import Assumptions, Design

SHARD_RECORDS, SHARD_BYTES = 1_000, 1024 * 1024
"""Limits of a shard's writes a second: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html"""

ON_DEMAND_SHARDS = 4
"""The initial and the least number of an on-demand stream's shards."""

MAX_SHARDS = 20_000
"""Default quota of an account in us-east-1."""

SHARD_BUSY = 0.9
"""The largest share of the time that a shard's function may be busy: the batches of a shard are serial."""

EVENT_RECORD = 538
"""Bytes of a record in an event beside its data and partition key: names, ARNs, sequence numbers, a comma."""

AGGREGATE_HEAD = 62
"""Bytes of the format's magic number, its MD5, and the hash key that a record's requests share."""

AGGREGATE_REQUEST, AGGREGATE_KEY = 10, 2
"""Bytes that the format adds to a request, and to a key in the table of keys."""


@dataclass(frozen=True, slots=True)
class RecordShape:
    """The average record.

    Attributes:
        requests: requests in it.
        data: bytes of its data.
        key: bytes of its partition key.
    """

    requests: float
    data: float
    key: int

    @property
    def event(self) -> float:
        """The record's bytes in an event, base64 included."""
        return 4 * ceil(self.data / 3) + EVENT_RECORD + self.key


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream for a rate.

    Attributes:
        record: its average record.
        shards: the number of shards that it needs.
        lanes: lanes of its producers.
        problems: reasons why it cannot take the rate, a sentence each.
    """

    record: RecordShape
    shards: int
    lanes: int
    problems: tuple[str, ...]


def stream(mode: Design, rate: float, given: Assumptions) -> Stream:
    """The stream for a rate in requests a second. Its producers have at least as many lanes as it has shards."""
    lanes = given.lanes
    while True:
        its = record(mode, rate, lanes, given)
        shards, problems = _shards(rate, its, given)
        if mode != "aggregated" or shards <= lanes or lanes == MAX_LANES:
            break
        lanes *= 2
    if mode == "aggregated" and shards > lanes:
        problems += (f"it needs {shards:,} shards, and a producer has {MAX_LANES:,} lanes at most",)
    if shards > MAX_SHARDS:
        problems += (f"it needs {shards:,} shards, and an account has {MAX_SHARDS:,} at most unless it asks",)
    return Stream(its, shards, lanes, problems)


# ---- requests become records


def record(mode: Design, rate: float, lanes: int, given: Assumptions) -> RecordShape:
    """The average record at a rate."""
    if mode != "aggregated":
        return RecordShape(1.0, given.streamed_bytes, given.key_bytes)
    burst = _burst(rate, given)
    requests = _filled(burst / _occupied(burst, lanes, given), _capacity(lanes, given))
    return RecordShape(requests, _aggregate_bytes(requests, lanes, given), len(partition_key(lanes - 1)))


def _burst(rate: float, given: Assumptions) -> float:
    """Requests that a producer sends at once: the first, which lingered, and those that came meanwhile."""
    company = rate / (given.producers or given.clients) * given.linger
    return 1 + company if given.arrivals == "random" else max(1.0, company)


def _occupied(burst: float, lanes: int, given: Assumptions) -> float:
    """Lanes that a burst falls on; each makes a record. Each of the most popular keys counts in a lane of its own."""
    popular = given.keys.popular(lanes // 2)
    rest = (1 - sum(popular)) / lanes
    shares = [rest + share for share in popular]
    some = sum(-expm1(burst * log1p(-share)) if share < 1 else 1.0 for share in shares)
    empty: float = (1 - rest) ** burst
    return some + (lanes - len(shares)) * (1 - empty)


def _filled(waiting: float, capacity: int) -> float:
    """Requests of a record, from those that wait in its lane.

    A smooth minimum of `waiting` and `capacity`; the outbox's own records are within 15% of it.
    """
    sharpness = 4
    joined: float = (waiting**-sharpness + float(capacity) ** -sharpness) ** (-1 / sharpness)
    return max(1.0, joined)


def _aggregate_bytes(requests: float, lanes: int, given: Assumptions) -> float:
    # A lane holds its part of the keys and of the requests, so it has its part of the distinct keys too.
    keys = given.keys.distinct(requests * lanes) / lanes
    body = requests * (given.streamed_bytes + AGGREGATE_REQUEST) + keys * (given.key_bytes + AGGREGATE_KEY)
    return AGGREGATE_HEAD + body


@lru_cache(maxsize=64)
def _capacity(lanes: int, given: Assumptions) -> int:
    """Requests of a full record. A fixed point: the more requests, the more of them share a key in the record."""
    room = given.record_bytes - AGGREGATE_HEAD
    requests = room / (given.streamed_bytes + AGGREGATE_REQUEST + given.key_bytes + AGGREGATE_KEY)
    for _ in range(20):
        keys = given.keys.distinct(requests * lanes) / lanes
        requests = max(
            1.0, (room - keys * (given.key_bytes + AGGREGATE_KEY)) / (given.streamed_bytes + AGGREGATE_REQUEST)
        )
    return min(floor(requests), RECORD_REQUESTS)


# ---- records need shards


def _shards(rate: float, its: RecordShape, given: Assumptions) -> tuple[int, tuple[str, ...]]:
    """The number of shards for the rate at its peak, and the reason if no number is enough."""
    records = rate * given.peak / its.requests
    loads = (
        (records, SHARD_RECORDS, "records"),
        (records * (its.data + its.key), SHARD_BYTES, "bytes"),
        (rate * given.peak * given.applied_seconds, SHARD_BUSY, "seconds of work"),
    )
    evenly = (_evenly(load / most, load / most * given.keys.hottest) for load, most, _ in loads)
    shards = ceil(max(evenly) * (1 - 1e-3))  # a thousandth too much is ignored
    return max(shards, ON_DEMAND_SHARDS if given.on_demand else given.shards), _too_hot(rate, loads, given.keys.hottest)


def _too_hot(rate: float, loads: Sequence[tuple[float, float, str]], hottest: float) -> tuple[str, ...]:
    load, most, unit = max(loads, key=lambda one: one[0] / one[1])
    key = load * hottest
    if key <= most:
        return ()
    rest = f"with these keys {rate * most / key:,.0f} requests/s are the most"
    return (f"the most popular key alone brings {_figure(key)} {unit} a second, and a shard takes {most:,}: {rest}",)


def _figure(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def _evenly(needed: float, hot: float) -> float:
    """Shards for a load of `needed` full shards, of which one key alone makes `hot`."""
    if hot >= 1:
        return needed
    # The key's shard takes its share of the other keys too, or it is split until the key is alone in it.
    return min((needed - hot) / (1 - hot), max(needed, ceil(needed - hot) + 1))
