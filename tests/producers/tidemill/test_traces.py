"""The spans of what a producer sends: which there are, whose children, how they end, and what the request carries."""

import asyncio
import os
import threading
from collections.abc import Iterator
from time import monotonic, sleep
from typing import Any, cast

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from types_boto3_kinesis import KinesisClient

from tidemill import (
    AsyncProducer,
    BufferFull,
    NotAccepted,
    Producer,
    Reply,
    Request,
    Spool,
    StillPending,
    UnsendableRequest,
    traces,
)
from tidemill.contract.aggregation import unpack
from tidemill.contract.request import decode
from tidemill.runtime import herald

PATIENCE = 30


class Kinesis:
    """Answers with the codes given, then stores; while `gate` is closed it does not answer."""

    def __init__(self, *codes: str) -> None:
        self._codes = list(codes)
        self.requests: list[Request] = []
        self.gate = threading.Event()
        self.gate.set()

    def put_records(self, Records: list[dict[str, Any]], **where: Any) -> dict[str, Any]:
        assert self.gate.wait(PATIENCE)
        if self._codes:
            code = self._codes.pop(0)
            return {"Records": [{"ErrorCode": code, "ErrorMessage": "said so"} for _ in Records]}
        self.requests += [decode(one.data) for record in Records for one in unpack(record["Data"])]
        return {"Records": [{"ShardId": "shard-7", "SequenceNumber": "42"} for _ in Records]}


class Answers:
    """Accepts what was stored."""

    def __init__(self, kinesis: Kinesis) -> None:
        self._kinesis = kinesis

    def poll(self, wait_seconds: int) -> list[Reply]:
        return [Reply(one.id, "accepted") for one in self._kinesis.requests]

    def close(self) -> None:
        """Nothing is open."""


class Traced:
    """A Kinesis, a tracer, and the spans that have ended."""

    def __init__(self, *codes: str, sampler: Sampler = ALWAYS_ON) -> None:
        self.kinesis = Kinesis(*codes)
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=ParentBased(sampler))
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("shop")

    @property
    def options(self) -> dict[str, Any]:
        kinesis = cast("KinesisClient", self.kinesis)
        return {"kinesis": kinesis, "check": False, "tracer": self.tracer, "linger": 0.0}

    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def ended(self, count: int) -> list[ReadableSpan]:
        """The spans, once there are so many."""
        end = monotonic() + PATIENCE
        while len(self.spans()) < count:
            assert monotonic() < end, self.spans()
            sleep(0.005)
        return self.spans()


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.kinesis.gate.set()


def named(span: ReadableSpan) -> str:
    """The span as a request's `traceparent` names it."""
    context = span.context
    assert context
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_the_span_of_sending_is_within_the_current_one_and_ends_with_the_acknowledgement(traced: Traced) -> None:
    with Producer("arn:aws:kinesis:eu-west-1:1:stream/shop-requests", **traced.options) as producer:
        traced.kinesis.gate.clear()
        with traced.tracer.start_as_current_span("buy"):
            handle = producer.send("content.view", key="content/42")
        assert [one.name for one in traced.spans()] == ["buy"]
        traced.kinesis.gate.set()
        handle.result(PATIENCE)
        buy, sent = traced.ended(2)
    assert (sent.name, sent.kind) == ("send shop-requests", SpanKind.PRODUCER)
    assert sent.parent == buy.context
    assert attributes(sent) == {
        "messaging.system": "aws.kinesis",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "shop-requests",
        "messaging.destination.partition.id": "shard-7",
        "messaging.message.id": handle.id,
        "tidemill.cmd": "content.view",
        "tidemill.sequence": "42",
    }
    assert sent.status.status_code is StatusCode.UNSET
    (request,) = traced.kinesis.requests
    assert request.traceparent == named(sent)
    times = [one or 0 for one in (buy.start_time, sent.start_time, buy.end_time, sent.end_time)]
    assert times == sorted(times)
    assert times[0] > 0


def test_the_span_of_the_reply_is_within_that_of_sending(traced: Traced) -> None:
    with Producer("s", replies=Answers(traced.kinesis), **traced.options) as producer:
        handle = producer.send("content.view", key="k", reply=True)
        assert handle.reply(PATIENCE).status == "accepted"
        by_name = {one.name: one for one in traced.ended(2)}
    heard, sent = by_name["receive replies"], by_name["send s"]
    assert heard.kind is SpanKind.CONSUMER
    assert heard.parent == sent.context
    assert attributes(heard)["messaging.message.conversation_id"] == handle.id
    assert attributes(heard)["tidemill.status"] == "accepted"
    assert heard.start_time == sent.start_time


def test_what_is_not_sampled_has_no_span_and_names_none() -> None:
    traced = Traced(sampler=ALWAYS_OFF)
    with Producer("s", replies=Answers(traced.kinesis), **traced.options) as producer:
        producer.request("content.view", key="k", timeout=PATIENCE)
    assert traced.spans() == []
    assert [one.traceparent for one in traced.kinesis.requests] == [None]


def test_a_request_that_the_stream_refuses_ends_its_span_with_the_error() -> None:
    traced = Traced("AccessDeniedException")
    with pytest.raises(NotAccepted), Producer("s", **traced.options) as producer:
        producer.send("c", key="k")
    (sent,) = traced.spans()
    assert attributes(sent)["error.type"] == "AccessDeniedException"
    assert (sent.status.status_code, sent.status.description) == (StatusCode.ERROR, "said so")


def test_a_request_that_is_not_taken_ends_its_span_with_the_error(traced: Traced) -> None:
    with Producer("s", max_pending_bytes=1, when_full="raise", **traced.options) as producer:
        with pytest.raises(UnsendableRequest):
            producer.send("", key="k")
        traced.kinesis.gate.clear()
        producer.send("c", key="k")
        with pytest.raises(BufferFull):
            producer.send("c", key="k")
        assert [attributes(one)["error.type"] for one in traced.spans()] == ["UnsendableRequest", "BufferFull"]
        traced.kinesis.gate.set()
    assert [one.status.is_ok for one in traced.spans()] == [False, False, True]


def test_requests_of_one_record_may_end_apart(traced: Traced) -> None:
    with Producer("s", **traced.options) as producer:
        traced.kinesis.gate.clear()
        producer.send("first", key="k")
        expires, stays = producer.send("second", key="k", ttl=1e-9), producer.send("third", key="k")
        traced.kinesis.gate.set()
        with pytest.raises(NotAccepted):
            expires.result(PATIENCE)
        stays.result(PATIENCE)
        spans = traced.ended(3)
    errors = {attributes(one)["tidemill.cmd"]: attributes(one).get("error.type") for one in spans}
    assert errors == {"first": None, "second": "Expired", "third": None}


def test_what_is_spooled_and_signed_has_its_span_too(traced: Traced, tmp_path: Any) -> None:
    with Producer("s", spool=Spool(tmp_path / "spool"), **traced.options) as producer:
        producer.send("c", key="k").result(PATIENCE)
        (sent,) = traced.ended(1)
    assert [one.traceparent for one in traced.kinesis.requests] == [named(sent)]


def test_closing_ends_the_spans_of_what_was_not_acknowledged(traced: Traced) -> None:
    producer = Producer("s", **traced.options)
    traced.kinesis.gate.clear()
    producer.send("c", key="k")
    with pytest.raises(StillPending):
        producer.close(0)
    (sent,) = traced.ended(1)
    assert attributes(sent)["error.type"] == "Closed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a process with threads is forked, which is the point
def test_a_forked_process_ends_the_spans_of_its_own_requests_alone(traced: Traced) -> None:
    with Producer("s", **traced.options) as producer:
        traced.kinesis.gate.clear()
        producer.send("parent", key="k")
        child = os.fork()
        if not child:  # pragma: no cover - another process
            traced.kinesis.gate.set()
            producer.send("child", key="k").result(PATIENCE)
            producer.close()
            os._exit([attributes(one)["tidemill.cmd"] for one in traced.spans()] != ["child"])
        assert os.waitpid(child, 0)[1] == 0
        assert traced.spans() == []
        traced.kinesis.gate.set()
    assert [attributes(one)["tidemill.cmd"] for one in traced.ended(1)] == ["parent"]


def test_an_event_loop_s_requests_are_of_the_trace_of_their_task(traced: Traced) -> None:
    async def buy(producer: AsyncProducer, name: str) -> None:
        with traced.tracer.start_as_current_span(name):
            await asyncio.sleep(0)  # another task runs meanwhile
            assert (await (await producer.send(name, key=name, reply=True)).reply()).status == "accepted"

    async def main() -> None:
        options = {**traced.options, "max_pending_bytes": 1}  # one waits for the other's room, and tries again
        async with AsyncProducer("s", replies=Answers(traced.kinesis), **options) as producer:
            await asyncio.gather(buy(producer, "a"), buy(producer, "b"))

    asyncio.run(main())
    spans = traced.ended(6)
    sent = {attributes(one)["tidemill.cmd"]: one for one in spans if one.name == "send s"}
    around = {one.name: one for one in spans if one.name in ("a", "b")}
    heard = [one for one in spans if one.name == "receive replies"]
    assert {name: one.parent for name, one in sent.items()} == {name: one.context for name, one in around.items()}
    assert [one.status.is_ok for one in sent.values()] == [True, True]
    assert {one.parent.span_id for one in heard if one.parent} == {
        one.context.span_id for one in sent.values() if one.context
    }
    assert len(spans) == 6


def test_ended_spans_leave_nothing_behind(traced: Traced) -> None:
    with Producer("s", **traced.options) as producer:
        for number in range(100):
            producer.send("c", key=f"k/{number}")
        producer.flush(PATIENCE)
        traced.ended(100)
        traces = producer._lifetime.core.traces
        assert traces is not None
        assert not traces.new
        assert not traces._by_record


class Foreign(SpanProcessor):
    """What a tracer's provider calls: raises, or waits at a gate when a span ends."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.gate = threading.Event()
        self.ended: list[str] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if self.error:
            raise self.error

    def on_end(self, span: ReadableSpan) -> None:
        assert self.gate.wait(PATIENCE)
        self.ended.append(attributes(span)["tidemill.cmd"])


@pytest.fixture
def foreign() -> Iterator[Foreign]:
    made = Foreign()
    yield made
    made.gate.set()


def told(foreign: Foreign) -> dict[str, Any]:
    """Options of a producer whose tracer calls this."""
    provider = TracerProvider(ALWAYS_ON)
    provider.add_span_processor(foreign)
    return {"check": False, "linger": 0.0, "tracer": provider.get_tracer("shop")}


def test_a_tracer_that_raises_costs_no_request(foreign: Foreign, caplog: pytest.LogCaptureFixture) -> None:
    foreign.error, kinesis = ValueError("broken"), Kinesis()
    with Producer("s", kinesis=cast("KinesisClient", kinesis), **told(foreign)) as producer:
        for cmd in ("a", "b"):
            producer.send(cmd, key="k").result(PATIENCE)
    assert [(one.cmd, one.traceparent) for one in kinesis.requests] == [("a", None), ("b", None)]
    assert [one for one in caplog.messages if "broken" in one] == [
        "the tracer fails, and spans are lost; requests are sent without them: ValueError('broken')"
    ]


def test_a_tracer_that_hangs_has_a_bounded_number_of_spans(foreign: Foreign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MOST", 3)
    kinesis = Kinesis()
    with Producer("s", kinesis=cast("KinesisClient", kinesis), **told(foreign)) as producer:
        for number in range(10):
            producer.send(str(number), key="k").result(PATIENCE)
        foreign.gate.set()
    named = [one.cmd for one in kinesis.requests if one.traceparent]
    assert len(kinesis.requests) == 10
    assert 3 <= len(named) <= 3 + 3  # the herald's thread may have taken out some before it came to hang
    assert foreign.ended == named


def test_spans_whose_end_was_not_heard_of_end_with_the_next_news(
    foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(herald, "MOST", 1)
    with Producer("s", kinesis=cast("KinesisClient", Kinesis()), **told(foreign)) as producer:
        for number in range(10):
            producer.send(str(number), key=f"k/{number}").result(PATIENCE)
        made = producer._lifetime.core.traces
        assert made is not None
        assert made._has_missed
        foreign.gate.set()
        while not made.herald._news.empty():
            sleep(0.005)
        producer.send("last", key="last").result(PATIENCE)
        end = monotonic() + PATIENCE
        while len(foreign.ended) < 11:
            assert monotonic() < end, foreign.ended
            sleep(0.005)
        assert not made._by_record
    assert sorted(foreign.ended) == sorted([*map(str, range(10)), "last"])


def test_an_event_loop_s_large_data_is_no_error(traced: Traced) -> None:
    class Bucket:
        """Takes all uploads."""

        def put_object(self, **_: Any) -> dict[str, str]:
            return {"ETag": "e"}

    async def main() -> None:
        bucket: dict[str, Any] = {"bucket": "content", "s3": Bucket(), "client": "ann"}
        async with AsyncProducer("s", **bucket, **traced.options) as producer:
            await (await producer.send("c", key="k", data={"text": "x" * 100_000})).result()

    asyncio.run(main())
    (sent,) = traced.ended(1)
    assert (attributes(sent)["tidemill.cmd"], sent.status.is_ok) == ("c", True)
    assert [one.traceparent for one in traced.kinesis.requests] == [named(sent)]
