"""The model's records and shards, against the producer's outbox, the aggregated format and an event's records."""

from __future__ import annotations

import heapq
from bisect import bisect
from datetime import UTC, datetime
from itertools import accumulate
from math import inf
from random import Random

import pytest

from tidemill.contract.aggregation import Aggregate
from tidemill.contract.lanes import hash_key
from tidemill.sending.records import Acknowledged, Call
from tidemill.sending.scheduler import Scheduler
from tidemill_event_source.decisions.records import kinesis_renderer
from tidemill_event_source.shard_reader import StreamRecord
from tidemill_load.cost_model.assumptions import Assumptions
from tidemill_load.cost_model.packing import (
    AGGREGATE_HEAD,
    AGGREGATE_KEY,
    AGGREGATE_REQUEST,
    EVENT_RECORD,
    RecordShape,
    stream,
)
from tidemill_load.workloads.key_distribution import KeyDistribution

ROUND_TRIP = 0.02


def sent(rate: float, given: Assumptions, requests: int) -> RecordShape:
    """What the outbox makes of requests that come at random, each call acknowledged after a round trip."""
    random = Random(1)
    shares = list(accumulate(rank**-given.keys.skew for rank in range(1, given.keys.count + 1)))
    outbox = Scheduler(random, lanes=given.lanes, linger=given.linger, record_bytes=given.record_bytes)
    answers: list[tuple[float, int, Call]] = []
    counts, sizes = [], []
    arrives = 0.0
    while requests or answers or outbox.due < inf:
        now = min(arrives if requests else inf, answers[0][0] if answers else inf, max(outbox.due, 0.0))
        if answers and answers[0][0] <= now:
            answered = heapq.heappop(answers)[2]
            outbox.acknowledged(answered, [Acknowledged(f"{one.lane}", "1") for one in answered.records], now)
        if requests and arrives <= now:
            key = f"{bisect(shares, random.random() * shares[-1])}".ljust(given.key_bytes, "k")
            outbox.buffer(key, bytes(given.size), now)
            arrives += random.expovariate(rate)
            requests -= 1
        while isinstance(call := outbox.next_call(now), Call):
            counts += [record.count for record in call.records]
            sizes += [len(record.data) for record in call.records]
            heapq.heappush(answers, (now + ROUND_TRIP, len(counts), call))
    return RecordShape(sum(counts) / len(counts), sum(sizes) / len(sizes), 0)


@pytest.mark.parametrize("skew", [0.0, 1.0])
@pytest.mark.parametrize(
    ("lanes", "rate"),
    [
        (1, 1),
        (1, 100),
        (1, 3_000),
        (8, 10),
        (8, 1_000),
        (8, 10_000),
        (64, 100),
        (64, 1_000),
        (64, 10_000),
        (64, 50_000),
    ],
)
def test_records_are_as_full_as_the_outbox_fills_them(lanes: int, rate: float, skew: float) -> None:
    given = Assumptions(size=184, lanes=lanes, keys=KeyDistribution(10_000, skew))
    real = sent(rate, given, max(500, min(150_000, int(4 * rate))))
    computed = stream("aggregated", rate, given).record
    assert computed.requests == pytest.approx(real.requests, rel=0.15)
    assert computed.data == pytest.approx(real.data, rel=0.15)


def test_producers_do_not_fill_each_others_records() -> None:
    alone, shared = (stream("aggregated", 1_000, Assumptions(clients=clients, lanes=1)) for clients in (1, 100))
    assert alone.record.requests == pytest.approx(87, rel=0.02)
    assert shared.record.requests == pytest.approx(2, rel=0.02)


def test_the_formats_own_bytes() -> None:
    aggregate = Aggregate(hash_key(5, 64))
    assert aggregate.size == pytest.approx(AGGREGATE_HEAD, abs=2)
    aggregate.append("k" * 46, bytes(184), 10**6)
    first = aggregate.size
    assert first == pytest.approx(AGGREGATE_HEAD + 184 + 46 + AGGREGATE_REQUEST + AGGREGATE_KEY, abs=2)
    aggregate.append("k" * 46, bytes(184), 10**6)
    assert aggregate.size - first == pytest.approx(184 + AGGREGATE_REQUEST, abs=2)


@pytest.mark.parametrize("size", [1, 184, 25_600])
def test_a_records_bytes_in_an_event(size: int) -> None:
    render = kinesis_renderer("arn:aws:kinesis:us-east-1:111122223333:stream/tidemill-requests")
    record = StreamRecord("shardId-000000000000", "4" * 56, "k" * 46, bytes(size), datetime(2026, 1, 1, tzinfo=UTC))
    assert RecordShape(1, size, 46).event == pytest.approx(len(render(record)) + 1, abs=5)
    assert EVENT_RECORD > 500


def test_shards_by_records_by_bytes_and_by_work() -> None:
    even = KeyDistribution(10**7, 0.0)
    assert stream("buffered", 10_000, Assumptions(keys=even)).shards == 10
    assert stream("buffered", 1_000, Assumptions(keys=even, size=10_240 - 46)).shards == 10
    assert stream("buffered", 100, Assumptions(keys=even, request_seconds=0.09)).shards == 10
    assert stream("buffered", 1_000, Assumptions(keys=even, peak=4.0)).shards == 4
    assert stream("buffered", 1, Assumptions()).shards == 1
    assert stream("buffered", 1, Assumptions(on_demand=True)).shards == 4


def test_the_shard_of_the_most_popular_key_has_room_for_it() -> None:
    even, skewed = (
        stream("buffered", 9_000, Assumptions(keys=keys)) for keys in (KeyDistribution(10**7, 0.0), KeyDistribution())
    )
    assert (even.shards, skewed.shards) == (9, 10)
    assert skewed.problems == ()


def test_a_key_that_no_shard_takes_is_told_with_the_most_that_go() -> None:
    (problem,) = stream("buffered", 20_000, Assumptions()).problems
    assert "the most popular key alone brings 2,043 records a second, and a shard takes 1,000" in problem
    most = float(problem.split(" requests/s are the most")[0].rpartition(" ")[2].replace(",", ""))
    assert stream("buffered", 0.999 * most, Assumptions()).problems == ()
    assert stream("buffered", 1.001 * most, Assumptions()).problems


def test_there_are_lanes_for_all_shards() -> None:
    found = stream("aggregated", 10**6, Assumptions(keys=KeyDistribution(10**7, 0.0), size=500))
    assert (found.lanes, found.problems) == (1024, ())
    assert 512 < found.shards <= 1024
    fewer = stream("aggregated", 10**6, Assumptions(keys=KeyDistribution(10**7, 0.0), size=100))
    assert 128 < fewer.shards <= fewer.lanes == 256, "no more than are needed, in powers of two"
    (problem,) = stream("aggregated", 10**6, Assumptions(keys=KeyDistribution(10**7, 0.0), size=5_000)).problems
    assert "a producer has 1,024 lanes at most" in problem
