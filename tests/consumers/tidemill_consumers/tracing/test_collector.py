"""Spans reach a collector by OTLP over HTTP, and X-Ray by signed calls."""

import hashlib
import hmac
import re
from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.collecting import Call, Collector
from tidemill_consumers.tracing.collector import exporter_to, headers_of

SECONDS = 30.0


@pytest.fixture(autouse=True)
def own_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session keeps the credentials that it has found: those of these tests are for no others."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


def spans(count: int = 1) -> list[ReadableSpan]:
    """Spans that have ended."""
    ended: list[ReadableSpan] = []

    class Keeping(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(span)

    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(Keeping())
    for number in range(count):
        provider.get_tracer("test").start_span(f"span {number}", attributes={"tidemill.cmd": "a.b"}).end()
    return ended


def test_spans_are_posted_to_the_collector_with_its_headers(collector: Collector) -> None:
    exporter = exporter_to(collector.url, {"api-key": "secret"}, SECONDS)
    assert exporter.export(spans(2)) is SpanExportResult.SUCCESS
    (call,) = collector.calls
    assert (call.path, call.headers["api-key"]) == ("/v1/traces", "secret")
    assert [(one.name, one.service) for one in collector.spans()] == [("span 0", "shop"), ("span 1", "shop")]
    assert collector.spans()[0].attributes == {"tidemill.cmd": "a.b"}


def test_a_collector_that_refuses_is_no_success(collector: Collector) -> None:
    collector.status = 401
    assert exporter_to(collector.url, {}, SECONDS).export(spans()) is SpanExportResult.FAILURE


def test_x_ray_is_called_with_the_signature_of_the_function_s_role(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", collector.origin)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a session's")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert exporter_to("xray", {}, SECONDS).export(spans()) is SpanExportResult.SUCCESS
    (call,) = collector.calls
    assert call.headers["x-amz-security-token"] == "a session's"
    scope, signed, signature = parts(call.headers["authorization"])
    assert scope.split("/")[1:] == ["eu-west-1", "xray", "aws4_request"]
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(signed)
    assert signature == signature_of(call, scope, signed, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


def parts(authorization: str) -> tuple[str, list[str], str]:
    """The scope, the signed headers and the signature."""
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/(\S+), SignedHeaders=(\S+), Signature=(\w+)", authorization
    )
    assert found
    return found[1], found[2].split(";"), found[3]


def signature_of(call: Call, scope: str, signed: list[str], secret: str) -> str:
    """The signature as AWS reckons it of what has come.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    lines = [f"{name}:{call.headers[name].strip()}" for name in signed]
    body = hashlib.sha256(call.body).hexdigest()
    canonical = "\n".join(["POST", call.path, "", *lines, "", ";".join(signed), body])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", call.headers["x-amz-date"], scope, digest])
    key = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    return key.hex()


def test_the_headers_are_in_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("secretsmanager", region_name="eu-west-1")
    monkeypatch.setattr("tidemill_consumers.tracing.collector.boto3.client", lambda service: client)
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:collector-AbCdEf"
    with Stubber(client) as stubbed:
        stubbed.add_response("get_secret_value", {"SecretString": "api-key=a%20key,x-team=shop"}, {"SecretId": arn})
        assert headers_of(arn) == {"api-key": "a key", "x-team": "shop"}


def test_without_a_secret_there_is_no_header_and_no_call() -> None:
    assert headers_of("") == {}
