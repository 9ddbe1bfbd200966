"""Pacing: what producers reach on shards with limits, in virtual time, and which shard a lane is taken to be of."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from random import Random
from typing import Any

import pytest

from tests.producers.tidemill.sending.pacing.limited_shards import (
    MIB,
    SHARD_BYTES,
    Bucket,
    Clock,
    Endless,
    Limit,
    Producer,
    Seconds,
    Stream,
)
from tidemill.sending.pacing import Pacing, Unpaced
from tidemill.sending.records import Acknowledged, Record, Refused

THROTTLED = Refused("ProvisionedThroughputExceededException", "slow down", again=True)
SECONDS = 20
SEEDS = [1, 2]


def saturated(seed: int, producers: int = 1, seconds: float = SECONDS, **options: Any) -> tuple[Stream, list[Producer]]:
    """A stream after so many seconds in which each producer had more to send than it takes."""
    stream_options = {name: options.pop(name) for name in ("limits", "shards", "by_chance") if name in options}
    clock, stream = Clock(), Stream(Random(seed), **stream_options)
    made = [Producer(clock, stream, f"{seed}-{number}", **options) for number in range(producers)]
    for producer in made:
        producer.saturate()
    clock.run(seconds)
    return stream, made


# ---- one producer


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("latency", [(0.001, 0.002), (0.01, 0.05), (0.05, 0.2)])
def test_a_producer_fills_a_shard_and_is_hardly_refused(seed: int, latency: tuple[float, float]) -> None:
    stream, _ = saturated(seed, latency=latency)
    assert stream.mib() / SECONDS >= 0.95
    assert stream.mib(since=10) / 10 >= 0.95
    assert stream.share_refused() <= 0.01
    assert stream.inversions() == 0


@pytest.mark.parametrize("shards", [2, 3, 4])
def test_it_fills_each_of_several_shards(shards: int) -> None:
    stream, _ = saturated(1, shards=shards)
    assert stream.mib() / SECONDS >= 0.95 * shards
    assert stream.share_refused() <= 0.01
    assert stream.inversions() == 0


def test_it_fills_a_shard_with_as_many_small_records_as_it_takes() -> None:
    stream, _ = saturated(1, record_bytes=400, size=300, aggregate=True)
    assert len(stream.log) / SECONDS >= 950
    assert stream.share_refused() <= 0.01


def test_it_fills_a_shard_that_counts_by_the_second_of_the_clock() -> None:
    stream, _ = saturated(1, limits=Seconds)
    assert stream.mib() / SECONDS >= 0.88
    assert stream.share_refused() <= 0.08


def test_a_large_record_leaves_and_is_paid_for_afterwards() -> None:
    stream, _ = saturated(1, size=700_000, seconds=30)
    assert stream.mib() / 30 >= 0.9
    assert stream.share_refused() <= 0.05


def test_a_stream_without_limits_is_not_slowed() -> None:
    stream, (producer,) = saturated(1, limits=Endless, seconds=2)
    unpaced, (other,) = saturated(1, limits=Endless, seconds=2, paced=False)
    assert stream.mib() > 0.9 * unpaced.mib()
    assert len(producer.calls) <= len(other.calls) + 10


def test_a_few_records_do_not_wait() -> None:
    """Nine tenths of what a shard takes, in bursts of a second's worth."""
    clock, stream = Clock(), Stream(Random(1))
    producer = Producer(clock, stream, lanes=32, size=20_000)
    for second in range(20):
        clock.at(second, lambda: producer.send(40))
    for second in range(20):
        clock.run(second + 0.95)
        assert stream.mib(since=second, until=second + 0.6) > 0.6
    assert stream.share_refused() == 0


def test_a_producer_that_was_refused_sends_a_few_records_at_once() -> None:
    clock, stream = Clock(), Stream(Random(1))
    producer = Producer(clock, stream)
    producer.saturate()
    clock.run(10)
    producer.saturate(0)
    clock.run(20)
    assert producer.scheduler.pending == 0
    before = len(stream.log)
    producer.send(20)
    clock.run(20.2)
    assert producer.scheduler.pending == 0
    assert len(stream.log) > before


# ---- several producers


@pytest.mark.parametrize("seed", [*SEEDS, 3, 4, 5])
def test_two_producers_share_a_shard(seed: int) -> None:
    stream, producers = saturated(seed, 2, 30)
    assert stream.mib() / 30 >= 0.9
    assert min(stream.mib(name=one.name) for one in producers) >= stream.mib() / 3
    assert stream.inversions() == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_while_two_producers_are_hardly_refused(seed: int) -> None:
    stream, _ = saturated(seed, 2, 30)
    refused = sum(at >= 5 for at in stream.refused_at)
    assert refused <= 0.1 * sum(at >= 5 for at, *_ in stream.log)


def test_a_producer_that_comes_later_gets_its_share() -> None:
    clock, stream = Clock(), Stream(Random(1))
    first, second = (Producer(clock, stream, name) for name in ("first", "second"))
    first.saturate()
    clock.at(10, second.saturate)
    clock.run(50)
    assert stream.mib(since=30, name="second") >= stream.mib(since=30) / 3
    assert stream.mib() / 50 >= 0.9


def test_a_producer_takes_what_another_leaves() -> None:
    clock, stream = Clock(), Stream(Random(1))
    first, second = (Producer(clock, stream, name) for name in ("first", "second"))
    first.saturate()
    second.saturate()
    clock.at(15, lambda: second.saturate(0))
    clock.run(50)
    assert stream.mib(since=30) / 20 >= 0.95


# ---- refusals by chance


@pytest.mark.parametrize("seed", [*SEEDS, 3])
@pytest.mark.parametrize("limits", [Bucket, Endless])
@pytest.mark.parametrize("size", [185, 400])
def test_refusals_by_chance_take_little_time_and_no_order(seed: int, limits: type[Limit], size: int) -> None:
    """10,000 requests over 200 keys, with 30% of the entries refused at random."""
    clock, stream = Clock(), Stream(Random(seed), limits, by_chance=0.3)
    producer = Producer(clock, stream, str(seed), keys=200, size=size)
    producer.send(10_000)
    clock.run(6)
    assert producer.scheduler.pending == 0
    assert stream.share_refused() > 0.2
    assert stream.inversions() == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_refusals_by_chance_hold_up_no_flow(seed: int) -> None:
    """10,000 requests over 200 keys, sent during four seconds: each tenth of a second makes a record of every lane."""
    clock, stream = Clock(), Stream(Random(seed), by_chance=0.3)
    producer = Producer(clock, stream, str(seed), keys=200, size=185)
    for number in range(100):
        clock.at(number * 0.04, lambda: producer.send(100))
    clock.run(6)
    assert producer.scheduler.pending == 0
    assert stream.inversions() == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("by_chance", [0.05, 0.3])
def test_refusals_by_chance_do_not_slow_a_producer_down(seed: int, by_chance: float) -> None:
    stream, _ = saturated(seed, by_chance=by_chance, seconds=40)
    assert stream.mib() / 40 >= 0.9 * (1 - by_chance)
    assert stream.mib(since=30) / 10 >= 0.8 * (1 - by_chance)


def test_refusals_by_chance_do_not_stop_a_single_lane() -> None:
    """Its calls have a record each, so nothing but the share that is refused at each rate tells load from chance."""
    stream, _ = saturated(1, by_chance=0.3, lanes=1, seconds=40)
    assert stream.mib(since=20) / 20 >= 0.2
    assert stream.inversions() == 0


# ---- reshards


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3), (4, 2)])
def test_it_fills_the_shards_that_a_reshard_leaves(before: int, after: int) -> None:
    clock, stream = Clock(), Stream(Random(1), shards=before)
    producer = Producer(clock, stream)
    producer.saturate()
    clock.run(10)
    stream.reshard(after)
    clock.run(30)
    assert stream.mib(since=12) / 18 >= 0.95 * after
    assert stream.share_refused() <= 0.02
    assert stream.inversions() == 0


# ---- lanes and shards


def record(lane: int, size: int = 1_000) -> Record:
    made = Record(lane, "1")
    made.append("k", bytes(size), 2 * MIB)
    return made


def going(pacing: Pacing, now: float, *records: Record) -> list[int]:
    return [one.lane for one in pacing.divide(records, 500, now).going]


def stored(pacing: Pacing, shard: str, now: float, *records: Record) -> None:
    for one in records:
        pacing.divide([one], 500, now)
        pacing.note(one, Acknowledged(shard, "1"), now)


def exhaust(pacing: Pacing, lane: int, now: float) -> None:
    """Has the lane's shard refuse a record after it took much."""
    large = record(lane, SHARD_BYTES)
    pacing.divide([large], 500, now)
    pacing.note(large, THROTTLED, now)


def test_before_any_answer_all_lanes_share_what_a_shard_takes() -> None:
    pacing = Pacing(8)
    records = [record(lane, 300_000) for lane in range(8)]
    division = pacing.divide(records, 500, 0.0)
    assert [one.lane for one in division.going] == [0, 1, 2, 3]
    assert [one.lane for one in division.held] == [4, 5, 6, 7]
    assert 0.0 < division.until < 1.0
    assert going(pacing, division.until, *division.held)[:1] == [4]


def test_no_more_leave_than_the_endpoint_takes() -> None:
    for pacing in (Pacing(8), Unpaced()):
        division = pacing.divide([record(lane) for lane in range(8)], 3, 0.0)
        assert [one.lane for one in division.going] == [0, 1, 2]
        assert [one.lane for one in division.held] == [3, 4, 5, 6, 7]


def test_without_pacing_nothing_is_held_or_learned() -> None:
    unpaced = Unpaced()
    large = [record(lane, MIB) for lane in range(8)]
    assert not unpaced.note(large[0], THROTTLED, 0.0)
    assert unpaced.divide(large, 500, 0.0) == (large, [], inf)


def test_a_refusal_holds_the_lanes_of_its_shard_and_no_others() -> None:
    pacing = Pacing(4)
    for lane, shard in enumerate("aabb"):
        stored(pacing, shard, 0.0, record(lane))
    exhaust(pacing, 1, 0.0)
    assert going(pacing, 0.0, *(record(lane) for lane in range(4))) == [2, 3]


def test_a_lane_that_was_not_heard_of_is_with_its_neighbour() -> None:
    pacing = Pacing(8)
    stored(pacing, "a", 0.0, record(2))
    stored(pacing, "b", 0.0, record(5))
    exhaust(pacing, 5, 0.0)
    assert going(pacing, 0.0, *(record(lane) for lane in range(8))) == [0, 1, 2]
    stored(pacing, "a", 10.0, record(4))
    exhaust(pacing, 5, 10.0)
    assert going(pacing, 10.0, *(record(lane) for lane in range(8))) == [0, 1, 2, 3, 4]


def test_what_left_before_the_shard_was_known_counts_for_it() -> None:
    pacing = Pacing(2)
    large = record(0, SHARD_BYTES)
    assert going(pacing, 0.0, large) == [0]
    pacing.note(large, Acknowledged("a", "1"), 0.0)
    pacing.note(record(0), THROTTLED, 0.0)
    assert going(pacing, 0.0, record(0)) == []


def test_a_record_counts_once() -> None:
    pacing = Pacing(2)
    stored(pacing, "a", 0.0, record(0))
    for one in (record(0, 600_000), record(1, 400_000)):
        assert going(pacing, 0.0, one) == [one.lane]
        pacing.note(one, Acknowledged("a", "1"), 0.0)
    assert going(pacing, 0.0, record(0)) == [0]


def test_a_closed_shard_is_forgotten() -> None:
    pacing = Pacing(4)
    for lane in range(4):
        stored(pacing, "parent", 0.0, record(lane))
    exhaust(pacing, 0, 0.0)
    assert going(pacing, 0.0, *(record(lane) for lane in range(4))) == []
    pacing.note(record(0), Acknowledged("left", "1"), 0.0)
    assert going(pacing, 0.0, *(record(lane) for lane in range(4))) == [0, 1, 2, 3]  # one child is heard of
    pacing.note(record(3), Acknowledged("right", "1"), 0.0)
    exhaust(pacing, 3, 0.0)
    assert going(pacing, 0.0, *(record(lane) for lane in range(4))) == [0]
    for lane in (1, 2):
        pacing.note(record(lane), Acknowledged("left", "1"), 0.0)
    assert pacing.shards == {"left", "right"}


def test_a_lane_of_two_shards_is_with_the_one_heard_of_last() -> None:
    """Plain records of a lane have their keys' hashes, which a shard's bounds may part."""
    pacing = Pacing(3)
    for lane, shard in enumerate("aab"):
        stored(pacing, shard, 0.0, record(lane))
    exhaust(pacing, 2, 0.0)
    for shard, expected in (("b", [0]), ("a", [0, 1]), ("b", [0])):
        pacing.note(record(1), Acknowledged(shard, "1"), 0.0)
        assert going(pacing, 0.0, *(record(lane) for lane in range(3))) == expected
    assert pacing.shards == {"a", "b"}


@pytest.mark.parametrize("code", ["KMSThrottlingException", "ThrottlingException"])
def test_every_throttling_counts_and_other_failures_do_not(code: str) -> None:
    pacing = Pacing(2)
    stored(pacing, "a", 0.0, record(0, SHARD_BYTES))
    pacing.note(record(0), Refused("InternalFailure", "", again=True, lost=True), 0.0)
    pacing.note(record(0), Refused("ReadTimeoutError", "", again=True, lost=True), 0.0)
    assert going(pacing, 0.001, record(0)) == [0]
    pacing.note(record(0), Refused(code, "", again=True), 0.001)
    assert going(pacing, 0.001, record(0)) == []


def test_records_behind_held_ones_leave_in_the_order_in_which_they_came() -> None:
    stream, _ = saturated(1, lanes=4, seconds=5)
    lanes = [lane for _, _, _, lane, _ in stream.log[-12:]]
    assert all(lanes[place : place + 4] and len({*lanes[place : place + 4]}) == 4 for place in (0, 4, 8))
    times = [at for at, *_ in stream.log]
    assert all(one <= other for one, other in pairwise(times))
