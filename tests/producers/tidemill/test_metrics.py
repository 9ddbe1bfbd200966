"""What an observer is told, and the adapters: a log, OpenTelemetry."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tests.answering import service
from tidemill import AsyncProducer, CallMade, GivenUp, LogMetrics, OpenTelemetryMetrics, Producer, Stats, StillPending
from tidemill.delivery.observer import call_made
from tidemill.metrics import RECORDS, REQUESTS, SECONDS
from tidemill.sending.records import Acknowledged, Call, Refused
from tidemill.sending.scheduler import Scheduler

STATS = Stats(requests=5, pending=3, oldest=1.5)
STORED = Acknowledged("shard-1", "1")
THROTTLED = Refused("ProvisionedThroughputExceededException", "slow down", again=True)


def call() -> Call:
    scheduler = Scheduler(Random(1), lanes=2, linger=0.0)
    for number in range(4):
        scheduler.buffer(f"k-{number}", b"{}", 0.0)
    found = scheduler.next_call(0.0)
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


def test_a_line_has_its_figures_as_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tidemill"):
        LogMetrics()(CallMade(2, 4, 400, 0.2, 1, 1, None, STATS))
    (record,) = caplog.records
    fields = json.loads(json.dumps(vars(record)["tidemill"]))  # as a formatter of JSON has it
    assert fields == {name: getattr(STATS, name) for name in Stats.__struct_fields__}
    assert (fields["requests"], fields["pending"], fields["oldest"]) == (5, 3, 1.5)


# ---- OpenTelemetry, by its own SDK


def points(reader: InMemoryMetricReader) -> dict[str, Any]:
    data: Any = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else ()
    return {metric.name.removeprefix("tidemill.producer."): metric.data.data_points[0] for metric in metrics}


def observer(reader: InMemoryMetricReader) -> OpenTelemetryMetrics:
    return OpenTelemetryMetrics(MeterProvider([reader], shutdown_on_exit=False).get_meter("shop"))


def test_boundaries_tell_milliseconds_from_minutes_and_small_batches_from_large(reader: InMemoryMetricReader) -> None:
    observe = observer(reader)
    sizes = [(0.0015, 1, 1), (0.02, 3, 30), (0.3, 60, 4_000), (20.0, 450, 40_000), (90.0, 500, 400_000)]
    for seconds, records, requests in sizes:
        observe(CallMade(records, requests, 400, seconds, records, 0, None, STATS))
    found = points(reader)
    for name, bounds in (("call.duration", SECONDS), ("call.records", RECORDS), ("call.requests", REQUESTS)):
        assert tuple(found[name].explicit_bounds) == bounds
        assert sorted(found[name].bucket_counts, reverse=True)[:6] == [1, 1, 1, 1, 1, 0]


@pytest.fixture
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("REGION", "eu-west-1")):
        monkeypatch.setenv(f"AWS_{name}", value)


def gauges(reader: InMemoryMetricReader) -> tuple[Any, Any]:
    """`pending` and `queue.age`; None where it is not there yet, for an observer sets one after the other."""
    found = points(reader)
    pending, age = (found[name].value if name in found else None for name in ("pending", "queue.age"))
    return pending, age


def come_to(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def come_to_zero(reader: InMemoryMetricReader) -> None:
    come_to(lambda: gauges(reader) == (0, 0.0))


@pytest.mark.usefixtures("_account")
def test_gauges_are_zero_once_a_producer_idles(reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch) -> None:
    with service() as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        with Producer("requests", check=False, linger=0, observer=observer(reader)) as producer:
            for number in range(20):
                producer.send("c", key=f"k-{number}")
            producer.flush(30)
            come_to_zero(reader)
            assert points(reader)["records"].value > 0


@pytest.mark.usefixtures("_account")
def test_gauges_are_zero_once_all_has_expired(reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with Producer("requests", check=False, linger=0, observer=observer(reader)) as producer:
        handle = producer.send("c", key="k", ttl=0.5)
        with pytest.raises(GivenUp, match="Expired"):
            handle.result(30)
        come_to_zero(reader)


@pytest.mark.usefixtures("_account")
def test_gauges_are_zero_once_a_producer_has_ended(
    reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    producer = Producer("requests", check=False, linger=0, observer=observer(reader))
    producer.send("c", key="k")
    come_to(lambda: gauges(reader)[0] == 1)
    with pytest.raises((StillPending, GivenUp)):
        producer.close(0)
    come_to_zero(reader)


async def _ends(reader: InMemoryMetricReader) -> None:
    async with AsyncProducer("requests", check=False, linger=0, observer=observer(reader)) as producer:
        handle = await producer.send("c", key="k")
        await handle.result()
    come_to_zero(reader)


@pytest.mark.usefixtures("_account")
def test_gauges_of_an_event_loops_producer_too(reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch) -> None:
    with service() as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        asyncio.run(_ends(reader))
