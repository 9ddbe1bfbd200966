"""A load test on a simulated clock: nothing is lost on the way, and the counts are those that arithmetic gives."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.request import Request, encode
from tidemill_bench.simulated import Histogram, Run, Settings, direct
from tidemill_bench.simulated.items import POSITION, SimulatedItems
from tidemill_bench.simulated.producer import SimulatedProducer
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core import fitting
from tidemill_consumers.core.batch import Arrival, Entity, Forgotten, Position, Write
from tidemill_consumers.core.folding.writers import ENTRY_BYTES
from tidemill_consumers.core.plan import plan
from tidemill_consumers.media import RULES
from tidemill_consumers.metering.capacity import item_size
from tidemill_load.cost_model.assumptions import FEW_WRITERS, WRITER_BYTES, Assumptions
from tidemill_load.cost_model.cost import FORGOTTEN_BYTES, FORGOTTEN_HEAD
from tidemill_load.results.latency import latency
from tidemill_load.results.result import Measurement, Mode
from tidemill_load.workloads.scheduled_request import ScheduledRequest
from tidemill_load.workloads.synthetic import Shape, generate

RATE, SECONDS = 200.0, 60.0


def scheduled(rate: float = RATE, seconds: float = SECONDS) -> list[ScheduledRequest]:
    return list(generate(Shape(keys=50), rate, seconds, seed=1))


def run(mode: Mode, settings: Settings) -> Measurement:
    one = Run(mode, RATE, scheduled(), settings, seed=1)
    assert one.go(lambda _: None)
    return one.measurement()


@pytest.mark.parametrize("aggregate", [True, False])
@pytest.mark.parametrize("shards", [1, 3])
def test_every_request_reaches_its_key_s_shard_once_and_in_order(aggregate: bool, shards: int) -> None:
    requests = scheduled()
    feed = SimulatedProducer(requests, shards, aggregate, begin=1_000.0, seed=1)
    arrivals = [list(feed.arrivals(shard)) for shard in range(shards)]
    assert feed.ended
    assert feed.requests == len(requests)
    seen: Counter[tuple[str, float]] = Counter()
    for shard, of_shard in enumerate(arrivals):
        assert all(earlier.at <= later.at for earlier, later in pairwise(of_shard))
        last: dict[str, float] = {}
        for arrival, content in zip(of_shard, feed.contents[shard], strict=True):
            assert len(content.due) == len(content.keys) == len(content.clients)
            for due, key in zip(content.due, content.keys, strict=True):
                assert last.get(key, -1.0) <= due < arrival.at - 1_000.0
                last[key] = due
                seen[key, due] += 1
    assert seen == Counter((one.key, one.at) for one in requests)
    shards_of = {key: {n for n in range(shards) for c in feed.contents[n] if key in c.keys} for key in feed.entities}
    assert all(len(found) == 1 for found in shards_of.values())


@pytest.mark.parametrize("mode", ["buffered", "aggregated"])
def test_invocations_and_writes_are_what_the_window_makes_of_them(mode: Mode) -> None:
    found = run(mode, Settings(window=5, batch=10_000, shards=1))
    assert found.receipts == found.requests == len(scheduled())
    assert SECONDS / 6 - 1 <= (found.invocations or 0) <= SECONDS / 5 + 1
    # All 50 keys are in each batch of a thousand, or nearly; and the note that it begins.
    invocations = found.invocations or 0
    assert 46 <= (found.write_units or 0) / invocations <= 51
    assert 2 * invocations < (found.write_calls or 0) <= 3 * invocations, "25 statements a call"
    assert 5.0 < found.latency.p99 < 7.5
    assert found.lost == 0
    assert (found.duplicates, found.reordered) == (None, None)
    assert found.drain_seconds < 8
    assert (found.records == found.requests) == (mode == "buffered")


@pytest.mark.parametrize("producers", [1, 30, 1_000])
def test_items_hold_and_forget_the_writers_that_the_consumer_s_do(producers: int) -> None:
    random, shard = Random(1), "arn:aws:kinesis:us-east-1:000000000000:stream/s/shardId-000000000000"
    items = SimulatedItems(producers)
    stored: dict[str, Entity] = {}
    counters: Counter[int] = Counter()
    units = forgotten = ours = ours_forgotten = 0
    for batch in range(20):
        arrivals: list[Arrival] = []
        written: list[tuple[str, int]] = []
        for number in range(200):
            key, writer = f"content/{int(random.paretovariate(0.8)) % 40}", random.randrange(producers)
            counters[writer] += 1
            fields: Any = {"cmd": "content.view", "key": key, "client": "c", "writer": f"w{writer}"}
            made = Request(id=f"r{batch}-{number}", counter=counters[writer], data={}, **fields)
            position = Position(POSITION.sequence + 1_000 * batch + number, 0)
            arrivals.append(Arrival(shard, position, 1_764_000_000.123 + batch, key, made, encode(made)))
            written.append((key, writer))
        entities = {one.key: stored.get(one.key, Entity(one.key)) for one in arrivals}
        gone = 0
        for write in plan(arrivals, entities, RULES, 86_400).writes:
            assert write.new_entity
            stored[write.key] = write.new_entity
            units += -(-item_size(to_item(write.new_entity)) // 1024)
            gone += len(write.forgotten.digests) // 8 if write.forgotten else 0
        forgotten += -(-(FORGOTTEN_HEAD + FORGOTTEN_BYTES * gone) // 1024) if gone else 0
        its = items.write(written)
        ours, ours_forgotten = ours + its[0], ours_forgotten + its[1]
    assert ours == units == 20 * len(stored) or ours == pytest.approx(units, rel=0.02)
    assert ours_forgotten == pytest.approx(forgotten, abs=max(2, 0.1 * forgotten))
    assert (forgotten > 0) == (producers > 30)
    assert items.bytes == pytest.approx(sum(item_size(to_item(one)) for one in stored.values()), rel=0.15)
    assert items.writers == sum(len(found) for found in items._met.values()) <= 40 * producers


def test_the_model_s_sizes_of_writers_are_the_consumer_s() -> None:
    assert (FEW_WRITERS, WRITER_BYTES) == (fitting.FEW_WRITERS, ENTRY_BYTES)
    gone = Forgotten("wKxZ3N5dUtA/shardId-000000000000", bytes(8 * 100), bytes(6 * 100))
    put: list[dict[str, Any]] = []
    table = ForgottenWriters(SimpleNamespace(put_item=lambda **call: put.append(call["Item"])), "t", 3600.0)  # type: ignore[arg-type]
    entity = Entity("k", forgotten=1_764_000_000.123)
    table.keep([Write("k", 0, entity, POSITION, (), (), None, forgotten=gone)])
    assert item_size(put[0]) == pytest.approx(FORGOTTEN_HEAD + 100 * FORGOTTEN_BYTES, abs=20)


def test_a_batch_that_is_full_does_not_wait() -> None:
    found = run("buffered", Settings(window=60, batch=100, shards=1))
    assert (found.invocations or 0) >= found.requests / 100
    assert found.latency.p99 < 3


def test_direct_is_one_of_everything_for_each_request() -> None:
    assumed = Assumptions(direct_seconds=0.01, direct_memory=256)
    like = run("buffered", Settings(window=5, batch=10_000, shards=1))
    found = direct(like, assumed)
    assert found.requests == found.invocations == found.http_requests == found.write_units == like.requests
    assert found.gb_seconds == pytest.approx(like.requests * 0.01 / 4)
    assert found.latency.p50 == found.latency.p99 == pytest.approx(0.02, rel=1e-6)


@given(st.lists(st.floats(min_value=0.001, max_value=1e3), min_size=1, max_size=200))
def test_the_histogram_of_many_says_what_the_exact_one_says(values: list[float]) -> None:
    exact, many = latency(values), Histogram()
    many.add(np.array(values))
    found = many.latency()
    assert (found.bounds, found.counts, found.count, found.max) == (exact.bounds, exact.counts, exact.count, exact.max)
    for ours, theirs in ((found.p50, exact.p50), (found.p95, exact.p95), (found.p99, exact.p99)):
        assert theirs <= ours <= theirs * 1.0025 or ours == exact.max
