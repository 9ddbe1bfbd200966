"""A shard's load against its limits, and the advice that its keys and lanes give."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tidemill.contract import aggregation
from tidemill.contract.lanes import lane_of
from tidemill_deploy.capacity.hot_keys import SHARD_BYTES, ShardLoad, Tally, advice

SECONDS = 100
KIB = 1024


def load(
    kib_per_second: float,
    key_of: Callable[[int], str] = "key/{}".format,
    *,
    shard: str = "shardId-0",
    records: int = 100,
    is_open: bool = True,
) -> ShardLoad:
    """The load of a shard that took so much of so many plain records."""
    tally = Tally(shard, 1000.0)
    size = int(kib_per_second * KIB * SECONDS / records)
    for number in range(records):
        key = key_of(number)
        tally.take(key, b"x" * (size - len(key)), 1000.0 + SECONDS * number / records)
    return tally.load(1000.0 + SECONDS, is_open=is_open, is_whole=True)


def of_lane(lane: int) -> Callable[[int], str]:
    """Different keys of one lane."""
    keys = [key for key in (f"key/{number}" for number in range(20_000)) if lane_of(key) == lane]
    return lambda number: keys[number]


def test_a_shards_load_is_by_what_it_is_shorter_of() -> None:
    by_bytes = load(512)
    assert by_bytes.load == by_bytes.of_bytes == pytest.approx(0.5, rel=0.01)
    by_records = load(100, records=80_000)
    assert by_records.load == by_records.of_records == 0.8
    assert by_records.of_bytes == pytest.approx(100 / 1024, rel=0.01)


def test_an_aggregates_requests_are_counted_by_their_own_keys() -> None:
    tally = Tally("s", 0.0)
    users = [aggregation.UserRecord(key, b"x" * size) for key, size in [("a", 10), ("a", 10), ("b", 70)]]
    record = aggregation.pack(users)
    tally.take("lane-3", record, 5.5)
    tally.take("c", b"y" * 10, 5.9)
    tally.take("d", record[:-1] + b"?", 6.0)  # a corrupt one is what it is put under
    found = tally.load(10.0, is_open=True, is_whole=True)
    assert (found.records, found.requests, found.keys) == (3, 5, 4)
    size = len("lane-3") + len(record) + len("c") + 10
    assert found.total_bytes == size + len("d") + len(record)
    assert (found.busiest.records, found.busiest.bytes) == (2, size)
    assert [(one.key, one.least) for one in found.by_requests][:1] == [("a", 2)]
    assert {one.key: one.least for one in found.by_bytes} == {"a": 20, "b": 70, "c": 10, "d": len(record)}
    assert sum(size for _, size in found.by_lane) == found.request_bytes == 100 + len(record)


@pytest.mark.parametrize(
    ("is_open", "is_whole", "seconds"),
    [(True, True, 30.0), (True, False, 10.0), (False, True, 10.0)],
)
def test_the_time_that_figures_are_of(is_open: bool, is_whole: bool, seconds: float) -> None:
    tally = Tally("s", 0.0)
    for arrived in (4.0, 10.0):
        tally.take("k", b"x", arrived)
    assert tally.load(30.0, is_open=is_open, is_whole=is_whole).seconds == seconds
    child = Tally("s", 0.0, has_parents=True)
    child.take("k", b"x", 4.0)
    assert child.load(30.0, is_open=True, is_whole=True).seconds == 26.0


def test_full_shards_with_many_keys_are_to_be_doubled() -> None:
    found = advice([load(800), load(10, shard="shardId-1"), load(5000, shard="gone", is_open=False)])
    assert (found.kind, found.shards) == ("double", 4)
    assert found.reason.startswith("shardId-0 takes 78% of what a shard can")
    assert advice([load(800)] * 40).reason.endswith("as many lanes as there are shards: `lanes`, by default 64.")


def test_a_hot_key_is_told_whatever_the_number_of_shards() -> None:
    found = advice([load(100), load(900, lambda n: "hot" if n % 10 < 7 else f"k{n}", shard="shardId-1")])
    assert (found.kind, found.shards) == ("hot key", 2)
    assert found.reason.startswith("The key 'hot' alone has 70% of shardId-1, which takes 88%")


def test_a_key_is_hot_by_records_where_these_are_what_a_shard_is_short_of() -> None:
    large = load(100, lambda n: "hot" if n % 10 < 7 else f"k{n}", records=90_000)
    assert advice([large]).kind == "hot key"
    warm = load(900, lambda n: "warm" if n % 10 < 4 else f"k{n}")
    assert advice([warm]).kind == "double", "what a shard without it would take is enough room"


def test_a_hot_lane_is_told_apart_from_a_hot_key() -> None:
    many, other = of_lane(17), of_lane(40)
    found = advice([load(900, lambda n: many(n) if n % 10 < 8 else other(n))])
    assert found.kind == "hot lane"
    assert found.reason.startswith("Lane 17 of 64 has 80% of shardId-0")


def test_idle_shards_are_to_be_halved_and_one_alone_is_left() -> None:
    idle = load(SHARD_BYTES / KIB * 0.2)
    assert (advice([idle] * 5).kind, advice([idle] * 5).shards) == ("half", 3)
    assert advice([idle]).kind == "enough"
    assert advice([idle, load(500)]).kind == "enough"
