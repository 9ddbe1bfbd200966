"""The model of traffic that is not steady, against the event source mapping on its simulated clock."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

import pytest

from tests.tree import NASA
from tidemill_bench.simulated import Run, Settings
from tidemill_load.assessment.survey import Survey, Surveyed
from tidemill_load.cost_model.assumptions import Assumptions, Design, Impossible
from tidemill_load.cost_model.cost import break_even, cost
from tidemill_load.cost_model.model import flow
from tidemill_load.cost_model.traffic import no_gaps, of_slots
from tidemill_load.cost_model.uneven import uneven
from tidemill_load.workloads.scheduled_request import ScheduledRequest
from tidemill_load.workloads.synthetic import Kind, Shape, generate
from tidemill_load.workloads.trace import read_trace
from tidemill_load.workloads.trace_slices import slices_of


def told(found: Surveyed, window: int, batch: int) -> Assumptions:
    keys, clients = found.keys, found.clients
    return Assumptions(window=window, batch=batch, keys=keys, key_bytes=found.key_bytes, clients=clients, producers=1)


def check(
    scheduled: list[ScheduledRequest],
    seconds: float,
    mode: Design,
    window: int = 5,
    batch: int = 10_000,
    half: float = 0.1,
) -> None:
    found = Survey().plan(scheduled).done(seconds)
    happens = uneven(mode, found.traffic, told(found, window, batch))
    name: Final = "buffered" if mode == "buffered" else "aggregated"
    run = Run(name, 1, scheduled, Settings(window, batch, happens.shards), 1)
    assert run.go(lambda _: None)
    counted = run.measurement()
    invocations = counted.requests / happens.batch
    assert invocations == pytest.approx(counted.invocations, rel=0.1, abs=1.5)
    written = (counted.write_units or 0) - (counted.invocations or 0)  # without the notes that each begins
    assert invocations * happens.distinct == pytest.approx(written, rel=0.1)
    assert invocations * happens.messages == pytest.approx(counted.reply_messages, rel=0.1)
    assert counted.requests / happens.requests_per_record == pytest.approx(counted.records, rel=0.15)
    assert happens.p50 == pytest.approx(counted.latency.p50, rel=half)
    assert happens.p99 == pytest.approx(counted.latency.p99, rel=0.1)


@pytest.mark.parametrize("mode", ["buffered", "aggregated"])
@pytest.mark.parametrize("kind", ["poisson", "bursty"])
@pytest.mark.parametrize(("rate", "window"), [(1, 5), (5, 1), (20, 20), (100, 5)])
def test_it_is_what_the_mapping_does(kind: Kind, rate: float, window: int, mode: Design) -> None:
    check(list(generate(Shape(kind), rate, 240, 1)), 240, mode, window)


@pytest.mark.parametrize("mode", ["buffered", "aggregated"])
def test_a_burst_and_then_silence(mode: Design) -> None:
    key = Random(1).randrange
    scheduled = [ScheduledRequest(n / 80, "content.view", f"content/{key(9)}", f"c{n % 5}", {}) for n in range(74)]
    check(scheduled, 60, mode)


@pytest.mark.parametrize("mode", ["buffered", "aggregated"])
@pytest.mark.parametrize(("speed", "seconds"), [(1, 3600), (20, 120), (60, 60), (200, 60)])
def test_a_real_trace(speed: float, seconds: float, mode: Design) -> None:
    if not NASA.exists():
        pytest.skip(f"the real trace is not at {NASA}")
    check(slices_of(read_trace(NASA), speed, seconds, 1)[0], seconds, mode)


def test_full_batches_do_not_wait_for_the_window() -> None:
    scheduled = list(generate(Shape(), 100, 120, 1))
    found = Survey().plan(scheduled).done(120)
    happens = uneven("buffered", found.traffic, told(found, 60, 100))
    assert happens.batch == pytest.approx(100, rel=0.05)
    assert happens.p99 < 3.5


@pytest.mark.parametrize("mode", ["buffered", "aggregated"])
@pytest.mark.parametrize(("window", "batch"), [(20, 40), (20, 100), (60, 1_000)])
def test_what_a_full_batch_leaves_behind_waits_for_the_window(mode: Design, window: int, batch: int) -> None:
    check(list(generate(Shape("bursty", keys=200, clients=30), 40, 120, 1)), 120, mode, window, batch, half=0.3)


def test_many_shards_share_the_requests() -> None:
    scheduled = list(generate(Shape(keys=5_000, zipf=0.0), 40, 240, 1))
    found = Survey().plan(scheduled).done(240)
    given = replace(told(found, 5, 10_000), shards=8)
    happens = uneven("buffered", found.traffic, given)
    steady = flow("buffered", found.traffic.rate, given)
    assert happens.shards == steady.shards == 8
    assert happens.batch == pytest.approx(steady.batch, rel=0.05)
    assert happens.p99 == pytest.approx(steady.p99, rel=0.05)


def test_what_is_paid_for_is_the_whole_time() -> None:
    burst = of_slots([74], 60, no_gaps(), None)
    given = Assumptions(clients=74)
    bill = cost("buffered", burst, given).bill
    steady = cost("buffered", 74 / 60, given).bill
    hours = {line.item: line.dollars for line in bill.lines}["shard_hours"]
    assert hours == pytest.approx({line.item: line.dollars for line in steady.lines}["shard_hours"])
    assert bill.per_million > cost("direct", burst, given).bill.per_million


def test_a_break_even_is_for_traffic_of_the_same_shape() -> None:
    burst = of_slots([74, *[0] * 59], 60, no_gaps(), None)
    even = break_even("buffered", Assumptions(), shape=burst)
    assert even
    for rate, saves in ((even * 0.97, False), (even * 1.03, True)):
        direct, other = (cost(mode, burst.at(rate), Assumptions()).per_million for mode in ("direct", "buffered"))
        assert (other < direct) == saves


def test_nothing_and_too_much_are_refused() -> None:
    for slots in ([0.0], [2e6]):
        with pytest.raises(Impossible, match="requests in a second are not possible"):
            uneven("direct", of_slots(slots, 1, no_gaps(), None), Assumptions())
