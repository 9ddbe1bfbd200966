"""Makes the spans of requests that name a sampled trace: waiting, applying, replying.

Room: tracing. Times are arguments; the spans go to the tracer that is given.

    the client's span, which `traceparent` names
     ├─ wait    from the request's arrival until it was at work
     └─ apply   until it was applied, its client was answered, and what its rule emitted was put
         └─ reply   a moment by which its reply had left, if it names a client and came by the stream

What a rule emits is of its cause's trace, with a `wait` and an `apply` of its own. Names are those of OpenTelemetry's
conventions, as far as they go; they have no value for Kinesis yet.
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from tidemill_consumers.core.batch import Arrival, Position

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
"""The form of a span's name: https://www.w3.org/TR/trace-context/#traceparent-header"""

NANOSECONDS = 1_000_000_000

Attributes: TypeAlias = dict[str, str]


class Spans:
    """The spans of a function's requests.

    Args:
        tracer: makes them.
        topic: the name of the topic of replies.
        takes: whether so many spans have room; others are not made.
    """

    def __init__(self, tracer: Tracer, topic: str, takes: Callable[[int], bool]) -> None:
        self._tracer = tracer
        self._topic = topic
        self._takes = takes

    def applied(self, arrivals: Iterable[Arrival], again: Position | None, begun: float, ended: float) -> None:
        """Make the spans of a batch's requests. What is delivered again has none yet.

        Args:
            arrivals: the requests.
            again: from where Lambda delivers again; None if it does not.
            begun: when they came to be at work, in seconds since 1970.
            ended: when they were applied and answered.
        """
        for one in arrivals:
            if one.request.traceparent is None or not (again is None or one.position < again):
                continue
            asked, is_answered = sampled(one.request.traceparent), one.request.client is not None
            if asked is not None and self._takes(2 + is_answered):
                applying = self._begin(one, asked, SpanKind.CONSUMER, begun)
                if is_answered:
                    self._reply(one, set_span_in_context(applying), ended)
                applying.end(_time(ended))

    def answered(self, arrival: Arrival, status: int, begun: float, ended: float) -> None:
        """Make the spans of a request by HTTP; `status` is its response's."""
        asked = sampled(arrival.request.traceparent)
        if asked is None or not self._takes(2):
            return
        applying = self._begin(arrival, asked, SpanKind.SERVER, begun)
        applying.set_attribute("http.response.status_code", status)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            applying.set_attribute("error.type", str(status))
            applying.set_status(Status(StatusCode.ERROR))
        applying.end(_time(ended))

    def _begin(self, one: Arrival, asked: re.Match[str], kind: SpanKind, begun: float) -> Span:
        """Make the span of waiting, and begin that of applying, within the one that is named."""
        within = _context(asked)
        of_it = {"messaging.message.id": one.request.id, "tidemill.cmd": one.request.cmd, "tidemill.shard": one.shard}
        if one.stream:
            of_it |= {"messaging.system": "aws.kinesis", "messaging.destination.name": one.stream}
        start, to = self._tracer.start_span, f" {one.stream}".rstrip()
        start(f"wait{to}", within, kind, _done("wait", of_it), start_time=_time(min(one.arrived, begun))).end(
            _time(begun)
        )
        processing = _done("apply", of_it) | {"messaging.operation.type": "process"}
        return start(f"apply{to}", within, kind, processing, start_time=_time(begun))

    def _reply(self, one: Arrival, within: Context, ended: float) -> None:
        of_it = {"messaging.message.conversation_id": one.request.id, "messaging.operation.type": "send"}
        where = {"messaging.system": "aws.sns", "messaging.destination.name": self._topic}
        name, attributes, now = f"reply {self._topic}", _done("reply", of_it | where), _time(ended)
        self._tracer.start_span(name, within, SpanKind.PRODUCER, attributes, start_time=now).end(now)


def sampled(traceparent: str | None) -> re.Match[str] | None:
    """The trace and span that a request names; None if it names none, or one that is not sampled."""
    found = TRACEPARENT.fullmatch(traceparent or "")
    return found if found is not None and int(found[3], 16) & TraceFlags.SAMPLED else None


def _context(asked: re.Match[str]) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED)
    span = SpanContext(int(asked[1], 16), int(asked[2], 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(span), Context())


def _done(operation: str, attributes: Attributes) -> Attributes:
    return {"messaging.operation.name": operation, **attributes}


def _time(seconds: float) -> int:
    return int(seconds * NANOSECONDS)
