"""One trace from `send` to the reply, through the whole stack: a collector here takes what all parts tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

from tests.collecting import Collected, Collector
from tidemill import Producer, Replies, reply_queue
from tidemill.contract.request import Request, encode
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(300)
Becomes = Callable[[Callable[[], bool]], bool]

PATIENCE = 60


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


@pytest.fixture(scope="module")
def platform(collector: Collector) -> Iterator[Platform]:
    parameters = {"Traces": collector.url, "BatchingWindowSeconds": "0", "ShardCount": "1", "DirectEndpoint": "on"}
    with Platform(0, parameters) as running:
        yield running


@contextmanager
def shop(platform: Platform, collector: Collector, *, is_sampled: bool = True) -> Iterator[Producer]:
    """An application whose tracer sends to the same collector."""
    provider = TracerProvider(ParentBased(ALWAYS_ON if is_sampled else ALWAYS_OFF), Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(collector.url)))
    client, outputs = platform.emulator.client, platform.outputs
    with (
        reply_queue(outputs["RepliesTopicArn"], hears="ann", client_of=client) as queue,
        Producer(
            outputs["StreamName"],
            client="ann",
            kinesis=client("kinesis"),
            replies=Replies.with_repeats(queue, client("sqs")),
            tracer=provider.get_tracer("shop"),
        ) as producer,
    ):
        yield producer


def of(collector: Collector, cmd: str) -> dict[str, Collected]:
    """The spans of the trace in which a command was sent, by the first word of their names and their own command."""
    spans = collector.spans()
    traces = {one.trace for one in spans if one.name.startswith("send") and one.attributes["tidemill.cmd"] == cmd}
    return {
        " ".join([one.name.partition(" ")[0], str(one.attributes.get("tidemill.cmd", ""))]).strip(): one
        for one in spans
        if one.trace in traces
    }


def test_one_trace_goes_from_send_to_the_reply_and_to_what_the_rule_emits(
    platform: Platform, collector: Collector, becomes: Becomes
) -> None:
    with shop(platform, collector) as producer:
        assert producer.request("content.publish", key="content/1", data={"title": "A"}, timeout=PATIENCE).status
        assert producer.request("content.delete", key="content/1", timeout=PATIENCE).status == "accepted"
    assert becomes(lambda: "apply user.deleted_content" in of(collector, "content.delete"))
    found = of(collector, "content.delete")
    assert set(found) == {
        "send content.delete",
        "wait content.delete",
        "apply content.delete",
        "reply",
        "receive",
        "wait user.deleted_content",
        "apply user.deleted_content",
    }
    sent, apply = found["send content.delete"], found["apply content.delete"]
    assert {name: one.parent for name, one in found.items()} == {
        "send content.delete": "",
        "wait content.delete": sent.id,
        "apply content.delete": sent.id,
        "reply": apply.id,
        "receive": sent.id,
        "wait user.deleted_content": sent.id,
        "apply user.deleted_content": sent.id,
    }
    services = {name: one.service for name, one in found.items()}
    assert services["send content.delete"] == services["receive"] == "shop"
    assert services["apply content.delete"] == services["apply user.deleted_content"]
    assert services["apply content.delete"] == platform.outputs["ApplyFunctionName"]
    wait, reply, heard = found["wait content.delete"], found["reply"], found["receive"]
    assert sent.start < wait.end == apply.start < apply.end == reply.start == reply.end
    assert apply.start < heard.end  # the reply may be heard while the emitted request is being put
    assert heard.start == sent.start
    emitted = found["apply user.deleted_content"]
    assert found["wait user.deleted_content"].end == emitted.start < emitted.end
    assert apply.start < emitted.start


def test_what_is_not_sampled_makes_no_spans(platform: Platform, collector: Collector) -> None:
    before = len(collector.spans())
    with shop(platform, collector, is_sampled=False) as producer:
        assert producer.request("content.view", key="content/2", timeout=PATIENCE).status == "accepted"
    assert len(collector.spans()) == before


def test_the_direct_function_goes_on_with_the_trace_too(platform: Platform, collector: Collector) -> None:
    trace, sent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    request = Request(
        id="r1", cmd="content.view", data={}, key="content/3", client="ann", traceparent=f"00-{trace}-{sent}-01"
    )
    event = {"requestContext": {"timeEpoch": 1_764_000_000_000}, "body": encode(request).decode()}
    answer = platform.emulator.client("lambda").invoke(
        FunctionName=platform.outputs["DirectFunctionName"], Payload=json.dumps(event)
    )
    assert json.load(answer["Payload"])["statusCode"] == 200
    wait, apply = (one for one in collector.spans() if one.trace == trace)
    assert ([wait.name, apply.name], {wait.parent, apply.parent}) == (["wait", "apply"], {sent})
    assert apply.attributes["http.response.status_code"] == 200
    assert apply.service == platform.outputs["DirectFunctionName"]


def test_a_collector_that_is_down_does_no_harm(platform: Platform, collector: Collector) -> None:
    """The last test of this module: the function leaves the collector alone from here on."""
    collector.gate.clear()
    with Producer(
        platform.outputs["StreamName"],
        client="ann",
        kinesis=platform.emulator.client("kinesis"),
        tracer=TracerProvider().get_tracer("shop"),
    ) as producer:
        for _ in range(3):
            producer.send("content.view", key="content/4").result(PATIENCE)
    table = platform.emulator.client("dynamodb")

    def views() -> str | None:
        stored = table.get_item(TableName=platform.outputs["TableName"], Key={"pk": {"S": "content/4"}})
        views: str | None = stored["Item"]["doc"]["M"]["views"]["N"] if "Item" in stored else None
        return views

    source = platform.event_sources[0]
    while views() != "3":
        assert source.counts.errors == 0
    assert source.counts.errors == 0
