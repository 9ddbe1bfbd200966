"""What an observer is told, and the adapters: a log, OpenTelemetry."""

import logging
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tidemill import CallMade, LogMetrics, OpenTelemetryMetrics, Stats
from tidemill.buffer import Acknowledged, Call, Refused
from tidemill.metrics import call_made
from tidemill.outbox import Outbox

STATS = Stats(requests=5, pending=3, oldest=1.5)
STORED = Acknowledged("shard-1", "1")
THROTTLED = Refused("ProvisionedThroughputExceededException", "slow down", again=True)


def call() -> Call:
    outbox = Outbox(Random(1), lanes=2, linger=0.0)
    for number in range(4):
        outbox.buffer(f"k-{number}", b"{}", 0.0)
    found = outbox.next_call(0.0)
    assert isinstance(found, Call)
    assert found.count == 2
    return found


def test_a_call_is_counted() -> None:
    one = call()
    size = sum(len(record.data) for record in one.records)
    assert call_made(one, [STORED, THROTTLED], 0.2, STATS) == CallMade(2, 4, size, 0.2, 1, 1, None, STATS)
    lost = Refused("ReadTimeoutError", "no answer", again=True, lost=True)
    assert call_made(one, lost, 20.0, STATS) == CallMade(2, 4, size, 20.0, 0, 0, "ReadTimeoutError", STATS)


def test_the_log_has_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    clock = iter([0.0, 30.0, 60.0])
    observe = LogMetrics(every=60.0, clock=lambda: next(clock))
    with caplog.at_level(logging.INFO, "tidemill"):
        for _ in range(3):
            observe(CallMade(2, 4, 400, 0.2, 1, 1, None, STATS))
    assert len(caplog.messages) == 2
    assert "pending 3" in caplog.messages[0]
    assert "oldest 1.5 s" in caplog.messages[0]


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    yield reader
    reader.shutdown()


def test_opentelemetry_gets_counters_a_histogram_and_gauges(reader: InMemoryMetricReader) -> None:
    observe = OpenTelemetryMetrics(MeterProvider([reader], shutdown_on_exit=False).get_meter("shop"))
    observe(CallMade(2, 4, 400, 0.2, 1, 1, None, STATS))
    observe(CallMade(2, 4, 400, 0.4, 0, 0, "ReadTimeoutError", STATS))
    data: Any = reader.get_metrics_data()
    metrics = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    values = {name: metric.data.data_points[0] for name, metric in metrics.items()}
    assert values["tidemill.producer.requests"].value == 8
    assert values["tidemill.producer.records"].value == 1
    assert values["tidemill.producer.bytes"].value == 800
    assert values["tidemill.producer.retries"].value == 3
    assert values["tidemill.producer.throttles"].value == 1
    assert values["tidemill.producer.call.duration"].sum == pytest.approx(0.6)
    assert values["tidemill.producer.pending"].value == 3
    assert values["tidemill.producer.queue.age"].value == 1.5
    calls = {
        point.attributes.get("error.type"): point.value for point in metrics["tidemill.producer.calls"].data.data_points
    }
    assert calls == {None: 1, "ReadTimeoutError": 1}
