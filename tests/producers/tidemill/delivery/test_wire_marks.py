"""The wire learns the stream's time from whatever Kinesis answers, and marks what its client may put twice."""

import json
from base64 import b64decode
from time import monotonic
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.answering import Answer, entries, good, http, service
from tests.producers.tidemill.delivery.test_put_records import PATIENCE, call_of_one
from tidemill import Producer
from tidemill.contract.attempts import tried_of, unmarked
from tidemill.delivery.put_records import Wire, repeats
from tidemill.sending.stream_clock import StreamClock

DATE = "Fri, 28 Nov 2025 20:00:01 GMT"
TIME = 1764360000000
"""What the clock shows when an answer of that date has come."""

OF_KINESIS = (f"Date: {DATE}", "x-amzn-RequestId: 7")


def says(value: Any, status: int = 200, *headers: str) -> Answer:
    return lambda call: http(json.dumps({"Records": entries(call)} | value).encode(), status, *headers)


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def client(url: str, **retries: Any) -> Any:
    return boto3.client("kinesis", endpoint_url=url, config=Config(retries=retries) if retries else None)  # type: ignore[arg-type] # any


ANSWERS = {
    "stored": says({}, 200, *OF_KINESIS),
    "stored in part": says({"Records": [{"ErrorCode": "InternalFailure"}]}, 200, *OF_KINESIS),
    "refused": says({"__type": "AccessDeniedException"}, 400, *OF_KINESIS),
    "throttled": says({"__type": "ThrottlingException"}, 400, *OF_KINESIS),
    "failed": says({"__type": "InternalFailure"}, 500, *OF_KINESIS),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_answer_to_a_call_tells_the_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with service(ANSWERS[kind]) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        wire = Wire("stream", None, StreamClock())
        assert wire.clock.at(monotonic()) == 0
        wire.put(call_of_one())
        assert wire.clock.at(monotonic()) == pytest.approx(TIME, abs=60_000)
        assert wire.clock.at(0.0) == TIME


@pytest.mark.parametrize("kind", ["stored", "refused"])
def test_the_look_at_the_stream_tells_the_time(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE"}}
    answer = says(summary, 200, *OF_KINESIS) if kind == "stored" else ANSWERS[kind]
    with service(answer) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        wire = Wire("stream", None, StreamClock())
        wire.check()
        assert wire.clock.at(0.0) == TIME


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("x-amzn-RequestId: 7",),
        ("Date: yesterday", "x-amzn-RequestId: 7"),
        (f"Date: {DATE}",),  # of a proxy, whose clock may be anything
    ],
)
@pytest.mark.parametrize(("value", "status"), [({}, 200), ({"__type": "InternalFailure"}, 500)])
def test_an_answer_without_a_date_of_kinesis_tells_nothing(
    headers: tuple[str, ...], value: Any, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service(says(value, status, *headers)) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        wire = Wire("stream", None, StreamClock())
        wire.put(call_of_one())
        assert wire.clock.at(monotonic()) == 0


def marks(there: Any) -> list[int | None]:
    return [tried_of(record["PartitionKey"]) for call in there.calls for record in call["Records"]]


def test_a_producers_own_client_marks_what_follows_a_lost_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.sending.backoff.FIRST_BACKOFF", 0.02)
    lost = says({"__type": "InternalFailure"}, 500)
    with service(ANSWERS["stored"], ANSWERS["throttled"], lost, usually=good) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        with Producer("stream", check=False, linger=0) as producer:
            for _ in range(3):
                producer.send("c", key="k").result(PATIENCE)
        stored, throttled, failed, again, last = marks(there)
        assert (stored, throttled, failed, last) == (None, None, None, None)
        assert again == pytest.approx(TIME, abs=60_000)


@pytest.mark.parametrize("aggregate", [True, False])
def test_a_client_that_retries_by_itself_has_every_record_marked(aggregate: bool) -> None:
    with service(ANSWERS["stored"], ANSWERS["failed"], usually=good) as there:
        kinesis = client(there.url, total_max_attempts=2, mode="standard")
        with Producer("stream", kinesis=kinesis, check=False, linger=0, aggregate=aggregate) as producer:
            producer.send("c", key="k").result(PATIENCE)
            producer.send("c", key="k").result(PATIENCE)
            assert producer.stats().retried_entries == 0
        kinesis.close()
        assert there.calls[1] == there.calls[2], "by itself"
        if aggregate:
            first, second, _ = marks(there)
        else:
            first, second, _ = [unmarked(b64decode(call["Records"][0]["Data"]))[1] for call in there.calls]
        assert first == 0
        assert second == pytest.approx(TIME, abs=60_000)


@pytest.mark.parametrize(
    ("retries", "does"),
    [
        ({}, True),
        ({"mode": "standard"}, True),
        ({"mode": "adaptive", "max_attempts": 2}, True),
        ({"max_attempts": 1}, True),
        ({"max_attempts": 0}, False),
        ({"total_max_attempts": 1}, False),
        ({"total_max_attempts": 1, "mode": "adaptive"}, False),
    ],
)
def test_a_client_is_known_to_retry_by_its_configuration(retries: dict[str, Any], does: bool) -> None:
    kinesis = client("http://127.0.0.1:1", **retries)
    assert repeats(kinesis) == does
    kinesis.close()


def test_the_environment_may_tell_clients_not_to_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    kinesis = client("http://127.0.0.1:1")
    assert not repeats(kinesis)
    kinesis.close()


def test_a_producers_own_client_does_not_retry() -> None:
    assert not repeats(Wire("stream", None, StreamClock()).kinesis)
    assert not repeats(object())


def test_a_copy_of_the_process_goes_on_with_the_same_clock() -> None:
    """It runs on the same machine, or stood still in between: then it shows an earlier time, which is safe."""
    with service(ANSWERS["stored"], ANSWERS["failed"], usually=good) as there:
        kinesis = client(there.url, total_max_attempts=1)
        with Producer("stream", kinesis=kinesis, check=False, linger=0) as producer:
            producer.send("c", key="k").result(PATIENCE)
            producer._lifetime.begin_again(forked=False)
            producer.send("c", key="k").result(PATIENCE)
        kinesis.close()
        *_, failed, again = marks(there)
        assert failed is None
        assert again == pytest.approx(TIME, abs=60_000)
