"""The spans of a producer's requests, made by OpenTelemetry: until the stream has stored them, and until the reply.

Room: SDK. Needs the extra `otel`, and is imported for a producer with a tracer only.

    send ─ begin, follow ─▶ new ─┐
    keeper ─ ended ─▶ herald: ───┴▶ by record ─▶ the span of `send` ends
    the reader of replies ─ heard ─▶ herald: the span of the reply, from `send` until it was heard

What ends spans is foreign code, which may be slow: it runs in a herald's thread, which alone knows the spans by record.
A tracer that raises, or hangs there, costs spans and no request.
Names are those of OpenTelemetry's conventions, as far as they go; they have no value for Kinesis yet.
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

from __future__ import annotations

from collections import deque
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind, Status, StatusCode, format_span_id, format_trace_id, set_span_in_context

from tidemill.runtime.herald import Herald
from tidemill.runtime.log import log
from tidemill.sending.records import Acknowledged, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.trace import Span, Tracer

    from tidemill.contract.request import Reply
    from tidemill.delivery.ticket import Ticket
    from tidemill.sending.records import Outcome, Record

MOST = 10_000
"""Requests whose spans nothing has looked after yet, at most: further ones have none, because the tracer may hang for
ever. Each takes some 4 KB."""

CLOSED = Refused("Closed", "the producer was closed before it was acknowledged", again=False)


class Sent:
    """A request whose trace is sampled, from the beginning of `send` until its spans have ended.

    Args:
        traces: the producer's.
        span: the span of sending it.
        begun: when that began, in nanoseconds since 1970.

    Attributes:
        traceparent: what the request carries: its span, as W3C Trace Context writes it.
            https://www.w3.org/TR/trace-context/#traceparent-header
        place: the request's place in its record, once it is known.
    """

    __slots__ = ("_begun", "_is_over", "_span", "_traces", "place", "traceparent")

    def __init__(self, traces: Traces, span: Span, begun: int) -> None:
        self._traces = traces
        self._span = span
        self._begun = begun
        self._is_over = False
        self.place = 0
        context = span.get_span_context()
        ids = f"{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}"
        self.traceparent = f"00-{ids}-{context.trace_flags:02x}"

    def follow(self, handle: Ticket) -> None:
        """Has the span end with the outcome of this request, which is about to be sent."""
        self._traces.new.append((handle, self))
        try:
            self._span.set_attribute("messaging.message.id", handle.id)
        except Exception as error:
            self._traces.say(error)

    def fail(self, error: Exception) -> None:
        """Ends the span of a request that was not taken."""
        self.end(Refused(type(error).__name__, str(error), again=False), time_ns())

    def end(self, outcome: Outcome, now: int) -> None:
        """Ends the span of sending; again changes nothing."""
        if not self._is_over:
            self._is_over = True
            try:
                self._end(outcome, now)
            except Exception as error:
                self._traces.say(error)

    def _end(self, outcome: Outcome, now: int) -> None:
        if isinstance(outcome, Acknowledged):
            where = {"messaging.destination.partition.id": outcome.shard, "tidemill.sequence": outcome.sequence}
            self._span.set_attributes(where)
        else:
            self._span.set_attribute("error.type", outcome.code)
            self._span.set_status(Status(StatusCode.ERROR, outcome.message))
        self._span.end(now)

    def heard(self, reply: Reply) -> None:
        """Makes the span of waiting for the reply, which has come. For a thread that no signal interrupts."""
        self._traces.herald.tell(partial(self._heard, reply, time_ns()))

    def _heard(self, reply: Reply, now: int) -> None:
        self._traces.tracer.start_span(
            "receive replies",
            set_span_in_context(self._span),
            SpanKind.CONSUMER,
            {
                "messaging.system": "aws_sqs",
                "messaging.operation.name": "receive",
                "messaging.operation.type": "receive",
                "messaging.destination.template": "replies",  # each client has a queue of its own
                "messaging.message.conversation_id": reply.id,
                "tidemill.status": reply.status,
            },
            start_time=self._begun,
        ).end(now)


class Traces:
    """Makes the spans of a producer's requests. A request whose trace is not sampled has none, and names none.

    Args:
        tracer: makes them.
        stream: the stream's name or ARN.

    Attributes:
        tracer: as given.
        herald: ends spans.
        new: handles of requests that are being sent, and what ends their spans; the herald's thread takes them out.
    """

    def __init__(self, tracer: Tracer, stream: str) -> None:
        self.tracer = tracer
        self.herald = Herald()
        self.new: deque[tuple[Ticket, Sent]] = deque()
        self._has_missed = False
        """Whether the herald was not told of records that have ended."""
        self._has_said = False
        self._by_record: dict[Record, list[Sent]] = {}
        name = stream.rpartition("/")[2]
        self._name = f"send {name}"
        self._attributes = {
            "messaging.system": "aws.kinesis",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": name,
        }

    def begin(self, cmd: str) -> Sent | None:
        """Begins the span of a request within the current one; None if it is not sampled, or has no span otherwise."""
        if len(self.new) >= MOST:
            return None
        begun, attributes = time_ns(), self._attributes | {"tidemill.cmd": str(cmd)}
        try:
            span = self.tracer.start_span(self._name, None, SpanKind.PRODUCER, attributes, start_time=begun)
            return Sent(self, span, begun) if span.is_recording() else None
        except Exception as error:
            self.say(error)
            return None

    def say(self, error: Exception) -> None:
        """Logs the tracer's first error."""
        if not self._has_said:
            self._has_said = True
            log.error("the tracer fails, and spans are lost; requests are sent without them: %r", error)

    def ended(self, records: list[Record]) -> None:
        """Ends the spans of requests that have ended, in the herald's thread. `records`: those that have such."""
        if (self.new or self._by_record) and not self.herald.tell(partial(self._end, records, time_ns())):
            self._has_missed = True

    def close(self) -> None:
        """Ends all other spans once the producer has ended, and waits a little until that is done."""
        if self.new or self._by_record:
            self.herald.tell(partial(self._end_all, time_ns()))
        self.herald.rest()

    # ---- the herald's thread

    def _end(self, records: Iterable[Record], now: int) -> None:
        self._take_new()
        if self._has_missed:
            self._has_missed = False
            records = list(self._by_record)
        for record in records:
            for one in self._by_record.pop(record, ()):
                outcome = record.outcome_of(one.place)
                if outcome is None:  # others of its record expired
                    self._by_record.setdefault(record, []).append(one)
                else:
                    one.end(outcome, now)

    def _end_all(self, now: int) -> None:
        self._take_new()
        for record, sent in self._by_record.items():
            for one in sent:
                one.end(record.outcome_of(one.place) or CLOSED, now)
        self._by_record.clear()
        while self.new:
            handle, one = self.new.popleft()
            one.end(handle._outcome or CLOSED, now)

    def _take_new(self) -> None:
        """Notes the records of requests that have one by now."""
        for _ in range(len(self.new)):
            handle, one = self.new.popleft()
            record = handle._record
            if record is None:
                self.new.append((handle, one))
            else:
                one.place = handle._place
                self._by_record.setdefault(record, []).append(one)
