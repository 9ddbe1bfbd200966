"""Keeps ended spans until the end of an invocation, and hands them to an exporter then, for a short time only.

Room: tracing, I/O by the exporter that it is given.

OpenTelemetry's own processors do not fit: one exports each span by itself, the other in a thread of its own, which
Lambda freezes between invocations, and its `force_flush` waits for as long as the exporter takes.
https://github.com/open-telemetry/opentelemetry-python/issues/4568
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import inf
from threading import Thread
from time import monotonic

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

FLUSH_SECONDS = 1.0
"""The longest that an invocation waits for the collector."""

QUIET_SECONDS = 60.0
"""How long nothing is sent to a collector that has not taken the spans in time."""

MOST = 6_000
"""Spans of an invocation, at most: those of 2,000 requests. Each takes some 2 KB of memory and 40 µs."""

CALL = 2_000
"""Spans of a call. X-Ray takes 10,000 and 5 MB.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html"""

log = logging.getLogger(__name__)


class Outbox(SpanProcessor):
    """The spans that have ended and have not left.

    Args:
        exporter: where they go.
        clock: the monotonic time in seconds.
    """

    def __init__(self, exporter: SpanExporter, clock: Callable[[], float] = monotonic) -> None:
        self._exporter = exporter
        self._clock = clock
        self._spans: list[ReadableSpan] = []
        self._dropped = 0
        self._quiet_until = -inf
        self._thread: Thread | None = None
        self._has_exported = False

    def takes(self, count: int) -> bool:
        """Whether there is room for so many spans; else they count as dropped, and are not worth making."""
        has_room = len(self._spans) + count <= MOST
        self._dropped += 0 if has_room else count
        return has_room

    def on_end(self, span: ReadableSpan) -> None:
        """Keeps the span."""
        self._spans.append(span)

    def flush(self, seconds: float) -> None:
        """Hand the spans to the exporter, and wait until it has them, no longer than this and `FLUSH_SECONDS`.

        If it does not take them in time, they are dropped, and so are those of the next minute: an exporter that does
        not answer costs one of many invocations a second. Raises nothing.
        """
        spans, self._spans = self._spans, []
        if not spans:
            return
        if self._clock() < self._quiet_until or (self._thread is not None and self._thread.is_alive()):
            self._dropped += len(spans)
            return
        self._has_exported = False
        self._thread = Thread(target=self._export, args=(spans,), daemon=True)
        self._thread.start()
        self._thread.join(min(seconds, FLUSH_SECONDS))
        if not self._has_exported:
            self._quiet_until = self._clock() + QUIET_SECONDS
            self._dropped += len(spans)
            log.warning("%d spans could not be sent; none are for the next %.0f s", self._dropped, QUIET_SECONDS)
        elif self._dropped:
            log.warning("spans were sent, and %d others dropped", self._dropped)
        self._dropped = 0

    def _export(self, spans: Sequence[ReadableSpan]) -> None:
        calls = [spans[first : first + CALL] for first in range(0, len(spans), CALL)]
        try:
            self._has_exported = all(self._exporter.export(one) is SpanExportResult.SUCCESS for one in calls)
        except Exception:
            log.exception("spans cannot be sent")
