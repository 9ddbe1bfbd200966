"""Calls that are made quickly against botocore's: the same attempts, waits, events, answers and errors."""

import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import current_thread
from typing import Any, TypeAlias
from zlib import crc32

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from tidemill.aws import fast_calls
from tidemill.aws.fast_calls import use_fast_calls
from tidemill.aws.fast_json import BATCHES, use_msgspec_json
from tidemill.aws.fast_sns import ENTRIES, use_fast_sns
from tidemill_local.clients import EmulatorSession
from tidemill_local.emulator import Emulator

NOW = datetime(2026, 11, 29, 12, 0, 0, tzinfo=UTC)
SESSION = boto3.Session("key", "secret", "token", "us-east-1")
TOPIC = "arn:aws:sns:us-east-1:000000000000:replies"

Outcome: TypeAlias = tuple[int, bytes, dict[str, str]] | Exception
"""What comes of an attempt: a response, or an error."""


class Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


def error_as_text(value: Any) -> Any:
    return repr(value) if isinstance(value, Exception) else value


class Seen:
    """A client, and what happens in its calls."""

    def __init__(self, client: Any, outcomes: list[Outcome]) -> None:
        self.client, self._left = client, iter(outcomes)
        self.requests: list[tuple[str, bytes, dict[str, Any]]] = []
        self.events: list[tuple[str, Any]] = []
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-send.{service}", self._send)
        for name in ("provide-client-params", "request-created", "response-received", "after-call", "after-call-error"):
            client.meta.events.register(f"{name}.{service}", self._note)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        self.requests.append((request.url, request.body, dict(request.headers.items())))
        outcome = next(self._left)
        if isinstance(outcome, Exception):
            raise outcome
        status, body, headers = outcome
        return AWSResponse(request.url, status, headers, Body(body))  # type: ignore[arg-type] # all that is asked of it

    def _note(self, event_name: str, **told: Any) -> None:
        http = told.get("http_response")
        wanted = "response_dict", "parsed_response", "parsed", "exception"
        self.events.append(
            (
                event_name,
                [error_as_text(told.get(name)) for name in wanted] + [http and (http.status_code, http.content)],
            )
        )

    def call(self, operation: str, params: dict[str, Any]) -> Any:
        """What the caller gets."""
        try:
            return getattr(self.client, operation)(**params)
        except Exception as error:
            return type(error), str(error), getattr(error, "response", None)


READ = ("batch_get_item", {"RequestItems": {"t": {"Keys": [{"pk": {"S": "ключ"}}], "ConsistentRead": True}}})
WRITE = ("batch_execute_statement", {"Statements": [{"Statement": "…", "Parameters": [{"S": "ü"}]}]})
_MESSAGE = {"Id": "0", "Message": "ü", "MessageAttributes": {"client": {"DataType": "String", "StringValue": "ann"}}}
PUBLISH = ("publish_batch", {"TopicArn": TOPIC, ENTRIES: [_MESSAGE]})

FOUND = b'{"Responses":{"t":[{"pk":{"S":"k"},"v":{"N":"1"}}]},"UnprocessedKeys":{}}'
SAVED = b'{"Responses":[{"TableName":"t"}]}'
SENT = (
    b'<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Failed/><Successful>'
    b"<member><MessageId>567910cd-659e-55d4</MessageId><Id>0</Id></member></Successful></PublishBatchResult>"
    b"<ResponseMetadata><RequestId>d74b8436-ae13</RequestId></ResponseMetadata></PublishBatchResponse>"
)
CALLS = [(READ, FOUND), (WRITE, SAVED), (PUBLISH, SENT)]
NAMES = [call[0] for call, _ in CALLS]


def good(body: bytes, **headers: str) -> Outcome:
    more = {"x-amz-crc32": str(crc32(body)), "x-amzn-RequestId": "R1", "Content-Length": str(len(body)), **headers}
    return 200, body, more


def bad(status: int, code: str) -> Outcome:
    return status, b'{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"because"}' % code.encode(), {}


def bad_sns(status: int, code: str) -> Outcome:
    error = b"<Error><Type>Sender</Type><Code>%s</Code><Message>no</Message></Error>" % code.encode()
    return status, b"<ErrorResponse>%s<RequestId>1</RequestId></ErrorResponse>" % error, {}


RESET = ConnectionClosedError(endpoint_url="https://here")
SLOW = ReadTimeoutError(endpoint_url="https://here")
LAST: dict[str, list[Outcome]] = {
    "at once": [],
    "throttled": [bad(400, "ProvisionedThroughputExceededException")],
    "too many calls": [bad(400, "ThrottlingException"), bad_sns(400, "Throttling")],
    "internal error": [bad(500, "InternalServerError")],
    "no answer at all": [(503, b"", {})],
    "a proxy's page": [(502, b"<html><body>Bad Gateway</body></html>", {})],
    "reset": [RESET],
    "slow": [SLOW],
    "any error": [ValueError("odd")],
    "wrong checksum": [(200, FOUND, {"x-amz-crc32": "1"})],
    "no checksum at all": [(200, FOUND, {"x-amz-crc32": "x"})],
    "damaged": [(200, FOUND[:9], {"x-amz-crc32": "1"})],
    "damaged, unseen": [(200, FOUND[:9], {})],
    "nothing": [(200, b"", {})],
    "a value in a set": [good(b'{"Responses":{"t":[{"pk":{"BS":["/w=="]}}]}}')],
    "nulls": [good(b'{"Responses":null}')],
    "expired": [bad(400, "ExpiredTokenException")],
    "expired, of SNS": [bad_sns(403, "ExpiredToken")],
    "denied": [bad(400, "AccessDeniedException")],
    "conflict": [bad(400, "ConditionalCheckFailedException")],
    "moved": [(301, b"", {"location": "https://there"})],
    "created": [(201, FOUND, {})],
    "for long": [bad(400, "ThrottlingException")] * 2,
    "for too long": [bad(400, "ThrottlingException"), RESET, bad(500, "InternalServerError")],
}


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which take no time. Other threads of the process sleep as ever."""
    waits: list[float] = []
    here, sleep = current_thread(), time.sleep

    def wait(seconds: float) -> None:
        if current_thread() is here:
            waits.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr("botocore.endpoint.time.sleep", wait)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None))
    monkeypatch.setattr("botocore.endpoint.uuid.uuid4", lambda: "an id")
    monkeypatch.setattr(fast_calls, "uuid4", lambda: "an id")
    return waits


def pair(operation: str, outcomes: list[Outcome], **config: Any) -> tuple[Seen, Seen]:
    """A client of botocore's attempts, and one of ours."""
    settings = {"retries": {"mode": "standard"}, "user_agent": "tidemill"} | config

    def made() -> Any:
        all_settings = Config(parameter_validation=False, **settings)
        if operation == "publish_batch":
            return use_fast_sns(SESSION.client("sns", config=all_settings))
        return use_msgspec_json(SESSION.client("dynamodb", config=all_settings), BATCHES)

    return Seen(made(), outcomes), Seen(use_fast_calls(made(), lambda: NOW), outcomes)


def is_quick(client: Any) -> bool:
    """Whether its next call would begin here."""
    calls = client._endpoint._send_request.__self__
    assert isinstance(calls, fast_calls._Calls)
    operation = "PublishBatch" if client.meta.service_model.service_name == "sns" else "BatchGetItem"
    return calls._read_of(operation) is not None


def attempts(seen: Seen) -> list[Any]:
    """Its events, but for the making of a request, of which a first attempt may have two."""
    return [event for event in seen.events if "request-created" not in event[0]]


def assert_equal(
    usual: Seen, quick: Seen, waits: list[float], call: tuple[str, dict[str, Any]], times: int = 1
) -> None:
    for _ in range(times):
        given = repr(call[1])
        waits.clear()
        random.seed(7)
        expected = usual.call(*call)
        waited = waits[:]
        waits.clear()
        random.seed(7)
        assert quick.call(*call) == expected
        assert waits == waited
        assert quick.requests == usual.requests
        assert attempts(quick) == attempts(usual)
        assert repr(call[1]) == given
    usual.client.close()
    quick.client.close()


@pytest.mark.parametrize("mode", ["standard", "adaptive", "legacy"])
@pytest.mark.parametrize("name", LAST)
@pytest.mark.parametrize(("call", "last"), CALLS, ids=NAMES)
def test_whatever_comes_of_an_attempt_comes_of_it_with_botocore(
    waits: list[float], call: tuple[str, dict[str, Any]], last: bytes, name: str, mode: str
) -> None:
    outcomes = [*LAST[name], good(last), good(last)]
    usual, quick = pair(call[0], outcomes, retries={"mode": mode, "total_max_attempts": 3})
    assert is_quick(quick.client) == (mode == "standard")
    assert_equal(usual, quick, waits, call)


@pytest.mark.parametrize("first", [good(FOUND), RESET, bad(500, "InternalServerError")], ids=repr)
def test_a_client_that_never_tries_again_does_not(waits: list[float], first: Outcome) -> None:
    usual, quick = pair(READ[0], [first, good(FOUND)], retries={"mode": "standard", "total_max_attempts": 1})
    assert_equal(usual, quick, waits, READ)
    assert len(quick.requests) == 1


def test_the_quota_of_retries_is_spent_and_filled_as_ever(waits: list[float]) -> None:
    outcomes: list[Outcome] = [bad(500, "InternalServerError")] * 300 + [good(FOUND)] * 20 + [RESET, good(FOUND)] * 10
    usual, quick = pair(READ[0], outcomes)
    assert_equal(usual, quick, waits, READ, times=215)


def test_attempts_say_which_they_are(waits: list[float]) -> None:
    _, quick = pair(READ[0], [bad(500, "InternalServerError"), good(FOUND, Date="Sun, 29 Nov 2026 12:00:00 GMT")])
    quick.call(*READ)
    first, second = (headers for _, _, headers in quick.requests)
    assert [one["amz-sdk-invocation-id"] for one in (first, second)] == [b"an id"] * 2
    assert [re.search(rb"attempt=\d", one["amz-sdk-request"])[0] for one in (first, second)] == [  # type: ignore[index]
        b"attempt=1",
        b"attempt=2",
    ]
    quick.client.close()


def test_no_attempt_is_made_twice_or_unseen_by_handlers(waits: list[float]) -> None:
    _, quick = pair(WRITE[0], [RESET, bad(400, "ThrottlingException"), good(SAVED)])
    answer = quick.call(*WRITE)
    assert len(quick.requests) == 3
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert sum(name.startswith("response-received") for name, _ in quick.events) == 3
    assert sum(name.startswith("after-call.") for name, _ in quick.events) == 1
    quick.client.close()


@pytest.mark.parametrize(
    ("event", "is_quick_still"), [("before-parse", False), ("needs-retry", False), ("after-call", True)]
)
def test_a_handler_that_judges_answers_is_asked(waits: list[float], event: str, is_quick_still: bool) -> None:
    usual, quick = pair(READ[0], [good(FOUND)] * 4)
    assert is_quick(quick.client)
    asked: list[str] = []
    for seen in (usual, quick):
        seen.call(*READ)
        seen.client.meta.events.register(f"{event}.dynamodb", lambda event_name, **_: asked.append(event_name))
    assert is_quick(quick.client) == is_quick_still
    assert_equal(usual, quick, waits, READ)
    assert len(asked) == 2


def test_a_debug_log_is_whole(waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    _, quick = pair(READ[0], [good(FOUND)])
    with caplog.at_level(logging.DEBUG, "botocore"):
        quick.call(*READ)
    assert any("Sending http request" in record.getMessage() for record in caplog.records)
    quick.client.close()


@pytest.mark.parametrize("seam", ["BaseClient._make_api_call", "Endpoint.make_request"])
def test_tracing_tools_see_each_call_where_they_patch_botocore(
    waits: list[float], monkeypatch: pytest.MonkeyPatch, seam: str
) -> None:
    """As X-Ray and OpenTelemetry do at the first seam, and New Relic at the second."""
    owner = BaseClient if seam.startswith("BaseClient") else type(pair(READ[0], [])[0].client._endpoint)
    _, quick = pair(READ[0], [good(FOUND)])
    name = seam.partition(".")[2]
    real: Callable[..., Any] = getattr(owner, name)
    traced: list[str] = []

    def trace(*args: Any, **kwargs: Any) -> Any:
        traced.append(name)
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, trace)
    quick.call(*READ)
    assert traced == [name]
    quick.client.close()


@pytest.mark.parametrize("part", ["_send", "create_request", "_send_request", "_event_emitter"])
def test_a_botocore_without_its_parts_is_left_alone(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    usual, _ = pair(READ[0], [])
    monkeypatch.setattr(fast_calls, "_PARTS", (part + "_as_it_was",))
    use_fast_calls(usual.client)
    assert "_send_request" not in vars(usual.client._endpoint)
    usual.client.close()


def test_calls_go_over_a_real_connection(emulator: Emulator, session: EmulatorSession, table: str) -> None:
    quick = use_fast_calls(
        use_msgspec_json(
            session.client("dynamodb", config=Config(user_agent="tidemill", parameter_validation=False)), BATCHES
        )
    )
    assert is_quick(quick)
    statement = {
        "Statement": f"INSERT INTO \"{table}\" VALUE {{'pk': ?, 'v': ?}}",
        "Parameters": [{"S": "ключ"}, {"N": "1"}],
    }
    assert "Error" not in quick.batch_execute_statement(Statements=[statement])["Responses"][0]
    assert quick.batch_execute_statement(Statements=[statement])["Responses"][0]["Error"]["Code"] == "DuplicateItem"
    found = quick.batch_get_item(RequestItems={table: {"Keys": [{"pk": {"S": "ключ"}}], "ConsistentRead": True}})
    assert found["Responses"][table] == [{"pk": {"S": "ключ"}, "v": {"N": "1"}}]
    with pytest.raises(quick.exceptions.ResourceNotFoundException):
        quick.batch_get_item(RequestItems={"nowhere": {"Keys": [{"pk": {"S": "k"}}]}})
    quick.close()
    assert emulator
