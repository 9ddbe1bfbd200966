"""The apply function with traces, off by default: a function whose Handler is this module's makes them.

Room: composition root. A request's `traceparent` names its trace. Its batch gives it three spans there: the time it
waited in the stream, the time until it was applied, and, if it names a client, the moment that its reply had left. The
spans go to OpenTelemetry's own provider, which the function's environment sets up: by AWS's layer of the OpenTelemetry
distribution, or by OTLP. What a batch leaves for another delivery has no span yet.
https://docs.aws.amazon.com/lambda/latest/dg/python-tracing.html
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, Tracer, set_span_in_context

from tidemill_consumers import apply
from tidemill_consumers.codec.events import KinesisEvent, intake
from tidemill_consumers.composition import Context, application, is_entry_point
from tidemill_consumers.core.batch import Arrival

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")

NANOSECONDS = 1_000_000_000


def handler(event: KinesisEvent, context: Context) -> apply.Response:
    """The apply function's traced entry point."""
    begun = time.time()
    response = apply.handler(event, context)
    arrivals = intake(event, application().streams.of(event["Records"])).arrivals
    tell(done(arrivals, response), begun, time.time(), trace.get_tracer("tidemill"))
    return response


def done(arrivals: Iterable[Arrival], response: apply.Response) -> Iterator[Arrival]:
    """The arrivals that are not delivered again."""
    failures = response["batchItemFailures"]
    again = int(failures[0]["itemIdentifier"]) if failures else None
    return (one for one in arrivals if again is None or one.position.sequence < again)


def tell(arrivals: Iterable[Arrival], begun: float, ended: float, tracer: Tracer) -> None:
    """Make the spans of requests that name a sampled trace.

    Args:
        arrivals: the requests of a batch.
        begun: when the invocation began, in seconds since 1970.
        ended: when it ended.
        tracer: makes the spans.
    """
    for one in arrivals:
        parent = _parent(one.request.traceparent)
        if parent is None:
            continue
        asked = set_span_in_context(NonRecordingSpan(parent))
        names = {"messaging.system": "kinesis", "tidemill.cmd": one.request.cmd, "tidemill.id": one.request.id}
        begin: Callable[..., trace.Span] = tracer.start_span
        waiting = begin("wait", asked, SpanKind.CONSUMER, names, start_time=_time(min(one.arrived, begun)))
        waiting.end(_time(begun))
        applying = begin("apply", asked, SpanKind.CONSUMER, names, start_time=_time(begun))
        if one.request.client is not None:
            within = set_span_in_context(applying)
            begin("reply", within, SpanKind.PRODUCER, names, start_time=_time(ended)).end(_time(ended))
        applying.end(_time(ended))


def _parent(traceparent: str | None) -> SpanContext | None:
    """The span that a request names; None if it names none, or one that is not sampled."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None or not int(found[3], 16) & TraceFlags.SAMPLED:
        return None
    context = SpanContext(
        int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16))
    )
    return context if context.is_valid else None


def _time(seconds: float) -> int:
    return int(seconds * NANOSECONDS)


if is_entry_point(f"{__name__}.{handler.__name__}"):
    application()
