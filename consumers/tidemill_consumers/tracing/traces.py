"""A function's traces: the spans of its requests, sent at the end of each invocation.

Room: tracing, composition of spans.py, outbox.py and collector.py. A fault of traces is logged, and nothing else: no
batch fails for them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from tidemill_consumers.core.batch import Arrival, Position
from tidemill_consumers.tracing.collector import exporter_to, headers_of
from tidemill_consumers.tracing.outbox import FLUSH_SECONDS, Outbox
from tidemill_consumers.tracing.spans import Spans

log = logging.getLogger(__name__)


class Traces:
    """Makes spans and sends them.

    Args:
        exporter: where they go.
        topic: the name of the topic of replies.
        resource: what makes them: attributes of OpenTelemetry's conventions.
    """

    def __init__(self, exporter: SpanExporter, topic: str, resource: Mapping[str, str]) -> None:
        self._outbox = Outbox(exporter)
        # Whether a trace is sampled is the client's decision, which its request carries.
        provider = TracerProvider(ALWAYS_ON, Resource.create(dict(resource)), shutdown_on_exit=False)
        provider.add_span_processor(self._outbox)
        self._spans = Spans(provider.get_tracer("tidemill"), topic, self._outbox.takes)

    def applied(self, arrivals: Sequence[Arrival], again: Position | None, begun: float, ended: float) -> None:
        """Make the spans of a batch's requests, as `Spans.applied` says."""
        with _harmless():
            self._spans.applied(arrivals, again, begun, ended)

    def answered(self, arrival: Arrival, status: int, begun: float, ended: float) -> None:
        """Make the spans of a request by HTTP, as `Spans.answered` says."""
        with _harmless():
            self._spans.answered(arrival, status, begun, ended)

    def flush(self, seconds: float) -> None:
        """Send the spans before the invocation ends, in half of its remaining seconds and `FLUSH_SECONDS` at most."""
        with _harmless():
            self._outbox.flush(seconds / 2)


def traces_to(where: str, headers_secret: str, topic: str, function: str) -> Traces:
    """The traces of a function.

    Args:
        where: the collector's URL, or `xray`.
        headers_secret: the ARN of the secret that holds headers for the collector; empty for none.
        topic: the ARN of the topic of replies.
        function: the function's name.
    """
    exporter = exporter_to(where, headers_of(headers_secret), FLUSH_SECONDS)
    resource = {
        "service.name": function,
        "faas.name": function,
        "cloud.provider": "aws",
        "cloud.platform": "aws_lambda",
    }
    return Traces(exporter, topic.rpartition(":")[2], resource)


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception("spans are lost")
