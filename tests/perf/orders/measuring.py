"""The apply function with orders, against Powertools: for each kind of keys and number of clients, in turns.

Plain records and aggregates are measured against the same runs of rows A and B, which have plain records.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from itertools import islice

from tests.perf.measure import AT_LEAST, TURNS, Result, cpu_seconds, one_core, result
from tests.perf.orders.batches import AGGREGATED, PLAIN, Batch, Orders
from tests.perf.orders.powertools import TOPIC, row_a, row_b
from tests.perf.orders.services import TABLE, Table, Topic, cut
from tests.perf.powertools import Context
from tidemill_consumers.apply import apply
from tidemill_consumers.codec.events import KinesisEvent
from tidemill_consumers.composition import application, half_of

A_BATCH, B_BATCH = 400, 150
WARMING = 3
"""Batches that our function's environment has had before."""

RATIOS = ("plain_vs_powertools", "plain_vs_idempotent", "aggregated_vs_powertools", "aggregated_vs_idempotent")
AGAINST_PLAIN = "aggregated_vs_plain"


@dataclass(frozen=True)
class Case:
    """One workload and its goals against rows A and B."""

    orders: Orders
    against_a: float
    against_b: float

    @property
    def name(self) -> str:
        """The beginning of its results' names."""
        return f"orders_{'unique' if self.orders.is_unique else 'zipf'}_{self.orders.clients}"

    @property
    def names(self) -> tuple[str, ...]:
        """Its results'."""
        return tuple(f"{self.name}_{one}" for one in (*RATIOS, AGAINST_PLAIN))


CASES = (
    Case(Orders(is_unique=False, clients=0), 25.0, 70.0),
    Case(Orders(is_unique=False, clients=500), 25.0, 45.0),
    Case(Orders(is_unique=False, clients=5_000), 14.0, 28.0),
    Case(Orders(is_unique=True, clients=0), 14.0, 40.0),
    Case(Orders(is_unique=True, clients=500), 18.0, 36.0),
    Case(Orders(is_unique=True, clients=5_000), 13.0, 26.0),
)


def measured(case: Case, pairs: int) -> list[Result]:
    """The case's results: requests a second, in those of rows A and B, and aggregated ones in plain ones."""
    ratios: list[tuple[float, ...]] = []
    with one_core(), redirect_stdout(StringIO()):  # metrics are written there
        turn = _turns(case.orders)
        turn()
        for _ in range(pairs):
            a, b, plain, aggregated = map(sum, zip(*[turn() for _ in range(TURNS)], strict=True))
            ratios.append((a / plain, b / plain, a / aggregated, b / aggregated, plain / aggregated))
    goals = (case.against_a, case.against_b) * 2 + (1.0,)
    units = ("Powertools' requests/s", "idempotent Powertools' requests/s") * 2 + ("plain requests/s",)
    columns = zip(*ratios, strict=True)
    return [
        result(name, column, goal, f"x {unit}, {AT_LEAST}")
        for name, column, goal, unit in zip(case.names, columns, goals, units, strict=True)
    ]


def _turns(orders: Orders) -> Callable[[], tuple[float, ...]]:
    """Makes turns: CPU seconds for a request of rows A and B, and of our function's plain and aggregated ones."""
    cut(Table(), Topic())
    rows = [(row, next(orders.batches(requests)).event) for row, requests in ((row_a(), A_BATCH), (row_b(), B_BATCH))]
    assert all(row(event) == {"batchItemFailures": []} for row, event in rows)
    plain, aggregated = Environment(orders, PLAIN), Environment(orders, AGGREGATED, is_aggregated=True)
    for environment in (plain, aggregated):
        for _ in range(WARMING):
            environment.next()()

    def turn() -> tuple[float, ...]:
        (a, of_a), (b, of_b) = rows
        theirs = cpu_seconds(a, of_a) / A_BATCH, cpu_seconds(b, of_b) / B_BATCH
        return (*theirs, cpu_seconds(plain.next()) / PLAIN, cpu_seconds(aggregated.next()) / AGGREGATED)

    return turn


class Environment:
    """An environment of our function, which gets one batch after another."""

    def __init__(self, orders: Orders, requests: int, is_aggregated: bool = False) -> None:
        self.table = Table()
        cut(self.table, Topic())
        self._batches: Iterator[Batch] = orders.batches(requests, is_aggregated)
        self._requests = requests
        os.environ.update(ENVIRONMENT)
        self._app = application.__wrapped__()  # of its own

    def next(self) -> Callable[[], None]:
        """The work of the next batch."""
        (batch,) = islice(self._batches, 1)
        self.table.ready(batch.keys)
        return partial(self._apply, batch.event)

    def _apply(self, event: KinesisEvent) -> None:
        gc.disable()  # as the handler does
        try:
            response = apply(event, self._app, half_of(Context()))
        finally:
            gc.enable()
        assert (response["batchItemFailures"], response["applied"]["requests"]) == ([], self._requests)
        assert response["applied"]["write_calls"] > 0


ENVIRONMENT = {
    "TIDEMILL_RULES": "tests.perf.orders.rules",
    "TIDEMILL_RETENTION_HOURS": "24",
    "TIDEMILL_REMEMBERED_MIB": "16",
    "TIDEMILL_RULE_SECONDS": "5",
    "TIDEMILL_TABLE": TABLE,
    "TIDEMILL_DEVICES_TABLE": "devices",
    "TIDEMILL_DELIVERIES_TABLE": "deliveries",
    "TIDEMILL_FORGOTTEN_WRITERS_TABLE": "forgotten",
    "TIDEMILL_REPEAT_HORIZON_SECONDS": "3600",
    "TIDEMILL_EMIT_DEPTH": "16",
    "TIDEMILL_AGGREGATED_STREAM_ARN": "",
    "TIDEMILL_ANALYTICS_PERIODS": "",
    "TIDEMILL_TRACES": "off",
    "TIDEMILL_TRACES_HEADERS_SECRET_ARN": "",
    "TIDEMILL_QUARANTINE_BUCKET": "quarantine",
    "TIDEMILL_CONTENT_BUCKET": "content",
    "TIDEMILL_REPLIES_TOPIC_ARN": TOPIC,
    "TIDEMILL_STREAM": "perf",
    "TIDEMILL_APPLICATION_SECRET_ARN": "",
}
