"""The model's batches against the event source mapping: its own decisions, on its simulated clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from math import exp, inf, sqrt
from random import Random
from statistics import NormalDist
from typing import Any, NamedTuple

import pytest

from tidemill_event_source.decisions.batches import MAX_EVENT_BYTES, Batch, InvocationResponse, envelope_size
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.shard import POLL_SECONDS as ENGINE_POLL_SECONDS
from tidemill_event_source.decisions.simulation import Arrival, Invocation, Simulation
from tidemill_load.cost_model.advice import BUFFERING
from tidemill_load.cost_model.assumptions import Assumptions, Design
from tidemill_load.cost_model.batching import EVENT_BYTES, EVENT_HEAD, POLL_SECONDS, Arriving, Batches, batches
from tidemill_load.cost_model.model import Flow, flow
from tidemill_load.cost_model.packing import RecordShape
from tidemill_load.workloads.key_distribution import KeyDistribution

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/tidemill-requests"
BEGIN = 1_764_000_000.0


class Counted(NamedTuple):
    """What the engine did: requests of an invocation, whether any was full, seconds from arrival to its end."""

    batch: float
    full: bool
    p50: float
    p99: float


def run(happens: Flow, given: Assumptions, records: int) -> Counted:
    """One of the flow's shards in the engine, with that many records."""
    per_record = happens.requests_per_record
    rate = happens.rate / per_record / happens.shards
    data, key = bytes(round(happens.record_bytes)), "k" * (7 if happens.mode == "aggregated" else given.key_bytes)
    random = Random(7)

    def arrivals() -> Iterator[Arrival]:
        at = BEGIN
        for _ in range(records):
            at += random.expovariate(rate) if given.arrivals == "random" else 1 / rate
            yield Arrival(at, key, data)

    def function(batch: Batch, now: float) -> tuple[InvocationResponse, float]:
        requests = len(batch.records) * per_record
        return InvocationResponse(), given.invocation_seconds + requests * given.request_seconds

    ended: list[Invocation] = []
    config = MappingConfig(STREAM, batch_size=given.batch, window=given.window)
    Simulation(config, {"shard": arrivals()}, function, heard=ended.append, begin=BEGIN).run()
    counted = ended[1:-1]
    waits = sorted(one.at - record.arrived for one in counted for record in one.batch.records)
    requests = sum(len(one.batch.records) for one in counted) * per_record
    full = any(len(one.batch.records) == given.batch or len(one.batch.event) > 0.9 * EVENT_BYTES for one in counted)
    return Counted(requests / len(counted), full, waits[len(waits) // 2], waits[len(waits) * 99 // 100])


def before_the_stream(happens: Flow, given: Assumptions) -> float:
    """What the model's p99 has before a record arrives and after its batch is done."""
    return 0.02 + 0.99 * given.linger + 0.05


EVENLY: list[tuple[float, float, int, float, Batches]] = [
    # records/s, window, most, busy seconds, the batches
    (10, 5, 10_000, 0.01, Batches(50, 10, 5)),
    (10, 1, 10_000, 0.01, Batches(10, 10, 1)),
    (10, 0, 10_000, 0.01, Batches(10, 10, 0)),
    (10, 0, 10_000, 1.0, Batches(10, 10, 0)),
    (10, 0, 10_000, 1.5, Batches(15, 10, 1.5)),
    (10, 2, 10_000, 4.0, Batches(40, 10, 4)),
    (10, 5, 10_000, 4.0, Batches(50, 10, 5)),
    (0.1, 5, 10_000, 0.01, Batches(1, 1, 5)),
    (50, 2, 101, 0.01, Batches(100, 50, 2)),
    (50, 2, 100, 0.01, Batches(100, 50, 2)),
    # Full before their window has passed: each second in which so many come.
    (100, 2, 101, 0.01, Batches(101, 100, 2, 1.01)),
    (100, 2, 100, 0.01, Batches(100, 100, 2, 1)),
    (100, 5, 50, 0.01, Batches(50, 100, 5, 0.5)),
    # A full one leaves a rest of its last read to the next: one full and one of 80, two full and one of 70, all full.
    (100, 1.5, 120, 0.01, Batches(100, 100, 1.5, 1.2)),
    (100, 1.5, 90, 0.01, Batches(250 / 3, 100, 1.5, 0.9)),
    (100, 1.5, 100, 0.01, Batches(100, 100, 1.5, 1)),
]


def parts(batches: Batches) -> Any:
    return pytest.approx((batches.records, batches.first, batches.hold, batches.fill), rel=1e-9)


@pytest.mark.parametrize(("rate", "window", "most", "busy", "found"), EVENLY)
def test_batches_of_what_comes_evenly(rate: float, window: float, most: int, busy: float, found: Batches) -> None:
    assert astuple(batches(Arriving(rate, at_random=False, bursts=rate), window, most, busy)) == parts(found)


@pytest.mark.parametrize(("records", "bursts"), [(1, 1), (4, 0.5), (0.2, 0.2)])
def test_a_read_of_what_comes_at_random_opens_a_batch_if_it_finds_anything(records: float, bursts: float) -> None:
    read = records / (1 - exp(-bursts))
    found = batches(Arriving(records, at_random=True, bursts=bursts), 5, 10_000, 0.01)
    assert astuple(found) == parts(Batches(read + 4 * records, read, 5))


@pytest.mark.parametrize("rate", [10, 60, 90, 150, 190, 240])
def test_a_read_that_goes_by_itself_makes_one_batch_more_whenever_it_brings_that_many(rate: float) -> None:
    """The records of a read are normally distributed, nearly."""
    brought = NormalDist(rate, sqrt(rate))
    made = 1 - exp(-rate) + sum(1 - brought.cdf(full + 0.5) for full in (100, 200, 300))
    found = batches(Arriving(rate, at_random=True, bursts=rate), 0, 100, 0.01)
    size, fill = rate / made, 100 / rate if rate > 100 else inf
    assert astuple(found) == pytest.approx((size, size, 0, fill), rel=1e-6)


GRID: list[tuple[Design, float, int, int, int]] = [
    # mode, requests/s, window, batch, records to run
    ("buffered", 0.35, 5, 10_000, 800),
    ("buffered", 0.7, 60, 100, 4_000),
    ("buffered", 1, 0, 10_000, 1_500),
    ("buffered", 1, 5, 10_000, 2_000),
    ("buffered", 3, 1, 10_000, 2_000),
    ("buffered", 10, 5, 10_000, 5_000),
    ("buffered", 10, 60, 10_000, 20_000),
    ("buffered", 100, 0, 100, 6_000),
    ("buffered", 100, 1, 10_000, 6_000),
    ("buffered", 100, 2, 150, 8_000),
    ("buffered", 100, 5, 100, 6_000),
    ("buffered", 600, 2, 1_000, 40_000),
    ("buffered", 1_000, 0, 10_000, 25_000),
    ("buffered", 1_000, 0, 1_000, 40_000),
    ("buffered", 1_000, 1, 100, 20_000),
    ("buffered", 1_000, 2, 10_000, 40_000),
    ("buffered", 1_000, 60, 10_000, 60_000),
    ("buffered", 5_000, 5, 1_000, 25_000),
    ("aggregated", 1, 5, 10_000, 2_000),
    ("aggregated", 10, 5, 10_000, 5_000),
    ("aggregated", 100, 5, 10_000, 20_000),
    ("aggregated", 1_000, 0, 10_000, 20_000),
    ("aggregated", 1_000, 5, 10_000, 40_000),
    ("aggregated", 3_000, 60, 10_000, 15_000),
    ("aggregated", 10_000, 5, 10_000, 10_000),
    ("aggregated", 50_000, 5, 10_000, 5_000),
    ("aggregated", 50_000, 1, 20, 5_000),
]


@pytest.mark.parametrize(("mode", "rate", "window", "batch", "records"), GRID)
def test_the_engine_makes_the_same_batches(mode: Design, rate: float, window: int, batch: int, records: int) -> None:
    given = Assumptions(size=184, window=window, batch=batch, keys=KeyDistribution(10**6, 0.0))
    happens = flow(mode, rate, given)
    counted = run(happens, given, records)
    assert happens.batch == pytest.approx(counted.batch, rel=0.1)
    latest = happens.p99 - before_the_stream(happens, given)
    assert counted.p99 <= 1.03 * latest, "a bound that is promised holds"
    if not counted.full:
        assert latest == pytest.approx(counted.p99, rel=0.1), "and where no batch is full it is no more than that"


@pytest.mark.parametrize("rate", [60, 80, 150, 190])
def test_half_of_the_records_of_reads_that_may_fill_a_batch_wait_as_long(rate: float) -> None:
    given = Assumptions(size=184, window=1, batch=100, keys=KeyDistribution(10**6, 0.0))
    happens = flow("buffered", rate, given)
    usual = happens.p50 - (0.02 + 0.5 * given.linger + 0.05)
    assert usual == pytest.approx(run(happens, given, 6_000).p50, rel=0.2)


@pytest.mark.parametrize(("rate", "window"), [(1, 1), (1, 60), (10, 5), (100, 5), (1_000, 1), (1_000, 60)])
def test_requests_that_come_evenly(rate: float, window: int) -> None:
    given = Assumptions(size=184, window=window, arrivals="even", keys=KeyDistribution(10**6, 0.0))
    happens = flow("buffered", rate, given)
    assert happens.batch == pytest.approx(run(happens, given, int(min(60_000, 30 * rate * window))).batch, rel=0.05)


@pytest.mark.parametrize("window", [0, 1])
def test_a_function_that_is_slower_than_the_window_gathers_meanwhile(window: int) -> None:
    given = Assumptions(window=window, invocation_seconds=4.0, request_seconds=0.001)
    happens = flow("buffered", 100, given)
    assert happens.batch == pytest.approx(run(happens, given, 20_000).batch, rel=0.15)
    assert happens.batch > 400


def test_full_batches_wait_a_read_and_until_they_are_full_or_their_window_has_passed() -> None:
    for share in (0.5, 0.99, 1.0):
        assert Batches(100, 10, hold=5.0, fill=2.0).wait(share) == pytest.approx(share * (POLL_SECONDS + 2.0))
        assert Batches(100, 10, hold=1.5, fill=2.0).wait(share) == pytest.approx(share * (POLL_SECONDS + 1.5))


def test_without_a_window_a_record_waits_for_the_next_read() -> None:
    assert [Batches(3, 3, hold=0.0).wait(share) for share in (0.5, 1.0)] == [0.5 * POLL_SECONDS, POLL_SECONDS]


@pytest.mark.parametrize(("share", "seconds"), [(0.0, 5.0), (0.5, 5.5), (1.0, 6.0)])
def test_those_of_a_batch_that_its_first_read_brought_whole_wait_for_the_window(share: float, seconds: float) -> None:
    assert Batches(3, 3, hold=5.0).wait(share) == seconds


def test_what_the_first_read_brought_waits_longest() -> None:
    """Half of a batch: they wait for the read, then the whole window; the others less, and more evenly."""
    half = Batches(100, 50, hold=5.0)
    assert half.wait(1.0) == 5.0 + POLL_SECONDS
    assert half.wait(0.75) == 5.0 + POLL_SECONDS / 2
    assert half.wait(0.5) == 5.0
    assert half.wait(0.25) == POLL_SECONDS + (5.0 - POLL_SECONDS) / 2


def test_the_engines_own_limits() -> None:
    assert (POLL_SECONDS, EVENT_BYTES) == (ENGINE_POLL_SECONDS, MAX_EVENT_BYTES)
    assert envelope_size(None) - 1 == EVENT_HEAD


@pytest.mark.parametrize("mode", BUFFERING)
@pytest.mark.parametrize("size", [200, 100_000])
def test_an_event_is_filled_and_never_larger_than_lambda_takes(mode: Design, size: int) -> None:
    happens = flow(mode, 900, Assumptions(size=size, window=300, keys=KeyDistribution(10**6, 0.0)))
    assert 0.97 * EVENT_BYTES < happens.event_bytes <= EVENT_BYTES


@pytest.mark.parametrize("mode", BUFFERING)
def test_a_small_batch_makes_a_small_event(mode: Design) -> None:
    happens = flow(mode, 900, Assumptions(size=200, batch=50, window=300, keys=KeyDistribution(10**6, 0.0)))
    assert happens.batch == 50 * happens.requests_per_record
    record = RecordShape(1, happens.record_bytes, 46 if mode == "buffered" else 2)
    assert happens.event_bytes == pytest.approx(EVENT_HEAD + 50 * record.event, abs=500)
