"""A function's traces: made and sent, and no fault of theirs is the function's."""

import sys
from collections.abc import Iterator

import pytest

from tests.collecting import Collector
from tests.consumers.tidemill_consumers.tracing.test_spans import TRACE, arrived
from tests.perf.workload import ARRIVED
from tidemill_consumers import composition
from tidemill_consumers.tracing import outbox
from tidemill_consumers.tracing.traces import Traces, traces_to

TOPIC = "arn:aws:sns:eu-west-1:123456789012:answers"

PATIENCE = 60.0


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(outbox, "FLUSH_SECONDS", PATIENCE)
    with Collector() as one:
        yield one


def test_the_spans_of_an_invocation_are_the_function_s(collector: Collector) -> None:
    traces = traces_to(collector.url, "", TOPIC, "shop-apply")
    traces.applied([arrived(), arrived(traceparent=None)], None, ARRIVED, ARRIVED + 1)
    assert collector.calls == []
    traces.flush(PATIENCE)
    assert {one.name for one in collector.spans()} == {"wait perf", "apply perf", "reply answers"}
    assert {(one.trace, one.service) for one in collector.spans()} == {(TRACE, "shop-apply")}


def test_a_request_by_http_is_told_too(collector: Collector) -> None:
    traces = traces_to(collector.url, "", TOPIC, "shop-direct")
    traces.answered(arrived(), 200, ARRIVED, ARRIVED + 1)
    traces.flush(PATIENCE)
    assert len(collector.spans()) == 2


class Broken:
    """Fails at whatever is asked of it."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("broken")


def test_a_fault_of_traces_is_logged_and_harmless(caplog: pytest.LogCaptureFixture) -> None:
    traces = traces_to("http://127.0.0.1:9/v1/traces", "", TOPIC, "shop-apply")
    traces._spans = traces._outbox = Broken()  # type: ignore[assignment] # neither of both
    traces.applied([arrived()], None, ARRIVED, ARRIVED)
    traces.answered(arrived(), 200, ARRIVED, ARRIVED)
    traces.flush(PATIENCE)
    assert caplog.messages == ["spans are lost"] * 3


def set_up(where: str, secret: str = "") -> Traces | None:
    return composition._traces(
        {
            "TIDEMILL_TRACES": where,
            "TIDEMILL_TRACES_HEADERS_SECRET_ARN": secret,
            "TIDEMILL_REPLIES_TOPIC_ARN": TOPIC,
        }
    )


def test_traces_that_are_off_import_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    assert set_up("off") is None


def test_a_package_without_opentelemetry_works_without_traces(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "tidemill_consumers.tracing.traces", None)
    assert set_up("https://collector.example/v1/traces") is None
    assert "tidemill package --traces" in caplog.messages[0]


def test_headers_that_cannot_be_had_leave_the_function_without_traces(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert set_up("https://collector.example/v1/traces", "arn:aws:secretsmanager:eu-west-1:1:secret:x") is None
    assert caplog.messages[-1] == "there are no traces"
