"""A collector of spans: takes OTLP over HTTP on 127.0.0.1, as OpenTelemetry's collector does, and keeps what came."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


class Collected(NamedTuple):
    """A span as it came."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    """Empty of a trace's first."""
    start: int
    end: int
    attributes: Mapping[str, str | int]
    service: str


class Call(NamedTuple):
    """A call as it came, with the names of its headers in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Collector:
    """The collector, as a context manager.

    Attributes:
        status: what it answers with.
        gate: while it is closed, no call is answered.
        calls: the calls that came.
    """

    def __init__(self) -> None:
        self.status = 200
        self.gate = Event()
        self.gate.set()
        self.calls: list[Call] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.calls.append(
                    Call(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                )
                collector.gate.wait()
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.origin}/v1/traces"

    def spans(self) -> list[Collected]:
        """The spans that came, by their start."""
        found = [
            Collected(
                one.name,
                one.kind,
                one.trace_id.hex(),
                one.span_id.hex(),
                one.parent_span_id.hex(),
                one.start_time_unix_nano,
                one.end_time_unix_nano,
                _values(one.attributes),
                str(_values(resource.resource.attributes)["service.name"]),
            )
            for call in self.calls
            for resource in _decoded(call).resource_spans
            for scope in resource.scope_spans
            for one in scope.spans
        ]
        return sorted(found, key=lambda one: one.start)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


def _decoded(call: Call) -> ExportTraceServiceRequest:
    assert call.headers["content-type"] == "application/x-protobuf"
    body = gzip.decompress(call.body) if call.headers.get("content-encoding") == "gzip" else call.body
    return ExportTraceServiceRequest.FromString(body)


def _values(attributes: Any) -> dict[str, str | int]:
    found: dict[str, str | int] = {}
    for one in attributes:
        assert isinstance(one, KeyValue)
        found[one.key] = one.value.int_value if one.value.HasField("int_value") else one.value.string_value
    return found
