"""The trace of a request is that of the span around its sending."""

import json
from random import Random

from opentelemetry.sdk.trace import TracerProvider

from tidemill.sending.writer import Writer
from tidemill.traces import current_traceparent


def test_a_request_names_the_span_around_its_sending() -> None:
    writer = Writer("w", Random(1), client="c", trace=current_traceparent)
    with TracerProvider().get_tracer("test").start_as_current_span("shop") as span:
        _, payload = writer.write("a.b", "k", {"n": 1}, None, None, 1_764_000_000_000)
    context = span.get_span_context()
    sent = json.loads(payload)
    assert sent["traceparent"] == f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert (sent["n"], sent["key"], sent["client"], sent["data"]) == (1, "k", "c", {"n": 1})


def test_a_request_outside_of_any_span_names_none() -> None:
    traced, plain = (Writer("w", Random(1), trace=trace) for trace in (current_traceparent, None))
    at = 1_764_000_000_000
    assert traced.write("a.b", "k", {"n": 1}, None, None, at) == plain.write("a.b", "k", {"n": 1}, None, None, at)
