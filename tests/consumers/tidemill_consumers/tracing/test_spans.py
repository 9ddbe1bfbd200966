"""One trace from sending a request through applying it to its reply."""

from random import Random

import msgspec
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.perf.workload import ARRIVED, STREAM, plain_event
from tidemill.sending.writer import Writer
from tidemill_consumers.codec.events import intake
from tidemill_consumers.core.batch import Accepted, Arrival, Emit
from tidemill_consumers.core.emits import follow_ups
from tidemill_consumers.tracing.spans import Spans, sampled

TRACE, SENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SENT}-01"

SECOND = 1_000_000_000


def arrived(traceparent: str | None = TRACEPARENT, client: str | None = "ann") -> Arrival:
    """A request as it arrives in the stream."""
    _, payload = Writer("w", Random(1)).write("a.b", "k", {}, client, None, 1_764_000_000_000, traceparent)
    (arrival,) = intake(plain_event([("k", payload)]), STREAM).arrivals
    return arrival


class Made:
    """Spans, and where they are once they have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.room = 1_000
        self.spans = Spans(provider.get_tracer("test"), "answers", lambda count: count <= self.room)

    def ended(self) -> dict[str, ReadableSpan]:
        return {one.name.partition(" ")[0]: one for one in self._exporter.get_finished_spans()}


def span_id(span: ReadableSpan) -> str:
    assert span.context
    return f"{span.context.span_id:016x}"


def parent(span: ReadableSpan) -> str:
    assert span.parent
    return f"{span.parent.span_id:016x}"


def test_a_request_waits_is_applied_and_answered_within_the_trace_that_it_names() -> None:
    made, arrival = Made(), arrived()
    made.spans.applied([arrival], None, ARRIVED + 2, ARRIVED + 3)
    wait, reply, apply = made.ended().values()
    assert [one.name for one in (wait, apply, reply)] == ["wait perf", "apply perf", "reply answers"]
    assert [one.kind for one in (wait, apply, reply)] == [SpanKind.CONSUMER, SpanKind.CONSUMER, SpanKind.PRODUCER]
    assert {f"{one.context.trace_id:032x}" for one in (wait, apply, reply) if one.context} == {TRACE}
    assert [parent(one) for one in (wait, apply, reply)] == [SENT, SENT, span_id(apply)]
    times = [(one.start_time, one.end_time) for one in (wait, apply, reply)]
    first, second, third = (int((ARRIVED + seconds) * SECOND) for seconds in (0, 2, 3))
    assert times == [(first, second), (second, third), (third, third)]


def test_names_are_those_of_the_conventions_for_messaging() -> None:
    made, arrival = Made(), arrived()
    made.spans.applied([arrival], None, ARRIVED, ARRIVED)
    ended = made.ended()
    assert dict(ended["apply"].attributes or {}) == {
        "messaging.system": "aws.kinesis",
        "messaging.operation.name": "apply",
        "messaging.operation.type": "process",
        "messaging.destination.name": "perf",
        "messaging.message.id": arrival.request.id,
        "tidemill.cmd": "a.b",
        "tidemill.shard": arrival.shard,
    }
    assert dict(ended["reply"].attributes or {}) == {
        "messaging.system": "aws.sns",
        "messaging.operation.name": "reply",
        "messaging.operation.type": "send",
        "messaging.destination.name": "answers",
        "messaging.message.conversation_id": arrival.request.id,
    }


def test_a_clock_that_is_behind_the_stream_s_makes_no_negative_wait() -> None:
    made = Made()
    made.spans.applied([arrived()], None, ARRIVED - 5, ARRIVED)
    wait = made.ended()["wait"]
    assert wait.start_time == wait.end_time == int((ARRIVED - 5) * SECOND)


def test_nobody_is_answered_where_no_client_is_named() -> None:
    made = Made()
    made.spans.applied([arrived(client=None)], None, ARRIVED, ARRIVED)
    assert list(made.ended()) == ["wait", "apply"]


def test_what_is_delivered_again_has_no_span_yet() -> None:
    made, arrival = Made(), arrived()
    made.spans.applied([arrival], arrival.position, ARRIVED, ARRIVED)
    assert made.ended() == {}
    made.spans.applied([arrival], msgspec.structs.replace(arrival.position, sub=1), ARRIVED, ARRIVED)
    assert list(made.ended()) == ["wait", "reply", "apply"]


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "x",
        f"00-{'0' * 32}-{SENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SENT}-00",
        f"ff-{TRACE}-{SENT}-01",
        f"{TRACEPARENT}\n",
        f"\n{TRACEPARENT}",
        f"00-{TRACE.upper()}-{SENT}-01",
        "0" * 128,
    ],
)
def test_a_request_without_a_sampled_trace_has_no_span(traceparent: str | None) -> None:
    made = Made()
    made.spans.applied([arrived(traceparent)], None, ARRIVED, ARRIVED)
    made.spans.answered(arrived(traceparent), 200, ARRIVED, ARRIVED)
    assert made.ended() == {}


def test_spans_without_room_are_not_made() -> None:
    made = Made()
    made.room = 2
    made.spans.applied([arrived(), arrived(client=None)], None, ARRIVED, ARRIVED)
    assert list(made.ended()) == ["wait", "apply"]
    made.room = 1
    made.spans.answered(arrived(), 200, ARRIVED, ARRIVED)
    assert len(made.ended()) == 2


def test_a_later_version_of_traceparent_is_read_as_far_as_it_is_known() -> None:
    assert sampled(f"01-{TRACE}-{SENT}-03-more") is not None


def test_a_request_by_http_waits_and_is_applied_and_its_reply_is_the_response() -> None:
    made = Made()
    arrival = msgspec.structs.replace(arrived(), shard="direct", stream="")
    made.spans.answered(arrival, 200, ARRIVED + 1, ARRIVED + 2)
    wait, apply = made.ended().values()
    assert [one.name for one in (wait, apply)] == ["wait", "apply"]
    assert (apply.kind, apply.status.status_code) == (SpanKind.SERVER, StatusCode.UNSET)
    attributes = dict(apply.attributes or {})
    assert (attributes["http.response.status_code"], attributes["tidemill.shard"]) == (200, "direct")
    assert "messaging.destination.name" not in attributes


def test_a_response_that_says_to_try_again_is_an_error() -> None:
    made = Made()
    made.spans.answered(arrived(), 503, ARRIVED, ARRIVED)
    apply = made.ended()["apply"]
    assert (apply.status.status_code, dict(apply.attributes or {})["error.type"]) == (StatusCode.ERROR, "503")


def test_what_a_rule_emits_is_of_its_cause_s_trace() -> None:
    arrival = arrived()
    requests = follow_ups(arrival, Accepted({}, emits=(Emit("c.d", "other"),)).emits, 0)
    assert not isinstance(requests, str)
    assert [one.traceparent for one in requests] == [TRACEPARENT]
