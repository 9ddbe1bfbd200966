"""One trace from sending a request through applying it to its reply."""

from random import Random

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.perf.workload import ARRIVED, STREAM, plain_event
from tidemill.sending.records import Acknowledged
from tidemill.sending.writer import Writer
from tidemill.traces import Traces
from tidemill_consumers.apply import Response
from tidemill_consumers.codec.events import intake
from tidemill_consumers.core.batch import Accepted, Arrival, Emit
from tidemill_consumers.core.emits import follow_ups
from tidemill_consumers.tracing.traced import done, tell

ALL: Response = {
    "batchItemFailures": [],
    "applied": {"records": 1, "requests": 1, "keys": 1, "write_calls": 1, "quarantined": 0},
}


class Traced:
    """A client and a function that report to the same place."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")
        self._writer = Writer("w", Random(1))

    def send(self, client: str | None = "ann") -> Arrival:
        """A request that is sent within a span, as it arrives."""
        sent = Traces(self.tracer, "requests").begin("a.b")
        assert sent is not None
        _, payload = self._writer.write("a.b", "k", {}, client, None, 1_764_000_000_000, sent.traceparent)
        sent.end(Acknowledged("shard", "1"), 1_764_000_000_000_000_000)
        (arrival,) = intake(plain_event([("k", payload)]), STREAM).arrivals
        return arrival

    def spans(self) -> dict[str, ReadableSpan]:
        return {one.name: one for one in self._exporter.get_finished_spans()}


def test_there_is_one_trace_from_send_through_apply_to_reply() -> None:
    traced = Traced()
    tell(done([traced.send()], ALL), ARRIVED + 2, ARRIVED + 3, traced.tracer)
    spans = traced.spans()
    assert list(spans) == ["send requests", "wait", "reply", "apply"]
    assert len({one.context.trace_id for one in spans.values() if one.context}) == 1
    parents = {name: one.parent and one.parent.span_id for name, one in spans.items()}
    ids = {name: one.context.span_id for name, one in spans.items() if one.context}
    assert parents == {
        "send requests": None,
        "wait": ids["send requests"],
        "apply": ids["send requests"],
        "reply": ids["apply"],
    }
    times = {name: (one.start_time, one.end_time) for name, one in spans.items()}
    second = 1_000_000_000
    assert times["wait"][0] == int(ARRIVED * second)
    assert times["wait"][1] == times["apply"][0]
    assert times["apply"][1] == times["reply"][0] == int((ARRIVED + 3) * second)


def test_nobody_is_answered_where_no_client_is_named() -> None:
    traced = Traced()
    tell([traced.send(client=None)], ARRIVED, ARRIVED, traced.tracer)
    assert list(traced.spans()) == ["send requests", "wait", "apply"]


def test_what_is_delivered_again_has_no_span_yet() -> None:
    traced = Traced()
    arrival = traced.send()
    failed: Response = {**ALL, "batchItemFailures": [{"itemIdentifier": str(arrival.position.sequence)}]}
    assert list(done([arrival], failed)) == []


@pytest.mark.parametrize("traceparent", [None, "x", f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'1' * 16}-00"])
def test_a_request_without_a_sampled_trace_has_no_span(traceparent: str | None) -> None:
    traced = Traced()
    arrival = traced.send()
    request = msgspec.structs.replace(arrival.request, traceparent=traceparent)
    tell([msgspec.structs.replace(arrival, request=request)], ARRIVED, ARRIVED, traced.tracer)
    assert list(traced.spans()) == ["send requests"]


def test_what_a_rule_emits_is_of_its_cause_s_trace() -> None:
    arrival = Traced().send()
    emits = Accepted({}, emits=(Emit("c.d", "other"),)).emits
    requests = follow_ups(arrival, emits, 0)
    assert not isinstance(requests, str)
    (emitted,) = requests
    assert emitted.traceparent == arrival.request.traceparent
