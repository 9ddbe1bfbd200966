"""Requests that are made and signed quickly are equal to botocore's, header by header."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore
import pytest
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import NoCredentialsError
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as some

from tidemill.aws.fast_signing import Headers, use_fast_signing

NOW = datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC)
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "FwoGZXIvYXdzE//////////wEaD+token=="
BODY = '{"Statements":[{"Statement":"ключ ü"}]}'.encode()


@pytest.fixture(scope="module")
def moment() -> Iterator[list[datetime]]:
    """The time for botocore's signatures and ours."""
    moment = [NOW]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment[0].replace(tzinfo=None))
        yield moment


def client(moment: list[datetime], url: str | None = None, token: str | None = None, **config: Any) -> Any:
    made = boto3.Session(KEY, SECRET, token, "eu-central-1").client(
        "dynamodb", endpoint_url=url, config=Config(retries={"mode": "standard"}, **config)
    )
    return use_fast_signing(made, lambda: moment[0])


def params(
    url: str = "https://dynamodb.eu-central-1.amazonaws.com/", body: Any = BODY, **headers: str
) -> dict[str, Any]:
    usual = {"X-Amz-Target": "DynamoDB_20120810.BatchExecuteStatement", "Content-Type": "application/x-amz-json-1.0"}
    return {
        "method": "POST",
        "url": url,
        "headers": {**usual, "User-Agent": "tidemill", **headers},
        "body": body,
        "context": {"retries": {"attempt": 1, "invocation-id": "id"}},
    }


def both(of: Any, request: dict[str, Any], operation: str = "BatchExecuteStatement") -> tuple[Any, Any]:
    """The requests that botocore makes and that are made quickly."""
    model, endpoint = of.meta.service_model.operation_model(operation), of._endpoint
    plain = type(endpoint).create_request(endpoint, deepcopy(request), model)
    return plain, endpoint.create_request(deepcopy(request), model)


def assert_equal(requests: tuple[Any, Any]) -> None:
    plain, quick = requests
    assert list(quick.headers.items()) == [(name, plain.headers[name]) for name in quick.headers]
    assert set(quick.headers) == set(plain.headers)
    rest = "method", "url", "body", "stream_output", "context"
    assert [getattr(quick, one) for one in rest] == [getattr(plain, one) for one in rest]


def is_quick(requests: tuple[Any, Any]) -> bool:
    return isinstance(requests[1].headers, Headers)


HOSTS = [
    "dynamodb.eu-central-1.amazonaws.com",
    "localhost:8000",
    "127.0.0.1:443",
    "[::1]:4566",
    "EXAMPLE.com:443",
    "a:80",
]
PATHS = ["/", "/a path/", "/a%20b/../c", "/~x//y/./z", "/ü", "/q?b=2&a=1&a=0&c", "/?x=%2F"]
words = some.text(some.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(
    scheme=some.sampled_from(["http", "https"]),
    host=some.sampled_from(HOSTS),
    path=some.sampled_from(PATHS),
    body=some.binary(min_size=1, max_size=50) | some.just(BODY),
    token=some.none() | some.just(TOKEN),
    headers=some.dictionaries(some.sampled_from(["X-Amzn-Trace-Id", "traceparent", "X-Own", "Expect"]), words),
    region=some.none() | some.just("us-gov-west-1"),
    name=some.none() | some.just("other"),
    at=some.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 # the zone is set below
)
def test_requests_are_equal_to_botocores(
    moment: list[datetime],
    clients: dict[str | None, Any],
    scheme: str,
    host: str,
    path: str,
    body: bytes,
    token: str | None,
    headers: dict[str, str],
    region: str | None,
    name: str | None,
    at: datetime,
) -> None:
    moment[0] = at.replace(tzinfo=UTC)
    request = params(f"{scheme}://{host}{path}", body, **headers)
    signing = {"region": region, "signing_name": name}
    request["context"]["signing"] = {what: value for what, value in signing.items() if value}
    made = both(clients[token], request)
    assert is_quick(made)
    assert_equal(made)


@pytest.fixture(scope="module")
def clients(moment: list[datetime]) -> Iterator[dict[str | None, Any]]:
    made = {token: client(moment, token=token) for token in (None, TOKEN)}
    yield made
    for one in made.values():
        one.close()


@pytest.fixture
def quick(moment: list[datetime]) -> Iterator[Any]:
    moment[0] = NOW
    made = client(moment)
    yield made
    made.close()


def test_the_signature_is_that_of_each_day(moment: list[datetime], quick: Any) -> None:
    for _ in range(3):
        assert_equal(both(quick, params()))
        moment[0] += timedelta(hours=20)


@pytest.mark.parametrize(
    "request_",
    [
        params(body={"Action": "PublishBatch"}),
        params(body=b""),
        params(**{"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}),
        params(Date="Sun, 29 Nov 2026 23:59:59 GMT"),
        params(**{"content-type": "text/plain"}),
        params(**{"X-Own": "ключ"}),
    ],
    ids=str,
)
def test_unusual_requests_are_left_to_botocore(quick: Any, request_: dict[str, Any]) -> None:
    made = both(quick, request_)
    assert not is_quick(made)
    assert_equal(made)


def test_an_unsigned_payload_is_left_to_botocore(quick: Any) -> None:
    request = params()
    request["context"]["payload_signing_enabled"] = False
    made = both(quick, request)
    assert made[1].headers["X-Amz-Content-SHA256"] == made[0].headers["X-Amz-Content-SHA256"] == b"UNSIGNED-PAYLOAD"


def test_an_unsigned_client_signs_nothing(moment: list[datetime]) -> None:
    of = client(moment, signature_version=botocore.UNSIGNED)
    made = both(of, params())
    assert "Authorization" not in made[1].headers
    assert_equal(made)
    of.close()


def test_without_credentials_the_error_is_botocores(moment: list[datetime], monkeypatch: pytest.MonkeyPatch) -> None:
    of = client(moment)
    monkeypatch.setattr(of._request_signer, "_credentials", None)
    with pytest.raises(NoCredentialsError):
        of._endpoint.create_request(params(), of.meta.service_model.operation_model("BatchGetItem"))
    of.close()


def test_refreshed_credentials_sign_the_next_request(moment: list[datetime]) -> None:
    moment[0] = datetime.now(UTC)
    given: list[str] = []

    def refresh() -> dict[str, str]:
        given.append(f"AKID{len(given)}")
        end = moment[0] + timedelta(hours=1)
        return {"access_key": given[-1], "secret_key": SECRET, "token": TOKEN, "expiry_time": end.isoformat()}

    core: Any = Session()
    credentials: Any = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
    core._credentials = credentials
    of: Any = boto3.Session(region_name="eu-central-1", botocore_session=core).client("dynamodb")
    use_fast_signing(of, lambda: moment[0])
    model = of.meta.service_model.operation_model("BatchGetItem")
    for _ in range(3):
        credentials._expiry_time = moment[0]
        request = of._endpoint.create_request(params(), model)
        assert given[-1].encode() in request.headers["Authorization"]
        assert isinstance(request.headers, Headers)
    assert len(given) == 4
    of.close()


Register = Callable[[Any, Callable[..., Any]], None]


def change(request: Any, **_: Any) -> None:
    request.headers["X-Own"] = "added"


HOOKS: dict[str, tuple[Register, Callable[..., Any]]] = {
    "before-sign": (lambda events, hook: events.register("before-sign.dynamodb", hook), change),
    "choose-signer": (
        lambda events, hook: events.register_first("choose-signer.dynamodb", hook),
        lambda **_: botocore.UNSIGNED,
    ),
    "before the signature": (lambda events, hook: events.register_first("request-created.dynamodb", hook), change),
    "of one operation": (
        lambda events, hook: events.register("request-created.dynamodb.BatchExecuteStatement", hook),
        change,
    ),
}


@pytest.mark.parametrize("name", HOOKS)
def test_a_handler_that_has_a_say_in_the_signature_has_it(quick: Any, name: str) -> None:
    assert is_quick(both(quick, params()))
    register, hook = HOOKS[name]
    register(quick.meta.events, hook)
    made = both(quick, params())
    assert not is_quick(made)
    assert_equal(made)
    quick.meta.events.unregister("request-created.dynamodb.BatchExecuteStatement", hook)
    quick.meta.events.unregister("request-created.dynamodb", hook)
    quick.meta.events.unregister("before-sign.dynamodb", hook)
    quick.meta.events.unregister("choose-signer.dynamodb", hook)
    assert is_quick(both(quick, params()))


def test_a_handler_after_the_signature_is_called(quick: Any) -> None:
    seen: list[Any] = []

    def note(request: Any, operation_name: str, event_name: str, **_: Any) -> None:
        seen.append((operation_name, event_name, request.body, request.method, request.url, dict(request.context)))
        request.headers["X-Noted"] = f"{request.headers['content-type']} noted"
        request.headers.add_header("X-Added", "ü")
        del request.headers["not there"]
        assert "authorization" in request.headers
        assert request.headers.get("nothing") is None

    quick.meta.events.register("request-created", note)
    plain, made = both(quick, params())
    assert is_quick((plain, made))
    assert seen[0] == seen[1]
    assert made.headers["x-noted"] == plain.headers["X-Noted"] == b"application/x-amz-json-1.0 noted"
    assert made.headers["X-Added"] == plain.headers["X-Added"] == "ü".encode()
    assert made.headers["Content-Length"] == plain.headers["Content-Length"] == str(len(BODY))


@pytest.mark.parametrize("part", ["_request_signer", "_endpoint"])
def test_a_botocore_without_its_parts_works_as_ever(moment: list[datetime], part: str) -> None:
    of = client(moment)
    endpoint = of._endpoint
    delattr(of, part)
    model = of.meta.service_model.operation_model("BatchGetItem")
    use_fast_signing(of)
    assert b"AWS4-HMAC-SHA256" in endpoint.create_request(params(), model).headers["Authorization"]
    endpoint.close()


def test_handlers_that_cannot_be_listed_are_left_to_botocore(quick: Any) -> None:
    del quick._endpoint.create_request
    events = quick.meta.events._emitter

    class Other:
        _emitter = events

        def __getattr__(self, name: str) -> Any:
            if name in ("_lookup_cache", "_handlers"):
                raise AttributeError(name)
            return getattr(events, name)

    quick.meta.events._emitter = Other()
    of = use_fast_signing(quick)
    assert not is_quick(both(of, params()))


def test_headers_tell_names_apart_regardless_of_case() -> None:
    headers = Headers({"Content-Type": "a"})
    headers["content-type"] = "b"
    assert list(headers) == ["Content-Type"]
    assert headers.items() == [("Content-Type", "b")]
    assert (headers["CONTENT-TYPE"], headers.get("x", 7), "content-TYPE" in headers, len(headers)) == ("b", 7, True, 1)
    other = headers.copy()
    other["New"] = "c"
    assert dict(headers) == {"Content-Type": "b"}
    assert dict(other) == {"Content-Type": "b", "New": "c"}
