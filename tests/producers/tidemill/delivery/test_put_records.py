"""The wire against a service that stores and then answers badly: what may be stored is never called not accepted."""

import logging
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from threading import Event
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.session import get_session

from tests.answering import UNREADABLE, Answer, Service, good, http, raw, says, service, without_marks
from tidemill import Acknowledged, NotAccepted, OutcomeUnknown, Producer
from tidemill.contract.aggregation import unpack
from tidemill.contract.attempts import tried_of
from tidemill.contract.request import decode
from tidemill.delivery.put_records import Wire
from tidemill.sending.answers import UNREADABLE as CODE
from tidemill.sending.records import Call, Refused
from tidemill.sending.scheduler import Scheduler
from tidemill.sending.stream_clock import StreamClock

PATIENCE = 30
"""Seconds after which a test gives up; none of them needs it."""


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("tidemill.sending.backoff.FIRST_BACKOFF", 0.02)


def producer_of(there: Service, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Producer:
    monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
    return Producer("stream", check=False, **({"linger": 0} | options))


@pytest.fixture
def usual() -> Iterator[Any]:
    """Makes clients as users make them: with retries, and with botocore's own parser."""
    made: list[Any] = []

    def make(there: Service, attempts: int = 1) -> Any:
        config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
        made.append(boto3.client("kinesis", endpoint_url=there.url, config=config))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_may_be_stored_is_sent_again_as_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with service(UNREADABLE[name], UNREADABLE[name]) as there, producer_of(there, monkeypatch) as producer:
        handle = producer.send("c", key="k")
        assert handle.result(PATIENCE) == Acknowledged("shardId-000000000000", "1")
        first, *later = there.calls
        assert without_marks(first) == first
        assert [without_marks(call) for call in later] == [first, first]
        assert [tried_of(call["Records"][0]["PartitionKey"]) for call in later] == [0, 0]
        assert (len(there.calls), producer.stats().retried_entries) == (3, 2)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_may_be_stored_ends_unknown(name: str, monkeypatch: pytest.MonkeyPatch, usual: Any) -> None:
    def then_refuses(call: dict[str, Any]) -> bytes:
        return http(b'{"__type":"AccessDeniedException","message":"no"}', 400)

    with service(UNREADABLE[name], usually=then_refuses) as there:
        kinesis = usual(there)  # botocore reads it all
        with Producer("stream", kinesis=kinesis, check=False, linger=0) as producer:
            with pytest.raises(OutcomeUnknown, match="AccessDenied"):
                producer.send("c", key="k").result(PATIENCE)
            assert producer.stats().unknown == 1
        assert len(there.calls) == 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (says({"__type": "AccessDeniedException", "message": "no"}, 400), "AccessDeniedException"),
        (says({"__type": "com.amazonaws.kinesis#ValidationException"}, 400), "ValidationException"),
        (says({"__type": "Whatever", "message": "no"}, 499), "Whatever"),
        (says({"__type": "RequestEntityTooLarge", "message": "no"}, 413), "RequestEntityTooLarge"),
        (says({"Records": [{"ErrorCode": "KMSAccessDeniedException", "ErrorMessage": "no"}]}), "KMSAccess"),
    ],
)
def test_what_kinesis_itself_refuses_is_not_stored(answer: Answer, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with service(answer) as there, producer_of(there, monkeypatch) as producer:
        with pytest.raises(NotAccepted, match=code):
            producer.send("c", key="k").result(PATIENCE)
        assert (len(there.calls), producer.stats().unknown) == (1, 0)


@pytest.mark.parametrize(
    ("throttled", "unknown"),
    [
        (says({"__type": "ProvisionedThroughputExceededException"}, 400), 0),
        (says({"__type": "TooManyRequestsException"}, 429), 0),
        (says({"Records": [{"ErrorCode": "ProvisionedThroughputExceededException"}]}), 0),
        (says({"Records": [{"ErrorCode": "InternalFailure"}]}), 1),
        (says({"Records": [{"ErrorCode": "KMSThrottlingException", "SequenceNumber": "1"}]}), 1),
        (says({"__type": "InternalFailure"}, 400), 1),
    ],
)
def test_a_refusal_that_passes_leaves_doubt_only_if_it_may_have_been_stored(
    throttled: Answer, unknown: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    no = says({"__type": "AccessDeniedException", "message": "no"}, 400)
    with service(throttled, no) as there, producer_of(there, monkeypatch) as producer:
        with pytest.raises(OutcomeUnknown if unknown else NotAccepted):
            producer.send("c", key="k").result(PATIENCE)
        assert (len(there.calls), producer.stats().unknown) == (2, unknown)


def test_an_entry_that_cannot_be_read_says_nothing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"ShardId": "s", "SequenceNumber": "9"}
    with service(says({"Records": [entry, {"ShardId": "s"}]})) as there:
        with producer_of(there, monkeypatch, linger=1e6) as producer:
            handles = [producer.send("c", key=f"k-{number}") for number in range(2)]
            producer.flush(PATIENCE)
            sequences = sorted(handle.result(0).sequence for handle in handles)
        first, second = ([decode(one.data).id for one in unpack_all(call)] for call in there.calls)
    assert sequences == ["1", "9"]
    assert (len(first), len(second)) == (2, 1)


def unpack_all(call: dict[str, Any]) -> list[Any]:
    return [one for record in call["Records"] for one in unpack(b64decode(record["Data"]))]


def test_a_client_that_retries_by_itself_may_have_stored_it_before(usual: Any) -> None:
    no = says({"__type": "AccessDeniedException", "message": "no"}, 400)
    with service(raw(http(b"", 503)), no) as there:
        with Producer("stream", kinesis=usual(there, 2), check=False, linger=0) as producer:
            handle = producer.send("c", key="k")
            with pytest.raises(OutcomeUnknown, match="AccessDenied"):
                handle.result(PATIENCE)
        assert len(there.calls) == 2


def test_what_it_is_refused_then_entry_by_entry_may_be_stored_too(usual: Any) -> None:
    entry = {"ErrorCode": "AccessDeniedException", "ErrorMessage": "no"}
    with service(raw(http(b"", 503)), says({"FailedRecordCount": 1, "Records": [entry]}, 200)) as there:
        with Producer("stream", kinesis=usual(there, 2), check=False, linger=0) as producer:
            handle = producer.send("c", key="k")
            with pytest.raises(OutcomeUnknown, match="AccessDenied"):
                handle.result(PATIENCE)
        assert len(there.calls) == 2


def test_two_producers_of_one_client_count_for_themselves(usual: Any) -> None:
    no = says({"__type": "AccessDeniedException", "message": "no"}, 400)
    with service(no, no) as there:
        kinesis = usual(there)
        for _ in range(2):
            with Producer("stream", kinesis=kinesis, check=False, linger=0) as producer:
                handle = producer.send("c", key="k")
                with pytest.raises(NotAccepted, match="AccessDenied"):
                    handle.result(PATIENCE)


def test_a_call_that_never_left_is_not_stored(usual: Any) -> None:
    def fails(**_: object) -> None:
        raise KeyError("a hook of the user's")

    with service() as there:
        kinesis = usual(there)
        kinesis.meta.events.register_first("before-parameter-build.kinesis.PutRecords", fails)
        with Producer("stream", kinesis=kinesis, check=False, linger=0) as producer:
            with pytest.raises(NotAccepted, match="a hook"):
                producer.send("c", key="k").result(PATIENCE)
            kinesis.meta.events.unregister("before-parameter-build.kinesis.PutRecords", fails)
            kinesis.meta.events.register("after-call.kinesis.PutRecords", fails)
            with pytest.raises(OutcomeUnknown, match="Expired"):
                producer.send("c", key="k", ttl=0.2).result(PATIENCE)
        assert len(there.calls) > 0


def test_credentials_that_cannot_be_had_leave_no_doubt(usual: Any) -> None:
    def fails(**_: object) -> None:
        raise CredentialRetrievalError(provider="test", error_msg="the service does not answer")

    with service() as there:
        kinesis = usual(there)
        kinesis.meta.events.register_first("before-sign.kinesis.PutRecords", fails)
        with Producer("stream", kinesis=kinesis, check=False, linger=0) as producer:
            handle = producer.send("c", key="k", ttl=0.2)
            with pytest.raises(NotAccepted, match="Expired"):
                handle.result(PATIENCE)
        assert there.calls == []


def call_of_one() -> Call:
    scheduler = Scheduler(Random(1), linger=0)
    scheduler.buffer("k", b"{}", 0.0)
    call = scheduler.next_call(0.0)
    assert isinstance(call, Call)
    return call


def fails(**_: object) -> None:
    raise OSError("before anything was sent")


def is_stored(answer: object) -> bool:
    return answer == [Acknowledged("shardId-000000000000", "1")]


def test_in_a_copy_of_its_process_the_wire_makes_another_client_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(good, good, good, UNREADABLE["headers alone"]) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        wire = Wire("stream", None, StreamClock())
        original: Any = wire.kinesis
        monkeypatch.setattr(original, "close", lambda: pytest.fail("its connections are another's"))
        assert is_stored(wire.put(call_of_one()))
        assert wire.kinesis is original
        wire.begin_again()
        wire.close()
        assert is_stored(wire.put(call_of_one()))
        another: Any = wire.kinesis
        assert another is not original
        assert is_stored(wire.put(call_of_one()))
        assert wire.kinesis is another
        lost = wire.put(call_of_one())
        assert isinstance(lost, Refused)
        assert lost.lost
        another.meta.events.register("before-call.kinesis.PutRecords", fails)
        unsent = wire.put(call_of_one())
        assert isinstance(unsent, Refused)
        assert not unsent.lost, "the new client's calls are counted too"
    closed = Event()
    monkeypatch.setattr(another, "close", closed.set)
    wire.close()
    assert closed.is_set()


def test_in_a_copy_of_its_process_a_client_that_was_given_makes_connections_of_its_own(
    usual: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with service() as there:
        kinesis = usual(there)
        wire = Wire("stream", kinesis, StreamClock())
        session = kinesis._endpoint.http_session
        assert is_stored(wire.put(call_of_one()))
        before = session._manager
        wire.begin_again()
        assert is_stored(wire.put(call_of_one()))
        renewed = session._manager
        assert (renewed is not before, wire.kinesis is kinesis) == (True, True)
        assert is_stored(wire.put(call_of_one()))
        assert session._manager is renewed
        with monkeypatch.context() as patch:
            patch.setattr(kinesis, "close", lambda: pytest.fail("whoever made it closes it"))
            wire.close()


def test_in_a_copy_of_its_process_credentials_are_renewed_though_a_fork_found_them_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    credentials: Any = RefreshableCredentials("test", "test", "test", later, dict, "test")
    session: Any = get_session()
    session._credentials = credentials
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=session, region_name="eu-west-1"))
    with service() as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        wire = Wire("stream", None, StreamClock())
        credentials._refresh_lock.acquire()
        wire.begin_again()
        assert is_stored(wire.put(call_of_one()))
    assert not credentials._refresh_lock.locked()


@pytest.mark.parametrize("name", ["HTML", "an empty object", "300", "400 with a list", "403 of a proxy", "deep JSON"])
def test_an_answer_that_cannot_be_read_does_not_end_the_look_at_the_stream(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "tidemill"), service(UNREADABLE[name]) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        with Producer("stream", linger=0) as producer:
            producer.send("c", key="k").result(PATIENCE)
    assert "cannot look at the stream" in caplog.text


def test_the_log_says_what_answered_in_the_place_of_kinesis(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    page = UNREADABLE["403 of a proxy"]
    with caplog.at_level(logging.WARNING, "tidemill"), service(page) as there, producer_of(there, monkeypatch) as one:
        one.send("c", key="k").result(PATIENCE)
    assert CODE in caplog.text
    assert "status 403" in caplog.text
    assert "It works!" in caplog.text
    assert "AWS_ENDPOINT_URL" in caplog.text


def test_a_good_answer_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(good) as there, producer_of(there, monkeypatch) as producer:
        assert producer.send("c", key="k").result(PATIENCE).shard == "shardId-000000000000"
        assert len(there.calls) == 1
