"""What the metrics cost a batch: their counting and their line alone, as a share of the batch.

Whole batches differ by more from one to the next than the metrics take. So the steps that exist for the metrics alone
are run by themselves on a batch's own plan and answers, and are held against the batch's time: the tally of its writes,
the look at the services' counts, the latencies, the line, and reading DynamoDB's statement of each write's units.
"""

from __future__ import annotations

import gc
from operator import sub
from statistics import median
from typing import Any

import msgspec

from tests.perf.consuming import BATCH, PLAIN, forget, ours
from tests.perf.measure import AT_MOST, TURNS, Result, cpu_seconds, one_core, result
from tests.perf.workload import STREAM
from tidemill_consumers import apply
from tidemill_consumers.adapters.entities import STATEMENTS_PER_CALL, units_of
from tidemill_consumers.adapters.metrics import Metrics
from tidemill_consumers.codec.events import KinesisEvent, intake
from tidemill_consumers.codec.metrics import spread
from tidemill_consumers.composition import application
from tidemill_consumers.core.batch import Entity, Plan, Write
from tidemill_consumers.core.plan import plan
from tidemill_consumers.core.settle import Counts

_decode = msgspec.json.Decoder().decode


def metrics(pairs: int) -> list[Result]:
    """The CPU time of a batch, in what it would be without metrics."""
    forget()
    ours(*PLAIN.next())  # an environment that is warm
    ratios = []
    with one_core():
        for _ in range(pairs):
            batch = median(cpu_seconds(ours, *PLAIN.next()) for _ in range(TURNS))
            counting = _of_a_batch(*PLAIN.next())
            ratios.append(batch / (batch - counting))
    return [result("metrics", ratios, 1.02, f"x the CPU time without metrics, {AT_MOST}")]


def _of_a_batch(event: KinesisEvent) -> float:
    """Seconds that a batch's metrics take."""
    app = application()
    batch = intake(event, STREAM)
    entities = app.entities.load(one.key for one in batch.arrivals)
    made = plan(batch.arrivals, entities, app.rules, app.retention)
    lines: list[str] = []
    log = Metrics("apply", lines.append)
    statements = [{"TableName": "perf", "CapacityUnits": 1.0}] * STATEMENTS_PER_CALL
    with_units = msgspec.json.encode({"ConsumedCapacity": statements})
    calls = -(-len(made.writes) // STATEMENTS_PER_CALL)

    def counted() -> None:
        before = apply._served(app)
        counts = Counts()
        counts.add(made, set())
        now = log.clock()
        latency = [max(0.0, round(1000 * (now - one.arrived))) for one in spread(batch.arrivals)]
        served = apply.Served(*map(sub, apply._served(app), before))
        log.put(apply._figures(batch, counts, served, latency, is_partial=False))
        for _ in range(calls):
            units_of(_decode(with_units))

    gc.disable()  # as the handler does
    try:
        seconds = median(cpu_seconds(counted) for _ in range(TURNS)) + _of_fields(made)
    finally:
        gc.enable()
    assert len(lines) == TURNS
    assert batch.records == BATCH
    return seconds


def _of_fields(made: Plan) -> float:
    """Seconds that the writes' fields for the metrics take, as each write is made."""
    some: list[dict[str, Any]] = [
        {name: getattr(write, name) for name in write.__struct_fields__} for write in made.writes
    ]
    fewer = [
        {name: value for name, value in one.items() if name not in ("taken", "rejected", "repeated", "redelivered")}
        for one in some
    ]

    def make(every: list[dict[str, Any]]) -> list[Write]:
        return [Write(**one) for one in every]

    assert make(some)[0].new_entity is not None
    assert isinstance(make(fewer)[0].new_entity, Entity)
    return median(cpu_seconds(make, some) - cpu_seconds(make, fewer) for _ in range(TURNS))
