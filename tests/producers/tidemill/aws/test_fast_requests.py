"""Calls whose endpoints and requests are kept go where botocore's go, with the same headers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.session import Session

from tidemill.aws import fast_requests
from tidemill.aws.fast_json import BATCHES, use_msgspec_json
from tidemill.aws.fast_requests import use_fast_requests
from tidemill.aws.fast_sns import ENTRIES, use_fast_sns

TABLE, ARN = "entities", "arn:aws:dynamodb:eu-central-1:111122223333:table/entities"
NOT_EQUAL = {"Authorization", "X-Amz-Date", "amz-sdk-invocation-id"}
"""Headers that differ from call to call."""


class Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


class Both:
    """botocore's client, a quick one, and where their calls go."""

    def __init__(
        self, account: str | None = None, service: str = "dynamodb", credentials: Any = None, **config: Any
    ) -> None:
        core = Session()
        core._credentials = credentials or Credentials("key", "secret", account_id=account)  # type: ignore[attr-defined]
        session = boto3.Session(region_name="eu-central-1", botocore_session=core)
        settings = Config(**{"parameter_validation": False, "user_agent": "tidemill", **config})

        def made() -> Any:
            client: Any = session.client(service, config=settings)  # type: ignore[call-overload] # by a name
            return use_fast_sns(client) if service == "sns" else use_msgspec_json(client, BATCHES)

        self.clients = [made(), use_fast_requests(made())]
        self._answer = (
            b"<PublishBatchResponse><PublishBatchResult/></PublishBatchResponse>" if service == "sns" else b"{}"
        )
        self.sent: list[Any] = []
        self.found: list[str] = []
        for client in self.clients:
            client.meta.events.register(f"before-send.{service}", self._send)
        resolver = self.clients[1]._ruleset_resolver
        self._plain, resolver.construct_endpoint = resolver.construct_endpoint, self._find

    def _find(self, **params: Any) -> Any:
        self.found.append(params["operation_model"].name)
        return self._plain(**params)

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        headers = {name: value for name, value in request.headers.items() if name not in NOT_EQUAL}
        scope = request.headers["Authorization"].partition(b",")[0]
        self.sent.append((request.method, request.url, request.body, headers, scope))
        return AWSResponse(request.url, 200, {}, Body(self._answer))  # type: ignore[arg-type] # all that is asked of it

    def call(self, operation: str = "batch_get_item", **params: Any) -> str:
        """The URL of a call of both, which is the same."""
        self.sent.clear()
        for client in self.clients:
            getattr(client, operation)(**params)
        assert self.sent[0] == self.sent[1]
        return str(self.sent[0][1])

    def read(self, table: str = TABLE) -> str:
        return self.call(RequestItems={table: {"Keys": [{"pk": {"S": "k"}}]}})

    def close(self) -> None:
        for client in self.clients:
            client.close()


def test_what_is_equal_is_found_once() -> None:
    both = Both()
    urls = {both.read() for _ in range(3)}
    for value in "ab":
        both.call("batch_execute_statement", Statements=[{"Statement": value}])
        both.call("get_item", TableName=TABLE, Key={"pk": {"S": value}})
    assert urls == {"https://dynamodb.eu-central-1.amazonaws.com/"}
    assert both.found == ["BatchGetItem", "BatchExecuteStatement", "GetItem", "GetItem"]
    both.close()


def test_a_message_goes_to_its_topic() -> None:
    both = Both(service="sns")
    message = {"Id": "0", "Message": "m", "MessageAttributes": {"client": {"DataType": "String", "StringValue": "a"}}}
    topic = "arn:aws:sns:eu-central-1:111122223333:replies"
    urls = {both.call("publish_batch", TopicArn=topic, **{ENTRIES: [message] * count}) for count in (1, 2, 3)}
    both.call("publish_batch", TopicArn=topic, **{ENTRIES: [message | {"Subject": "unusual"}]})
    assert urls == {"https://sns.eu-central-1.amazonaws.com/"}
    assert both.found == ["PublishBatch"] * 2, "an unusual call is botocore's"
    both.close()


def test_the_endpoint_is_that_of_the_tables_account() -> None:
    both = Both(account="444455556666")
    own, other = "444455556666.ddb.eu-central-1.amazonaws.com", "111122223333.ddb.eu-central-1.amazonaws.com"
    for _ in range(2):
        assert own in both.read()
        assert other in both.read(ARN)
    both.close()


def test_the_endpoint_is_that_of_the_present_credentials_account() -> None:
    accounts = iter(["111111111111", "222222222222"])

    def refresh() -> dict[str, str]:
        end = datetime.now(UTC) + timedelta(hours=1)
        of = {"access_key": "key", "secret_key": "secret", "token": "token", "account_id": next(accounts)}
        return of | {"expiry_time": end.isoformat()}

    credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
    both = Both(credentials=credentials)
    assert "111111111111" in both.read()
    credentials._expiry_time = datetime.now(UTC)  # type: ignore[attr-defined]
    assert "222222222222" in both.read()
    both.close()


def test_a_handler_that_decides_the_endpoint_is_asked_each_time() -> None:
    both = Both()
    regions = ["eu-north-1", "sa-east-1"]
    both.read()

    def decide(builtins: dict[str, Any], **_: Any) -> None:
        builtins["AWS::Region"] = regions[0]

    for client in both.clients:
        client.meta.events.register("before-endpoint-resolution.dynamodb", decide)
    assert "eu-north-1" in both.read()
    regions.pop(0)
    assert "sa-east-1" in both.read()
    both.close()


def test_handlers_of_parameters_and_headers_are_asked_each_time() -> None:
    both = Both()
    numbers = iter(range(100))

    def add(params: dict[str, Any], event_name: str, **_: Any) -> None:
        params["headers"]["X-Call"] = str(next(numbers) // 2)

    for client in both.clients:
        client.meta.events.register("before-call.dynamodb", add)
    for call in range(3):
        both.read()
        assert both.sent[1][3]["X-Call"] == str(call).encode()
    both.close()


@pytest.mark.parametrize("setting", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
def test_the_endpoint_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setenv(setting, "http://localhost:8000/a/path")
    both = Both()
    assert {both.read() for _ in range(2)} == {"http://localhost:8000/a/path"}
    both.close()


@pytest.mark.parametrize(
    "config", [{"use_fips_endpoint": True}, {"user_agent_extra": "more"}, {"inject_host_prefix": True}]
)
def test_settings_count(config: dict[str, Any]) -> None:
    both = Both(**config)
    assert both.read() == both.read()
    assert both.found == ["BatchGetItem"]
    both.close()


def test_botocores_own_user_agent_says_how_the_endpoint_was_found() -> None:
    both = Both(account="444455556666", user_agent=None)
    both.read()
    both.read()
    assert both.found == ["BatchGetItem"] * 2
    assert both.sent[1][3]["User-Agent"].startswith(b"Boto3/")
    both.close()


def test_a_botocore_without_its_parts_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_requests, "_PARTS", ("as_it_was",))
    both = Both()
    assert not {"_resolve_endpoint_ruleset", "_convert_to_request_dict"} & set(vars(both.clients[1]))
    both.read()
    both.close()
