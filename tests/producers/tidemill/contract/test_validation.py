"""What may be sent: what is accepted reads back as itself, what is refused names field and remedy."""

import re
from datetime import UTC, datetime
from math import inf, nan
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from tests.values import documents
from tidemill.contract.request import MAX_REQUEST_BYTES, RefusedRequest, Request, decode
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill.sending.writer import Writer


def made(**changes: Any) -> Request:
    return Request(**{"id": "1", "cmd": "c", "key": "k", "data": {}} | changes)


def written(**changes: Any) -> bytes:
    """The bytes of the same, by the SDK's shorter way."""
    given: Any = {"writer": "w", "cmd": "c", "key": "k", "data": {}, "client": None, "at": 5} | changes
    return Writer(given.pop("writer"), Random(1)).write(**given, id=None)[1]


def nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels):
        data = {"in": data}
    return data


def within_itself() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["self"] = [data]
    return data


@given(documents)
def test_what_is_accepted_reads_back_as_itself(data: dict[str, Any]) -> None:
    request = made(data=data, client="alice", writer="w", counter=1, at=5)
    assert decode(to_payload(request)) == request


@pytest.mark.parametrize(
    ("changes", "field", "remedy"),
    [
        ({"key": None}, "key", "names the entity"),
        ({"key": ""}, "key", "1 to 256"),
        ({"key": "k" * 257}, "key", "1 to 256"),
        ({"key": 42}, "key", "text"),
        ({"key": b"k"}, "key", "text"),
        ({"key": "\ud800"}, "key", "text"),
        ({"cmd": ""}, "cmd", "1 to 128"),
        ({"cmd": "c" * 129}, "cmd", "1 to 128"),
        ({"cmd": None}, "cmd", "text"),
        ({"id": ""}, "id", "1 to 128"),
        ({"id": "i" * 129}, "id", "1 to 128"),
        ({"id": UUID(int=7)}, "id", "text"),
        ({"client": ""}, "client", "1 to 256"),
        ({"client": "c" * 257}, "client", "1 to 256"),
        ({"client": 7}, "client", "text"),
        ({"writer": ""}, "writer", "1 to 128"),
        ({"writer": "w" * 129}, "writer", "1 to 128"),
        ({"at": "now"}, "at", "whole number"),
        ({"at": 1.5}, "at", "whole number"),
        ({"counter": 1.5}, "counter", "whole number"),
        ({"counter": -1}, "request", "0"),
        ({"tried": "1"}, "tried", "whole number"),
        ({"tried": -1}, "request", "0"),
        ({"depth": "1"}, "depth", "whole number"),
        ({"depth": -1}, "request", "0"),
        ({"data": [1]}, "data", "dict"),
        ({"data": "text"}, "data", "dict"),
        ({"data": {"a": nan}}, "data.a", "null"),
        ({"data": {"a": [1, -inf]}}, "data.a[1]", "null"),
        ({"data": {"a": b"bytes"}}, "data.a", "base64"),
        ({"data": {"a": {"b": datetime(2026, 1, 1, tzinfo=UTC)}}}, "data.a.b", "datetime is not JSON"),
        ({"data": {"a": (1, 2)}}, "data.a", "list"),
        ({"data": {"a": {1}}}, "data.a", "set is not JSON"),
        ({"data": {1: "a"}}, "data", "names"),
        ({"data": {"a": {None: 1}}}, "data.a", "names"),
        ({"data": {"a": "\udfff"}}, "data.a", "surrogate"),
        ({"data": {"\ud800": 1}}, "data", "names"),
        ({"data": {"a": object()}}, "data.a", "object is not JSON"),
        ({"data": {"a": "x" * MAX_REQUEST_BYTES}}, "data", "bucket="),
        ({"data": nested(31)}, "data", "flatter"),
        ({"data": nested(100_000)}, "data", "32 levels"),
        ({"data": within_itself()}, "data", "32 levels"),
    ],
)
def test_what_is_refused_names_field_and_remedy(changes: dict[str, Any], field: str, remedy: str) -> None:
    with pytest.raises(UnsendableRequest) as refused:
        to_payload(made(**changes))
    if changes.keys().isdisjoint(("id", "counter", "tried", "depth")):  # those that the SDK makes itself
        with pytest.raises(UnsendableRequest, match=f"^{re.escape(field)}: .*{re.escape(remedy)}"):
            written(**changes)
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")
    assert remedy in str(refused.value)
    assert isinstance(refused.value, RefusedRequest)


FINE: Any = {"a": [None, True, 0, -1, 1.5, "", "x", [], {}, {"b": None}], "": {"c": [[]]}}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, 2), "tuple is not JSON; use a list"),
        (b"x", "bytes is not JSON; send text, such as base64"),
        (nan, "float is not JSON; JSON has no NaN and no infinity; use null"),
        (-inf, "float is not JSON; JSON has no NaN and no infinity; use null"),
        ("\ud800", "str is not JSON; a lone surrogate is not text"),
        ({1}, "set is not JSON; use what JSON has: text, numbers, booleans, null, lists, dicts"),
    ],
)
def test_the_value_that_is_no_json_is_named_among_those_that_are(value: Any, text: str) -> None:
    assert decode(to_payload(made(data=FINE))).data == FINE
    for data, path in (
        (FINE | {"last": value}, "data.last"),
        ({"d": {"e": [FINE, [value]]}}, "data.d.e[1][0]"),
    ):
        with pytest.raises(UnsendableRequest) as refused:
            to_payload(made(data=data))
        assert (refused.value.field, str(refused.value)) == (path, f"{path}: {text}")


LONGEST = {"id": "i" * 128, "cmd": "c" * 128, "key": "k" * 256, "client": "c" * 256, "writer": "w" * 128}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"id": "i" * 129}, "id: use text of 1 to 128 characters"),
        (LONGEST | {"at": "now"}, "at: use a whole number, not str"),
        ({"data": [1]}, "data: use a dict, not list"),
        ({"data": {1: 1}}, "data: the name 1 is not text; JSON has no other names"),
        ({"counter": -1}, "request: Expected `int` >= 0 - at `$.n`"),
        ({"data": within_itself()}, "data: nested deeper than 32 levels, or within itself"),
        ({"data": nested(31)}, "data: nested deeper than 32 levels; send it flatter"),
        ({"key": None}, "key: give the ordering key, which names the entity"),
    ],
)
def test_what_is_refused_says_what_to_do(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(UnsendableRequest) as refused:
        to_payload(made(**changes))
    assert str(refused.value) == text


def test_the_limits_themselves_are_accepted() -> None:
    to_payload(made(key="k" * 256, cmd="c" * 128, id="i" * 128, client="ю" * 256))
    to_payload(made(data=nested(30)))
    written(key="k" * 256, cmd="c" * 128, client="ю" * 256)
    written(data=nested(30))
    room = MAX_REQUEST_BYTES - len(to_payload(made(data={"a": ""})))
    assert len(to_payload(made(data={"a": "x" * room}))) == MAX_REQUEST_BYTES
    with pytest.raises(UnsendableRequest, match="bucket="):
        to_payload(made(data={"a": "x" * (room + 1)}))
