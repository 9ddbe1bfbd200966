"""The producer: its thread, its client and its handles, against a Kinesis that answers what it is told to."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.stub import ANY, Stubber
from types_boto3_kinesis import KinesisClient

from tidemill import (
    Acknowledged,
    NotAccepted,
    Producer,
    ProducerClosed,
    Request,
    StillPending,
    UnsendableRequest,
)
from tidemill.kpl import unpack
from tidemill.lane import hash_key, lane_of
from tidemill.producer import AGAIN, REMEDIES
from tidemill.request import decode

Answer = Callable[[list[dict[str, Any]]], dict[str, Any]]

PATIENCE = 30
"""Seconds after which a test gives up; none of them needs it."""


def stored(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"FailedRecordCount": 0, "Records": [{"ShardId": "shard-7", "SequenceNumber": "42"} for _ in records]}


def refused(code: str) -> Answer:
    def answer(records: list[dict[str, Any]]) -> dict[str, Any]:
        entries = [{"ErrorCode": code, "ErrorMessage": "said so"} for _ in records]
        return {"FailedRecordCount": len(records), "Records": entries}

    return answer


def raises(error: Exception) -> Answer:
    def answer(records: list[dict[str, Any]]) -> dict[str, Any]:
        raise error

    return answer


def client_error(code: str, status: int) -> ClientError:
    response = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(cast("Any", response), "PutRecords")


class Kinesis:
    """What a producer needs of a client: the answers given, then success."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = deque(answers)
        self.calls: list[dict[str, Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def put_records(self, **call: Any) -> dict[str, Any]:
        assert self.gate.wait(PATIENCE)
        self.calls.append(call)
        answer = self.answers.popleft() if self.answers else stored
        return answer(call["Records"])

    @property
    def requests(self) -> list[Request]:
        return [
            decode(user_record.data)
            for call in self.calls
            for record in call["Records"]
            for user_record in unpack(record["Data"])
        ]


def made(kinesis: Kinesis, **options: Any) -> Producer:
    return Producer("stream", kinesis=cast("KinesisClient", kinesis), **({"linger": 0.0} | options))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Back-offs of no time, and no thread left behind."""
    monkeypatch.setattr("tidemill.outbox.FIRST_BACKOFF", 0.0)
    yield
    assert not [thread for thread in threading.enumerate() if thread.name == "tidemill-producer"]


def test_a_request_is_stored() -> None:
    kinesis = Kinesis()
    with made(kinesis, client="alice") as producer:
        handle = producer.send("content.view", key="content/42", data={"from": "home"})
        assert handle.result(PATIENCE) == Acknowledged("shard-7", "42")
        assert handle.done()
    [call] = kinesis.calls
    assert call["StreamName"] == "stream"
    [record] = call["Records"]
    lane = lane_of("content/42")
    assert record["PartitionKey"] == f"lane-{lane}"
    assert record["ExplicitHashKey"] == hash_key(lane)
    [request] = kinesis.requests
    assert request.id == handle.id
    assert (request.cmd, request.key, request.client) == ("content.view", "content/42", "alice")
    assert (request.writer, request.counter) == (producer.writer, 1)
    assert request.data == {"from": "home"}
    assert len(producer.writer) == 12


def test_what_is_given_is_taken() -> None:
    kinesis = Kinesis()
    with made(kinesis, client="alice", writer="mine", counter=9) as producer:
        handle = producer.send("c", key="k", client="bob", id="my-id", at=5)
    assert kinesis.requests == [
        Request(id="my-id", cmd="c", key="k", client="bob", writer="mine", counter=10, at=5, data={})
    ]
    assert handle.id == "my-id"


def test_a_ready_request_goes_as_it_is() -> None:
    kinesis = Kinesis()
    request = Request(id="1", cmd="c", key="k", writer="another", counter=3, data={"a": [1]})
    with made(kinesis, client="alice") as producer:
        assert producer.put(request).id == "1"
    assert kinesis.requests == [request]


def test_a_stream_may_be_an_arn() -> None:
    kinesis = Kinesis()
    arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/requests"
    with Producer(arn, kinesis=cast("KinesisClient", kinesis)) as producer:
        producer.send("c", key="k")
    assert kinesis.calls[0]["StreamARN"] == arn
    assert "StreamName" not in kinesis.calls[0]


def test_the_end_of_the_block_sends_everything() -> None:
    kinesis = Kinesis()
    with made(kinesis, linger=1e6) as producer:
        for number in range(500):
            producer.send("c", key=f"k-{number}")
    assert sorted(request.counter or 0 for request in kinesis.requests) == list(range(1, 501))
    stats = producer.stats
    assert (stats.requests, stats.pending, stats.refused) == (500, 0, 0)
    assert stats.put_calls == len(kinesis.calls)
    assert stats.records == sum(len(call["Records"]) for call in kinesis.calls)
    assert stats.bytes == sum(len(record["Data"]) for call in kinesis.calls for record in call["Records"])


def test_threads_may_share_it() -> None:
    kinesis = Kinesis()

    def work(name: str) -> None:
        for number in range(200):
            producer.send("c", key=name, data={"number": number})

    with made(kinesis, linger=0.001) as producer:
        threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name in (f"thread-{n}" for n in range(8)):
        mine = [request for request in kinesis.requests if request.key == name]
        assert [request.data["number"] for request in mine] == list(range(200))
        assert [request.counter for request in mine] == sorted({request.counter or 0 for request in mine})


@pytest.mark.parametrize(
    "trouble",
    [
        raises(client_error("ProvisionedThroughputExceededException", 400)),
        raises(client_error("ThrottlingException", 400)),
        raises(client_error("InternalFailure", 500)),
        raises(client_error("Whatever", 503)),
        raises(client_error("TooManyRequests", 429)),
        raises(EndpointConnectionError(endpoint_url="http://localhost:1")),
        raises(ReadTimeoutError(endpoint_url="http://localhost:1")),
        raises(ConnectionResetError("reset")),
        refused("ProvisionedThroughputExceededException"),
        refused("InternalFailure"),
        lambda records: {"FailedRecordCount": 0, "Records": []},
    ],
)
def test_what_may_pass_is_tried_again_with_the_same_bytes(trouble: Answer) -> None:
    kinesis = Kinesis(trouble, trouble)
    with made(kinesis) as producer:
        handle = producer.send("c", key="k")
        assert handle.result(PATIENCE).shard == "shard-7"
    assert len(kinesis.calls) == 3
    assert kinesis.calls[0] == kinesis.calls[1] == kinesis.calls[2]
    assert producer.stats.retried_entries == 2


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (raises(client_error("ResourceNotFoundException", 400)), "ResourceNotFoundException"),
        (raises(client_error("AccessDeniedException", 400)), "AccessDeniedException"),
        (raises(client_error("InvalidArgumentException", 400)), "InvalidArgumentException"),
        (raises(NoCredentialsError()), "NoCredentialsError"),
        (raises(KeyError("a bug")), "KeyError"),
        (refused("KMSAccessDeniedException"), "KMSAccessDeniedException"),
    ],
)
def test_what_cannot_pass_fails_the_handle_and_nothing_hangs(trouble: Answer, code: str) -> None:
    kinesis = Kinesis(trouble)
    with made(kinesis) as producer:
        handle = producer.send("c", key="k")
        with pytest.raises(NotAccepted, match=code) as failure:
            handle.result(PATIENCE)
        assert failure.value.code == code
        assert REMEDIES.get(code, "") in str(failure.value)
        assert producer.send("c", key="k").result(PATIENCE).sequence == "42"
    assert producer.stats.refused == 1


def test_a_failure_that_nobody_asked_for_is_raised_at_the_end() -> None:
    producer = made(Kinesis(raises(client_error("ResourceNotFoundException", 400))))
    with pytest.raises(NotAccepted, match="AWS_REGION"), producer:
        producer.send("c", key="k")


def test_the_blocks_own_error_comes_first() -> None:
    producer = made(Kinesis(raises(client_error("ResourceNotFoundException", 400))))
    with pytest.raises(ZeroDivisionError), producer:
        producer.send("c", key=str(1 // (producer.send("c", key="k").id == "")))


def test_trouble_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    trouble = raises(EndpointConnectionError(endpoint_url="http://localhost:1"))
    with caplog.at_level(logging.WARNING, "tidemill"), made(Kinesis(trouble)) as producer:
        producer.send("c", key="k")
    assert "EndpointConnectionError" in caplog.text
    assert "localhost:1" in caplog.text


def test_flush_says_how_many_are_pending() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()
    with made(kinesis) as producer:
        handles = [producer.send("c", key=f"k-{number}") for number in range(3)]
        with pytest.raises(StillPending, match="3 requests") as late:
            producer.flush(timeout=0)
        assert late.value.pending == 3
        assert isinstance(late.value, TimeoutError)
        with pytest.raises(StillPending):
            handles[0].result(timeout=0)
        assert not handles[0].done()
        kinesis.gate.set()
        producer.flush(PATIENCE)
        assert all(handle.done() for handle in handles)


def test_a_full_buffer_makes_send_wait() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()
    started = threading.Event()

    def work() -> None:
        started.set()
        producer.send("c", key="k", data={"n": 2})

    with made(kinesis, max_pending_bytes=1) as producer:
        producer.send("c", key="k", data={"n": 1})
        thread = threading.Thread(target=work)
        thread.start()
        assert started.wait(PATIENCE)
        assert producer.stats.requests == 1
        kinesis.gate.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert producer.stats.requests == 2
    assert [request.data for request in kinesis.requests] == [{"n": 1}, {"n": 2}]


def test_closing_frees_those_who_wait_for_room() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()
    errors: list[Exception] = []
    started = threading.Event()

    def work() -> None:
        started.set()
        try:
            producer.send("c", key="k")
        except ProducerClosed as error:
            errors.append(error)

    producer = made(kinesis, max_pending_bytes=1)
    producer.send("c", key="k")
    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(PATIENCE)
    closer = threading.Thread(target=producer.close)
    closer.start()
    thread.join(PATIENCE)
    kinesis.gate.set()
    closer.join(PATIENCE)
    assert len(errors) == 1
    assert len(kinesis.requests) == 1


def test_a_closed_producer_takes_nothing() -> None:
    producer = made(Kinesis())
    producer.close()
    producer.close()
    with pytest.raises(ProducerClosed):
        producer.send("c", key="k")
    with pytest.raises(ProducerClosed):
        producer.put(Request(id="1", cmd="c", key="k", data={}))


def test_close_gives_up_what_takes_too_long() -> None:
    kinesis = Kinesis(*[raises(client_error("InternalFailure", 500))] * 10_000)
    producer = made(kinesis)
    handle = producer.send("c", key="k")
    with pytest.raises(StillPending, match="1 requests"):
        producer.close(timeout=0)
    with pytest.raises(NotAccepted, match="longer"):
        handle.result(PATIENCE)


def test_what_the_contract_does_not_allow_is_refused_at_once() -> None:
    kinesis = Kinesis()
    with made(kinesis) as producer:
        with pytest.raises(UnsendableRequest) as unsendable:
            producer.send("c", key="k", data={"when": [b"bytes"]})
        assert unsendable.value.field == "data.when[0]"
        with pytest.raises(UnsendableRequest, match="key"):
            producer.put(Request(id="1", cmd="c", data={}))
        producer.send("c", key="k")
    assert [request.counter for request in kinesis.requests] == [1]


def test_a_client_in_place_of_a_name_is_an_error_that_helps() -> None:
    with pytest.raises(TypeError, match="kinesis="):
        Producer("stream", client=cast("str", Kinesis()))


@pytest.mark.parametrize("options", [{"lanes": 5}, {"max_pending_bytes": 0}, {"linger": -1}, {"record_bytes": 0}])
def test_arguments_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        made(Kinesis(), **options)


@pytest.fixture
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("_account")
def test_the_calls_are_what_botocore_takes_and_gives() -> None:
    kinesis = boto3.client("kinesis")
    with Stubber(kinesis) as stubber:
        entry = {"ErrorCode": "InternalFailure", "ErrorMessage": "said so"}
        expected = {"StreamName": "stream", "Records": ANY}
        stubber.add_response("put_records", {"FailedRecordCount": 1, "Records": [entry]}, expected)
        stubber.add_client_error("put_records", "ProvisionedThroughputExceededException", expected_params=expected)
        entry = {"ShardId": "shard-1", "SequenceNumber": "1"}
        stubber.add_response("put_records", {"Records": [entry]}, expected)
        with Producer("stream", kinesis=kinesis, linger=0) as producer:
            assert producer.send("c", key="k").result(PATIENCE) == Acknowledged("shard-1", "1")
        stubber.assert_no_pending_responses()
    kinesis.close()
    assert producer.stats.throttled_entries == 1


@pytest.mark.usefixtures("_account")
def test_its_own_client_goes_where_the_environment_says_and_does_not_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    with Producer("stream") as producer:
        kinesis = producer._kinesis
        assert kinesis.meta.endpoint_url == "http://localhost:4566"
        assert cast("Any", kinesis.meta.config).retries["total_max_attempts"] == 1


def test_codes_are_either_retried_or_explained() -> None:
    assert not AGAIN & set(REMEDIES)
