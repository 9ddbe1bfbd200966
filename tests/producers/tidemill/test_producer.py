"""The producer: its thread, its client and its handles, against a Kinesis that answers what it is told to."""

import gc
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic, sleep
from typing import Any, cast
from weakref import ref

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.stub import ANY, Stubber
from types_boto3_kinesis import KinesisClient

from tests.answering import without_marks
from tidemill import (
    Acknowledged,
    BufferFull,
    CallMade,
    GivenUp,
    Handle,
    Misconfigured,
    NotAccepted,
    OutcomeUnknown,
    Producer,
    ProducerClosed,
    Reply,
    Request,
    StillPending,
    UnsendableRequest,
)
from tidemill.contract.aggregation import is_aggregate, unpack
from tidemill.contract.lanes import hash_key, lane_of
from tidemill.contract.request import decode
from tidemill.errors import REMEDIES
from tidemill.sending.answers import AGAIN
from tidemill.spool.spool import Spool

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
        self.looked: list[dict[str, Any]] = []
        self.stream: dict[str, Any] | Exception = {"StreamStatus": "ACTIVE"}
        self.gate = threading.Event()
        self.gate.set()

    def put_records(self, **call: Any) -> dict[str, Any]:
        assert self.gate.wait(PATIENCE)
        self.calls.append(call)
        answer = self.answers.popleft() if self.answers else stored
        return answer(call["Records"])

    def describe_stream_summary(self, **where: Any) -> dict[str, Any]:
        self.looked.append(where)
        if isinstance(self.stream, Exception):
            raise self.stream
        return {"StreamDescriptionSummary": self.stream}

    @property
    def requests(self) -> list[Request]:
        return [
            decode(user_record.data)
            for call in self.calls
            for record in call["Records"]
            for user_record in unpack(record["Data"])
        ]


def until(holds: Callable[[], object]) -> None:
    end = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < end
        sleep(0.005)


def made(kinesis: Kinesis, **options: Any) -> Producer:
    return Producer("stream", kinesis=cast("KinesisClient", kinesis), **({"linger": 0.0} | options))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Back-offs of no time, and no thread left behind."""
    monkeypatch.setattr("tidemill.sending.backoff.FIRST_BACKOFF", 0.0)
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


def test_counters_go_on_behind_those_of_its_own_ready_requests() -> None:
    kinesis = Kinesis()
    with made(kinesis, writer="w") as producer:
        producer.put(Request(id="1", cmd="c", key="k", writer="w", counter=7, data={}))
        producer.put(Request(id="2", cmd="c", key="k", writer="another", counter=9, data={}))
        producer.send("c", key="k")
        with pytest.raises(UnsendableRequest, match="counter"):
            producer.put(Request(id="3", cmd="c", key="k", writer="w", counter=2**63 - 1, data={}))
    assert [request.counter for request in kinesis.requests] == [7, 9, 8]


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
    stats = producer.stats()
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


class FlakyKinesis(Kinesis):
    """A stream that refuses three entries in ten, and times out once it has stored what it was given."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = Random(seed)
        self.stored: list[Request] = []

    def put_records(self, **call: Any) -> dict[str, Any]:
        self.calls.append(call)
        outcomes = []
        for record in call["Records"]:
            if self.chance.random() < 0.3:
                code = self.chance.choice(["ProvisionedThroughputExceededException", "InternalFailure"])
                outcomes.append({"ErrorCode": code, "ErrorMessage": "said so"})
                continue
            data = record["Data"]
            payloads = [one.data for one in unpack(data)] if is_aggregate(data) else [data]
            self.stored += map(decode, payloads)
            outcomes.append({"ShardId": "shard-7", "SequenceNumber": "42"})
        if self.chance.random() < 0.2:
            raise ReadTimeoutError(endpoint_url="http://localhost:1")
        return {"Records": outcomes}


@pytest.mark.parametrize("aggregate", [True, False])
def test_order_holds_for_many_senders_on_a_stream_that_fails(aggregate: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    kinesis = FlakyKinesis(seed=3)

    def work(name: str) -> None:
        for number in range(300):
            producer.send("c", key=f"{name}-{number % 3}", data={"number": number})

    with made(kinesis, linger=0.001, record_bytes=500, aggregate=aggregate) as producer:
        threads = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(kinesis.stored) > 1_200  # some were stored twice
    first: dict[str, Request] = {}
    for request in kinesis.stored:
        first.setdefault(request.id, request)
    by_key: dict[str | None, list[int]] = defaultdict(list)
    for request in first.values():
        by_key[request.key].append(request.data["number"])
    assert by_key == {f"thread-{n}-{rest}": list(range(rest, 300, 3)) for n in range(4) for rest in range(3)}


@pytest.mark.parametrize(
    ("trouble", "is_lost"),
    [
        (raises(client_error("ProvisionedThroughputExceededException", 400)), False),
        (raises(client_error("ThrottlingException", 400)), False),
        (raises(client_error("InternalFailure", 500)), True),
        (raises(client_error("Whatever", 503)), True),
        (raises(client_error("TooManyRequests", 429)), False),
        (raises(EndpointConnectionError(endpoint_url="http://localhost:1")), False),
        (raises(ReadTimeoutError(endpoint_url="http://localhost:1")), True),
        (raises(ConnectionResetError("reset")), True),
        (raises(KeyError("a bug, before it was sent or after")), True),
        (refused("ProvisionedThroughputExceededException"), False),
        (refused("InternalFailure"), True),
        (lambda records: {"FailedRecordCount": 0, "Records": []}, True),
    ],
)
def test_what_may_pass_is_tried_again_with_the_same_bytes(trouble: Answer, is_lost: bool) -> None:
    kinesis = Kinesis(trouble, trouble)
    with made(kinesis) as producer:
        handle = producer.send("c", key="k")
        assert handle.result(PATIENCE).shard == "shard-7"
    assert len(kinesis.calls) == 3
    assert kinesis.calls[0] == without_marks(kinesis.calls[1]) == without_marks(kinesis.calls[2])
    assert (kinesis.calls[1] != kinesis.calls[0]) == is_lost
    assert kinesis.calls[1] == kinesis.calls[2]
    assert producer.stats().retried_entries == 2


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (raises(client_error("ResourceNotFoundException", 400)), "ResourceNotFoundException"),
        (raises(client_error("AccessDeniedException", 400)), "AccessDeniedException"),
        (raises(client_error("InvalidArgumentException", 400)), "InvalidArgumentException"),
        (raises(NoCredentialsError()), "NoCredentialsError"),
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
    assert producer.stats().refused == 1


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
        assert producer.stats().requests == 1
        kinesis.gate.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert producer.stats().requests == 2
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
    with pytest.raises(GivenUp, match="longer"):  # unknown, if it was on its way
        handle.result(PATIENCE)


def test_what_the_contract_does_not_allow_is_refused_at_once() -> None:
    kinesis = Kinesis()
    with made(kinesis) as producer:
        with pytest.raises(UnsendableRequest) as unsendable:
            producer.send("c", key="k", data={"when": [b"bytes"]})
        assert unsendable.value.field == "data.when[0]"
        with pytest.raises(UnsendableRequest, match="key"):
            producer.put(Request(id="1", cmd="c", data={}))
        clock: Any = "now"
        with pytest.raises(UnsendableRequest, match="at: use a whole number"):
            producer.send("c", key="k", at=clock)
        producer.send("c", key="k")
    assert [request.counter for request in kinesis.requests] == [1]


def test_a_handle_says_which_request_it_is_of() -> None:
    with made(Kinesis()) as producer:
        handle = producer.send("c", key="k", id="7")
    assert repr(handle) == "Handle('7')"
    assert handle.done()


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
        with Producer("stream", kinesis=kinesis, linger=0, check=False) as producer:
            assert producer.send("c", key="k").result(PATIENCE) == Acknowledged("shard-1", "1")
        stubber.assert_no_pending_responses()
    kinesis.close()
    assert producer.stats().throttled_entries == 1


@pytest.mark.usefixtures("_account")
def test_its_own_client_goes_where_the_environment_says_and_does_not_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    with Producer("stream", check=False) as producer:
        kinesis = producer._lifetime.wire.kinesis
        assert kinesis.meta.endpoint_url == "http://localhost:4566"
        config = cast("Any", kinesis.meta.config)
        assert config.retries["total_max_attempts"] == 1
        assert config.tcp_keepalive  # connections outlive the idle times of what lies between


def test_a_request_ends_when_its_time_is_over_and_the_others_go() -> None:
    kinesis = Kinesis()
    with made(kinesis, linger=0.2) as producer:
        brief = producer.send("c", key="k", ttl=0.01)
        other = producer.send("c", key="k")
        with pytest.raises(NotAccepted, match="Expired"):
            brief.result(PATIENCE)
        other.result(PATIENCE)
    assert [request.id for request in kinesis.requests] == [other.id]
    assert producer.stats().expired == 1


def test_what_was_sent_and_never_answered_ends_as_unknown() -> None:
    kinesis = Kinesis(*[raises(ReadTimeoutError(endpoint_url="http://localhost:1"))] * 10_000)
    producer = made(kinesis, ttl=0.05)
    handle = producer.send("c", key="k")
    with pytest.raises(OutcomeUnknown, match="Expired"):
        handle.result(PATIENCE)
    producer.close()
    assert producer.stats().unknown == 1


@pytest.mark.parametrize("ttl", [0, -1, float("nan")])
def test_a_time_to_live_is_a_number_of_seconds(ttl: float) -> None:
    with made(Kinesis()) as producer, pytest.raises(UnsendableRequest, match="ttl"):
        producer.send("c", key="k", ttl=ttl)
    with pytest.raises(ValueError, match="ttl"):
        made(Kinesis(), ttl=ttl)


def test_a_full_producer_raises_if_it_is_told_to() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()
    with made(kinesis, max_pending_bytes=1, when_full="raise") as producer:
        producer.send("c", key="k")
        with pytest.raises(BufferFull, match="1 requests"):
            producer.send("c", key="k")
        kinesis.gate.set()
        producer.flush(PATIENCE)
        producer.send("c", key="k")
    assert [request.counter for request in kinesis.requests] == [1, 2]


def test_a_full_producer_drops_the_oldest_if_it_is_told_to_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    kinesis = Kinesis()
    with made(kinesis, linger=1e6, max_pending_bytes=100, record_bytes=100, when_full="drop_oldest") as producer:
        handles = [producer.send("c", key="k", data={"n": number}) for number in range(3)]
        for handle in handles[:2]:
            with pytest.raises(NotAccepted, match="Dropped"):
                handle.result(PATIENCE)
    assert [request.data["n"] for request in kinesis.requests] == [2]
    assert producer.stats().dropped == 2
    assert "Dropped" in caplog.text


def test_what_it_does_when_full_is_one_of_three() -> None:
    with pytest.raises(ValueError, match="drop_oldest"):
        made(Kinesis(), when_full="explode")


def test_a_plain_record_is_the_request_under_its_own_key() -> None:
    kinesis = Kinesis()
    with made(kinesis, aggregate=False, linger=0.05) as producer:
        handles = [producer.send("c", key=f"kö{number % 3}") for number in range(9)]
    records = [record for call in kinesis.calls for record in call["Records"]]
    assert sorted(decode(record["Data"]).id for record in records) == sorted(handle.id for handle in handles)
    assert all(decode(record["Data"]).key == record["PartitionKey"] for record in records)
    assert not any("ExplicitHashKey" in record for record in records)
    for call in kinesis.calls:  # so that a failed entry is not overtaken
        keys = [record["PartitionKey"] for record in call["Records"]]
        assert len(set(keys)) == len(keys)
    for key in ("kö0", "kö1", "kö2"):
        counters = [decode(record["Data"]).counter or 0 for record in records if record["PartitionKey"] == key]
        assert counters == sorted(counters)


@pytest.mark.parametrize(
    ("stream", "field", "remedy"),
    [
        (client_error("ResourceNotFoundException", 400), "stream", "create it"),
        (client_error("UnrecognizedClientException", 400), "credentials", "compare the credentials"),
        (client_error("ExpiredTokenException", 400), "credentials", "new credentials"),
        (NoCredentialsError(), "credentials", "AWS_PROFILE"),
        ({"RecordDistributionStrategy": "AUTO"}, "stream", "USER_PARTITION_KEY"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(stream: Any, field: str, remedy: str) -> None:
    kinesis = Kinesis()
    kinesis.stream = stream
    with pytest.raises(Misconfigured, match=remedy) as misconfigured:
        made(kinesis)
    assert misconfigured.value.field == field


@pytest.mark.parametrize(
    "stream",
    [client_error("AccessDeniedException", 400), EndpointConnectionError(endpoint_url="http://localhost:1")],
)
def test_who_may_not_look_or_cannot_yet_may_send(stream: Exception) -> None:
    kinesis = Kinesis()
    kinesis.stream = stream
    with made(kinesis) as producer:
        producer.send("c", key="k")
    assert len(kinesis.requests) == 1


def test_without_a_region_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(Misconfigured, match="AWS_REGION") as misconfigured:
        Producer("stream")
    assert misconfigured.value.field == "region"


class Answers:
    """Replies to whatever was sent, as soon as they are asked for."""

    def __init__(self, kinesis: Kinesis, failure: Exception | None = None) -> None:
        self.kinesis = kinesis
        self.failure = failure
        self.closed = False

    def poll(self, wait_seconds: int) -> list[Reply]:
        if self.failure:
            raise self.failure
        return [Reply(request.id, "accepted", {"cmd": request.cmd}) for request in self.kinesis.requests]

    def close(self) -> None:
        self.closed = True


def test_a_reply_is_waited_for() -> None:
    kinesis = Kinesis()
    answers = Answers(kinesis)
    with made(kinesis, replies=answers) as producer:
        assert producer.request("c", key="k", timeout=PATIENCE).data == {"cmd": "c"}
        handle = producer.send("d", key="k", reply=True)
        assert handle.reply(PATIENCE) == Reply(handle.id, "accepted", {"cmd": "d"})
        assert handle.reply(0).status == "accepted"
        unheard = producer.send("d", key="k")
        with pytest.raises(RuntimeError, match="reply=True"):
            unheard.reply()
    assert answers.closed


def test_a_reply_that_takes_too_long_is_pending() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()
    with made(kinesis, replies=Answers(kinesis)) as producer:
        handle = producer.send("c", key="k", reply=True)
        with pytest.raises(StillPending, match="not answered yet: it is not on the stream yet"):
            handle.reply(0.01)
        kinesis.gate.set()


def test_a_reply_that_was_given_up_is_awaited_no_more() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()
    with suppress(NotAccepted), made(kinesis, replies=Answers(Kinesis())) as producer:
        listener = producer._lifetime.listener
        assert listener is not None
        with pytest.raises(StillPending, match="answered") as kept:  # and with it the frames that had the handle
            producer.request("c", key="k", timeout=0.01)
        assert kept.value.pending == 1
        until(lambda: not listener._expected)
        kinesis.gate.set()


def test_what_is_given_up_has_no_reply() -> None:
    kinesis = Kinesis(raises(client_error("AccessDeniedException", 400)))
    with made(kinesis, replies=Answers(Kinesis())) as producer, pytest.raises(NotAccepted, match="AccessDenied"):
        producer.request("c", key="k")


def test_replies_that_cannot_be_heard_are_an_error() -> None:
    kinesis = Kinesis()
    answers = Answers(kinesis, client_error("AWS.SimpleQueueService.NonExistentQueue", 400))
    with made(kinesis, replies=answers) as producer, pytest.raises(ClientError, match="NonExistentQueue"):
        producer.request("c", key="k")


def test_a_reply_needs_a_queue() -> None:
    with made(Kinesis()) as producer, pytest.raises(RuntimeError, match="replies="):
        producer.request("c", key="k")


def test_an_observer_is_told_of_every_call_and_its_faults_are_its_own() -> None:
    kinesis = Kinesis(refused("ProvisionedThroughputExceededException"))
    seen: list[CallMade] = []

    def observe(made: CallMade) -> None:
        seen.append(made)
        raise ValueError("an observer's fault")

    with made(kinesis, observer=observe) as producer:
        producer.send("c", key="k")
    assert [(made.records, made.requests, made.stored, made.throttled) for made in seen] == [(1, 1, 0, 1), (1, 1, 1, 0)]
    assert seen[0].bytes == len(kinesis.calls[0]["Records"][0]["Data"])
    assert seen[1].stats.pending == 0


def test_the_garbage_collector_sees_handles_alone_whose_replies_are_heard() -> None:
    kinesis = Kinesis()
    with made(kinesis, replies=Answers(kinesis)) as producer:
        assert not gc.is_tracked(producer.send("c", key="k"))
        handle = producer.send("c", key="k", reply=True)
        assert gc.is_tracked(handle)
        assert ref(handle)() is handle


def test_an_observer_that_holds_handles_is_let_go_of_with_its_producer() -> None:
    class Watching:
        handles: list[Handle]

        def __call__(self, _: object) -> None: ...

    watching = Watching()
    with made(Kinesis(), observer=watching) as producer:
        watching.handles = [producer.send("c", key="k")]
    gone = ref(watching)
    del producer, watching
    gc.collect()
    assert gone() is None


class Signer:
    def sign(self, request: Request) -> Request:
        return Request(
            id=request.id,
            cmd=request.cmd,
            key=request.key,
            writer=request.writer,
            counter=request.counter,
            data={"signed": True},
        )


def test_what_it_sends_is_signed() -> None:
    kinesis = Kinesis()
    with made(kinesis, signer=Signer()) as producer:
        producer.send("c", key="k")
        producer.put(Request(id="1", cmd="c", key="k", data={}))
    assert [request.data for request in kinesis.requests] == [{"signed": True}, {}]


def keeping(kinesis: Kinesis, folder: Path, **options: Any) -> Producer:
    return made(kinesis, spool=Spool(folder, fsync="never"), **options)


def test_what_was_not_acknowledged_is_sent_by_the_next_producer_on_the_spool(tmp_path: Path) -> None:
    offline = Kinesis(*[raises(EndpointConnectionError(endpoint_url="http://localhost:1"))] * 10_000)
    producer = keeping(offline, tmp_path)
    handles = [producer.send("c", key=f"k-{number % 3}", data={"n": number}) for number in range(9)]
    with pytest.raises(StillPending, match="9 requests"):
        producer.close(timeout=0)
    with pytest.raises(GivenUp, match="stays in the spool"):
        handles[0].result(PATIENCE)
    kinesis = Kinesis()
    with keeping(kinesis, tmp_path) as again:
        assert again.writer == producer.writer
        again.send("c", key="k-0", data={"n": 9})
    assert sorted(request.id for request in kinesis.requests if request.data["n"] < 9) == sorted(
        handle.id for handle in handles
    )
    for key in ("k-0", "k-1", "k-2"):
        counters = [request.counter or 0 for request in kinesis.requests if request.key == key]
        assert counters == sorted(set(counters))
    nothing_left = Kinesis()
    keeping(nothing_left, tmp_path).close()
    assert nothing_left.calls == []


def test_with_a_spool_what_someone_may_mend_is_tried_again(tmp_path: Path) -> None:
    trouble = raises(client_error("AccessDeniedException", 400))
    kinesis = Kinesis(trouble, trouble)
    with keeping(kinesis, tmp_path) as producer:
        producer.send("c", key="k").result(PATIENCE)
    assert len(kinesis.calls) == 3


def test_what_is_given_up_leaves_the_spool(tmp_path: Path) -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()
    with keeping(kinesis, tmp_path, linger=1e6) as producer:
        with pytest.raises(NotAccepted, match="Expired"):
            producer.send("c", key="k", ttl=0.01).result(PATIENCE)
        kinesis.gate.set()
    with Spool(tmp_path) as spool:
        assert spool.pending == 0


def test_a_full_spool_makes_send_wait_raise_or_drop(tmp_path: Path) -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()
    with made(kinesis, spool=Spool(tmp_path / "raise", max_bytes=300), when_full="raise") as producer:
        producer.send("c", key="k")
        with pytest.raises(BufferFull):
            producer.send("c", key="k")
        kinesis.gate.set()
    spool = Spool(tmp_path / "drop", max_bytes=300)
    with made(Kinesis(), spool=spool, when_full="drop_oldest", linger=1e6) as producer:
        first = producer.send("c", key="k")
        producer.send("c", key="k")
        with pytest.raises(NotAccepted, match="Dropped"):
            first.result(PATIENCE)


def test_a_request_that_the_spool_can_never_hold_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=300)
    with made(Kinesis(), spool=spool) as producer, pytest.raises(UnsendableRequest, match="max_bytes"):
        producer.send("c", key="k", data={"pad": "x" * 1000})


def test_a_producer_that_cannot_start_lets_go_of_the_spool(tmp_path: Path) -> None:
    kinesis = Kinesis()
    kinesis.stream = NoCredentialsError()
    with pytest.raises(Misconfigured):
        keeping(kinesis, tmp_path)
    Spool(tmp_path).close()


def test_codes_are_either_retried_or_explained() -> None:
    assert not AGAIN & set(REMEDIES)
