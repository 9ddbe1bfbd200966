"""The wire against a client in memory: its settings, the look at the stream, and what a call may have stored."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from ssl import SSLCertVerificationError
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore import exceptions as boto
from botocore.validate import ParamValidationDecorator

from tidemill.delivery.put_records import Wire, refusal
from tidemill.errors import REMEDIES, Misconfigured
from tidemill.sending.records import Acknowledged, Call, Refused
from tidemill.sending.scheduler import Scheduler
from tidemill.sending.stream_clock import StreamClock

ARN = "arn:aws:kinesis:eu-west-1:111122223333:stream/requests"
STORED = {"ShardId": "shard-1", "SequenceNumber": "7"}
DENIED = {"ErrorCode": "AccessDeniedException", "ErrorMessage": "no"}


def answered(code: str, operation: str = "PutRecords") -> boto.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "sorry"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return boto.ClientError(answer, operation)


class Client:
    """Answers with what it is given, or raises it, after as many beginnings to send as it is told to make."""

    def __init__(self, answer: Any, sends: int = 1, tells: bool = True) -> None:
        self.answer, self.sends = answer, sends
        self.asked: list[dict[str, Any]] = []
        self.counting: dict[str, Callable[..., None]] = {}
        if tells:
            self.meta = SimpleNamespace(events=self, region_name="eu-west-1")

    def register(self, name: str, handler: Callable[..., None], unique_id: str) -> None:
        assert name == "before-send.kinesis.PutRecords"
        self.counting[unique_id] = handler

    def _answers(self, **asked: Any) -> Any:
        self.asked.append(asked)
        for count in self.counting.values():
            for _ in range(self.sends):
                count(request="the call's")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    put_records = describe_stream_summary = _answers


def wire(client: Any, stream: str = "requests") -> Wire:
    return Wire(stream, client, StreamClock())


def call_of(count: int) -> Call:
    scheduler = Scheduler(Random(1), linger=0, aggregate=False)
    for number in range(count):
        scheduler.buffer(f"key-{number}", b"{}", 0.0)
    call = scheduler.next_call(0.0)
    assert isinstance(call, Call)
    assert call.count == count
    return call


def test_its_own_client_waits_as_long_as_a_call_may_take_and_tries_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    its: Any = Wire(ARN, None, StreamClock()).kinesis
    config = its.meta.config
    assert its.meta.region_name == "eu-west-1", "the stream's"
    assert (config.connect_timeout, config.read_timeout, config.tcp_keepalive) == (5, 20, True)
    assert config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert not isinstance(its._serializer, ParamValidationDecorator), "what is sent has been checked"
    assert config.user_agent.startswith(f"tidemill boto3/{boto3.__version__}")
    its.close()


def test_a_client_of_another_region_than_the_streams_is_refused() -> None:
    elsewhere = ARN.replace("eu-west-1", "us-east-1")
    with pytest.raises(Misconfigured) as told:
        wire(Client({}), elsewhere)
    problem = f"region: {elsewhere} is in us-east-1, and the client asks eu-west-1"
    assert str(told.value) == f"{problem}; make it with region_name='us-east-1'"


@pytest.mark.parametrize(("stream", "where"), [("requests", {"StreamName": "requests"}), (ARN, {"StreamARN": ARN})])
def test_a_stream_is_asked_for_by_its_name_or_its_arn(stream: str, where: dict[str, str]) -> None:
    client = Client({"StreamDescriptionSummary": {}})
    wire(client, stream).check()
    client.answer = {"Records": [STORED]}
    wire(client, stream).put(call_of(1))
    assert client.asked == [where, {"Records": [{"Data": b"{}", "PartitionKey": "key-0"}], **where}]


CREDENTIALS = {
    "ExpiredTokenException": "ExpiredTokenException",
    "InvalidSignatureException": "InvalidSignatureException",
    "MissingAuthenticationTokenException": "NoCredentialsError",
    "UnrecognizedClientException": "UnrecognizedClientException",
}
"""The code of the answer -> whose remedy is told."""

IN_VAIN = [
    *[(answered(code), "credentials", "{}", REMEDIES[its]) for code, its in CREDENTIALS.items()],
    (boto.NoCredentialsError(), "credentials", "{}", REMEDIES["NoCredentialsError"]),
    (
        answered("ResourceNotFoundException"),
        "stream",
        "there is no requests here ({})",
        REMEDIES["ResourceNotFoundException"],
    ),
    (
        {"StreamDescriptionSummary": {"RecordDistributionStrategy": "AUTO"}},
        "stream",
        "requests distributes records as it likes, so no order can be kept",
        "call UpdateStreamRecordDistributionStrategy with USER_PARTITION_KEY",
    ),
]


@pytest.mark.parametrize(("answer", "field", "problem", "remedy"), IN_VAIN)
def test_what_cannot_work_is_told_with_its_remedy(answer: Any, field: str, problem: str, remedy: str) -> None:
    with pytest.raises(Misconfigured) as told:
        wire(Client(answer)).check()
    assert (told.value.field, str(told.value)) == (field, f"{field}: {problem.format(answer)}; {remedy}")


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        ({"StreamDescriptionSummary": {}}, None),
        ({"StreamDescriptionSummary": {"RecordDistributionStrategy": "USER_PARTITION_KEY"}}, None),
        (answered("AccessDeniedException"), logging.DEBUG),
        (answered("InternalFailure"), logging.DEBUG),
        (boto.EndpointConnectionError(endpoint_url="http://nowhere"), logging.WARNING),
        ({}, logging.WARNING),
    ],
)
def test_what_may_pass_or_must_not_be_asked_is_in_the_log_alone(
    answer: Any, level: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "tidemill"):
        wire(Client(answer)).check()
    told = [(one.levelno, one.getMessage()) for one in caplog.records if one.name == "tidemill"]
    assert [level for level, _ in told] == ([] if level is None else [level])
    assert all(message.startswith("cannot look at the stream requests") for _, message in told)


NO = Refused("AccessDeniedException", "no", again=False)
SORRY = Refused("AccessDeniedException", "sorry", again=False)
HOOK = Refused("KeyError", "'hook'", again=False)


@pytest.mark.parametrize(
    ("answer", "tells", "sends", "means"),
    [
        ({"Records": [STORED, DENIED]}, True, 1, [Acknowledged("shard-1", "7"), NO]),
        ({"Records": [STORED, DENIED]}, True, 2, [Acknowledged("shard-1", "7"), NO._replace(lost=True)]),
        ({"Records": [STORED, DENIED]}, False, 2, [Acknowledged("shard-1", "7"), NO]),
        (answered("AccessDeniedException"), True, 1, SORRY),
        (answered("AccessDeniedException"), True, 2, SORRY._replace(lost=True)),
        (KeyError("hook"), True, 0, HOOK),
        (KeyError("hook"), True, 1, HOOK._replace(again=True, lost=True)),
        (KeyError("hook"), False, 0, HOOK._replace(again=True, lost=True)),
    ],
)
def test_what_a_call_may_have_stored_depends_on_how_often_it_left(
    answer: Any, tells: bool, sends: int, means: object
) -> None:
    client = Client(answer, sends, tells)
    its = wire(client)
    for _ in range(2):  # each call is counted for itself
        assert its.put(call_of(2)) == means
    assert [*client.counting] == ["tidemill-sends"] * tells


def caused(error: BaseException, within: str) -> boto.SSLError:
    """An error of TLS that has the other one in it: as an argument, its cause, or what it came amid."""
    its = boto.SSLError(endpoint_url="https://nowhere", error=OSError("handshake"))
    if within == "args":
        its.args = ("handshake", OSError("of it", error))
    else:
        setattr(its, within, error)
    return its


@pytest.mark.parametrize("within", ["args", "__cause__", "__context__"])
def test_a_certificate_that_does_not_hold_is_found_wherever_it_is_told(within: str) -> None:
    unproven, cut = SSLCertVerificationError("expired"), OSError("cut")
    assert refusal(caused(unproven, within), 1).lost is False
    assert refusal(caused(cut, within), 1).lost is True
