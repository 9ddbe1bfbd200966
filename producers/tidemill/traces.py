"""The trace that a request belongs to, from OpenTelemetry.

Room: SDK. Needs the extra `otel`.
"""

from __future__ import annotations


def current_traceparent() -> str | None:
    """The span that is current here, as W3C Trace Context writes it; None if there is none.

        producer = Producer("requests", trace=current_traceparent)

    https://www.w3.org/TR/trace-context/#traceparent-header
    """
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
