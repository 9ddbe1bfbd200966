"""Calls from a page: what a browser asks first, and what it lets the page read."""

from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from tidemill_local.emulator import Emulator
from tidemill_local.patches.cors import of_template, preflight

ASKED = "authorization,content-type,x-amz-date,x-amz-target"
PAGE = "http://127.0.0.1:8080"


def send(emulator: Emulator, method: str, headers: dict[str, str], secret: str = "", path: str = "/") -> Any:
    request = AWSRequest(method, emulator.endpoint_url + path, data=b"{}", headers={**headers, "Origin": PAGE})
    if secret:
        SigV4Auth(Credentials("test", secret), "kinesis", "us-east-1").add_auth(request)
    return URLLib3Session(proxies={}).send(request.prepare())


def call(emulator: Emulator, operation: str, secret: str, kind: str = "application/x-amz-json-1.1") -> Any:
    return send(emulator, "POST", {"Content-Type": kind, "X-Amz-Target": f"Kinesis_20131202.{operation}"}, secret)


def test_a_browser_is_told_each_header_that_it_may_send(emulator: Emulator) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ASKED}
    answer = send(emulator, "OPTIONS", asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Headers"] == ASKED
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_what_is_answered_otherwise_stays_as_it_is() -> None:
    own = (200, {"Access-Control-Allow-Headers": "content-type"}, b"")
    asking = {"access-control-request-headers": ASKED}
    assert preflight(lambda *_: own)("OPTIONS", "/", asking) == own
    assert preflight(lambda *_: None)("POST", "/", asking) is None


@pytest.mark.parametrize(
    ("operation", "secret", "status"),
    [
        ("ListStreams", "test", 200),
        ("ListStreams", "wrong", 400),
        ("DescribeStream", "test", 400),
        ("Nothing", "test", 400),
    ],
)
def test_a_page_may_read_answers_and_refusals(emulator: Emulator, operation: str, secret: str, status: int) -> None:
    answer = call(emulator, operation, secret)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, "*")
    assert answer.headers["Access-Control-Expose-Headers"] == "*"


def test_a_bucket_says_by_itself_which_pages_may_read_it(emulator: Emulator) -> None:
    answer = send(emulator, "GET", {}, path="/no-such-bucket/key")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_an_http_apis_configuration_has_a_templates_names_or_the_apis() -> None:
    told = of_template(lambda configuration, origin: (configuration, origin))
    for name in ("AllowOrigins", "allowOrigins"):
        assert told({name: ["*"]}, PAGE) == ({"allowOrigins": ["*"]}, PAGE)
