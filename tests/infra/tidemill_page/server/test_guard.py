"""What the page's server refuses: other hosts, other origins, and changes without the page's token."""

from __future__ import annotations

import pytest

from tidemill_page.server.guard import Head, refusal

TOKEN = "t" * 43
GET = {"host": ["127.0.0.1:8000"]}
POST = GET | {"x-tidemill-token": [TOKEN], "content-type": ["application/json"]}


def status(method: str, target: str, headers: dict[str, list[str]]) -> int | None:
    refused = refusal(Head(method, target, headers), 8000, TOKEN)
    return refused.status if refused else None


@pytest.mark.parametrize("target", ["/", "/events"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"host": ["localhost:8000"]},
        {"host": ["LOCALHOST:8000"]},
        {"origin": ["http://127.0.0.1:8000"]},
        {"sec-fetch-site": ["none"]},
        {"sec-fetch-site": ["same-origin"]},
        {"host": ["localhost:8000"], "origin": ["http://localhost:8000"]},
    ],
)
def test_our_own_page_gets_its_figures(target: str, more: dict[str, list[str]]) -> None:
    assert status("GET", target, GET | more) is None


def test_our_own_page_may_redrive() -> None:
    own = {"origin": ["http://127.0.0.1:8000"], "sec-fetch-site": ["same-origin"]}
    assert status("POST", "/redrive", POST | own) is None
    assert status("POST", "/redrive", POST | own | {"content-type": ["Application/JSON; charset=utf-8"]}) is None


@pytest.mark.parametrize("target", ["/", "/events", "/redrive", "/nothing"])
@pytest.mark.parametrize(
    "host",
    [
        [],
        ["evil.example"],
        ["evil.example:8000"],
        ["127.0.0.1"],
        ["127.0.0.1:8001"],
        ["127.0.0.1:8000.evil.example"],
        ["localhost:8000@evil.example"],
        ["127.0.0.1:8000", "127.0.0.1:8000"],
        ["[::1]:8000"],
        ["0.0.0.0:8000"],
    ],
)
def test_another_host_is_refused_first(target: str, host: list[str]) -> None:
    assert status("POST" if target == "/redrive" else "GET", target, POST | {"host": host}) == 421


@pytest.mark.parametrize(
    "foreign",
    [
        {"origin": ["http://evil.example"]},
        {"origin": ["null"]},
        {"origin": [""]},
        {"origin": ["https://127.0.0.1:8000"]},
        {"origin": ["http://localhost:8000"]},
        {"origin": ["http://127.0.0.1:8001"]},
        {"origin": ["http://127.0.0.1:8000", "http://evil.example"]},
        {"sec-fetch-site": ["cross-site"]},
        {"sec-fetch-site": ["same-site"]},
        {"sec-fetch-site": ["same-origin", "cross-site"]},
    ],
)
@pytest.mark.parametrize("target", ["/", "/events", "/redrive"])
def test_another_origin_is_refused(target: str, foreign: dict[str, list[str]]) -> None:
    assert status("POST" if target == "/redrive" else "GET", target, POST | foreign) == 403


@pytest.mark.parametrize("token", [[], [""], ["x"], [TOKEN + "t"], [TOKEN, TOKEN], ["\xe9" * 43]])
def test_a_redrive_needs_the_pages_token(token: list[str]) -> None:
    assert status("POST", "/redrive", POST | {"x-tidemill-token": token}) == 403


@pytest.mark.parametrize(
    "kind",
    [
        [],
        ["text/plain"],
        ["application/x-www-form-urlencoded"],
        ["multipart/form-data"],
        ["text/plain;application/json"],
    ],
)
def test_a_redrive_is_no_form(kind: list[str]) -> None:
    assert status("POST", "/redrive", POST | {"content-type": kind}) == 415


def test_nobody_types_a_redrive_into_the_address_bar() -> None:
    assert status("POST", "/redrive", POST | {"sec-fetch-site": ["none"]}) == 403


@pytest.mark.parametrize(
    ("method", "target", "refused"),
    [
        ("GET", "/redrive", 405),
        ("HEAD", "/", 405),
        ("POST", "/", 405),
        ("OPTIONS", "/redrive", 405),
        ("DELETE", "/events", 405),
        ("GET", "/../", 404),
        ("GET", "/?a", 404),
        ("GET", "http://127.0.0.1:8000/", 404),
    ],
)
def test_each_path_has_one_method(method: str, target: str, refused: int) -> None:
    assert status(method, target, POST) == refused
