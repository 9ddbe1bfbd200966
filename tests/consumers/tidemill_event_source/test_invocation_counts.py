"""Invocations per million requests, counted on the simulated clock, against what arithmetic says they must be.

What arithmetic says: a batch goes when its window has passed or 6 MB are full, whichever comes first; so an
invocation takes rate * window requests, but no more than an event holds.
"""

from collections.abc import Iterator, Mapping
from itertools import count

import pytest

from tidemill_event_source.decisions.batches import InvocationResponse
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.simulation import Arrival, Invocation, Simulation

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/tidemill-requests"
SHARD = "shardId-000000000000"
BEGIN = 1_764_000_000.0

REQUEST_BYTES = 184
KEY = "k" * 46
IN_AGGREGATE_BYTES = 209
"""A request in an aggregated record: its JSON, its share of the key table, and the format's own bytes."""
AGGREGATE_BYTES = 25_600
LINGER_SECONDS = 0.1
"""How long the producer waits for more requests before it puts a record."""

WINDOWS = (1, 5, 60, 300)
PLAIN = {
    1: (1_000_000, 200_000, 16_700, 3_333),
    10: (100_000, 20_000, 1_667, 333),
    100: (10_000, 2_000, 167, 135),
    1_000: (1_000, 200, 135, 135),
    10_000: (1_000, 200, 135, 135),  # ten shards: each as the line above, per million of all
}
AGGREGATED = {
    1: (1_000_000, 200_000, 16_700, 3_333),
    10: (100_000, 20_000, 1_667, 333),
    # 54 and not the floor of 44: in 100 ms a producer gathers 10 requests and not 122, so that the event's own
    # 500 bytes for each record count.
    100: (10_000, 2_000, 167, 54),
    1_000: (1_000, 200, 44, 44),
    10_000: (200, 44, 44, 44),  # two shards
}
SHARDS = {10_000: {"plain": 10, "aggregated": 2}}


def per_million(rate: float, window: int, requests_per_record: int, record_bytes: int) -> float:
    """Invocations per million requests of one shard that gets `rate` of them a second, evenly, once it runs."""
    gap = requests_per_record / rate
    arrivals: Iterator[Arrival] = (Arrival(BEGIN + n * gap, KEY, bytes(record_bytes)) for n in count(1))
    ended: list[Invocation] = []
    simulation = Simulation(
        MappingConfig(STREAM, batch_size=10_000, window=window),
        {SHARD: arrivals},
        lambda batch, now: (InvocationResponse(), 0.05),
        heard=ended.append,
        begin=BEGIN,
    )
    while len(ended) < 8:
        simulation.run(until=simulation.now + min(window, 5))
    running = ended[1:]
    requests = sum(len(one.batch.records) for one in running) * requests_per_record
    return 1e6 * len(running) / requests


def cells(table: Mapping[int, tuple[int, ...]]) -> list[tuple[int, int, int]]:
    return [(rate, window, row[nth]) for rate, row in table.items() for nth, window in enumerate(WINDOWS)]


@pytest.mark.parametrize(("rate", "window", "computed"), cells(PLAIN))
def test_plain_records(rate: int, window: int, computed: int) -> None:
    per_shard = rate / SHARDS.get(rate, {}).get("plain", 1)
    counted = per_million(per_shard, window, 1, REQUEST_BYTES)
    assert computed / 1.1 <= counted <= computed * 1.1


@pytest.mark.parametrize(("rate", "window", "computed"), cells(AGGREGATED))
def test_aggregated_records(rate: int, window: int, computed: int) -> None:
    per_shard = rate / SHARDS.get(rate, {}).get("aggregated", 1)
    requests = max(1, min(AGGREGATE_BYTES // IN_AGGREGATE_BYTES, round(per_shard * LINGER_SECONDS)))
    size = REQUEST_BYTES if requests == 1 else requests * IN_AGGREGATE_BYTES
    counted = per_million(per_shard, window, requests, size)
    assert computed / 1.1 <= counted <= computed * 1.1
