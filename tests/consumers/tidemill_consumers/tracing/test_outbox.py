"""Spans leave at the end of an invocation, and an exporter that does not take them is waited for once a minute."""

import logging
from collections.abc import Sequence
from threading import Event

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tidemill_consumers.tracing import outbox
from tidemill_consumers.tracing.outbox import CALL, MOST, Outbox

PATIENCE = 30.0


class Exporter(SpanExporter):
    """Takes spans, fails or hangs, as the test says."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.result = SpanExportResult.SUCCESS
        self.error: Exception | None = None
        self.gate = Event()
        self.gate.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        assert self.gate.wait(PATIENCE)
        self.calls.append([one.name for one in spans])
        if self.error:
            raise self.error
        return self.result


class Function:
    """An environment of a function: its outbox, its tracer and its time."""

    def __init__(self) -> None:
        self.exporter, self.now = Exporter(), 0.0
        self.outbox = Outbox(self.exporter, lambda: self.now)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.outbox)
        self._tracer = provider.get_tracer("test")

    def end(self, name: str) -> None:
        self._tracer.start_span(name).end()

    def invoked(self, *names: str, seconds: float = PATIENCE) -> None:
        for name in names:
            self.end(name)
        self.outbox.flush(seconds)


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    monkeypatch.setattr(outbox, "FLUSH_SECONDS", PATIENCE)
    return Function()


def test_the_spans_of_an_invocation_leave_at_its_end(function: Function) -> None:
    function.invoked("a", "b")
    function.invoked()
    function.invoked("c")
    assert function.exporter.calls == [["a", "b"], ["c"]]


def test_many_leave_by_several_calls_and_beyond_a_number_they_are_dropped(
    function: Function, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(MOST + 3):
        if function.outbox.takes(1):
            function.end("one")
    assert not function.outbox.takes(3)
    function.invoked()
    assert [len(one) for one in function.exporter.calls] == [CALL] * (MOST // CALL)
    assert caplog.messages == ["spans were sent, and 6 others dropped"]
    assert function.outbox.takes(MOST)


@pytest.mark.parametrize("result", [SpanExportResult.FAILURE, ValueError("broken")])
def test_after_a_failure_nothing_is_sent_for_a_minute(
    function: Function, result: SpanExportResult | ValueError, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = function.exporter
    if isinstance(result, SpanExportResult):
        exporter.result = result
    else:
        exporter.error = result
    with caplog.at_level(logging.WARNING):
        function.invoked("lost")
        function.now = 59.9
        function.invoked("lost", "too")
        exporter.result, exporter.error = SpanExportResult.SUCCESS, None
        function.now = 60.0
        function.invoked("sent")
    assert exporter.calls == [["lost"], ["sent"]]
    assert [one for one in caplog.messages if "cannot" not in one] == [
        "1 spans could not be sent; none are for the next 60 s",
        "spans were sent, and 2 others dropped",
    ]


def test_an_exporter_that_hangs_is_left_alone(function: Function) -> None:
    exporter = function.exporter
    exporter.gate.clear()
    function.invoked("late", seconds=0.01)
    function.now = 61.0
    function.invoked("lost")  # the first call has not ended: another would hang too
    exporter.gate.set()
    thread = function.outbox._thread
    assert thread is not None
    thread.join(PATIENCE)
    function.now = 121.0
    function.invoked("sent")
    assert exporter.calls == [["late"], ["sent"]]
