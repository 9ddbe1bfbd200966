"""What may be sent: what is accepted reads back as itself, what is refused names field and remedy."""

from datetime import UTC, datetime
from math import inf, nan
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.request import MAX_REQUEST_BYTES, RefusedRequest, Request, decode, may_be_deep
from tidemill.sendable import Ids, UnsendableRequest, quick_payload, to_payload, uuid7

texts = st.text(max_size=20)
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


def made(**changes: Any) -> Request:
    return Request(**{"id": "1", "cmd": "c", "key": "k", "data": {}} | changes)


def nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels):
        data = {"in": data}
    return data


def within_itself() -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["self"] = [data]
    return data


@given(st.dictionaries(texts, values, max_size=5))
def test_what_is_accepted_reads_back_as_itself(data: dict[str, Any]) -> None:
    request = made(data=data, client="alice", writer="w", counter=1, at=5)
    assert decode(to_payload(request)) == request


def filled(**changes: Any) -> tuple[bytes | None, Request]:
    """What `quick_payload` makes of a request, and the request."""
    request = made(**{"id": uuid7(1, 1), "client": None, "writer": "w", "counter": 1, "at": 5} | changes)
    given: Any = {
        name: getattr(request, name) for name in ("writer", "cmd", "key", "data", "client", "id", "counter", "at")
    }
    return quick_payload(**given), request


names = st.text(min_size=1, max_size=20) | st.sampled_from(["?", '"?"', "??", '"', "7,", "\\", "\n", "\N{WATER WAVE}"])


@given(names, names, names, st.none() | names, st.integers(0, 2**63 - 1), st.dictionaries(texts, values, max_size=5))
def test_the_quick_way_makes_the_same_bytes(
    cmd: str, key: str, writer: str, client: str | None, number: int, data: dict[str, Any]
) -> None:
    payload, request = filled(cmd=cmd, key=key, writer=writer, client=client, counter=number, at=number, data=data)
    same = to_payload(request)
    assert payload == (None if may_be_deep(data, same) else same), "what has many brackets is looked at"


def test_the_quick_way_leaves_what_is_large_or_deep_to_be_looked_at() -> None:
    for data in ({"a": "x" * MAX_REQUEST_BYTES}, nested(31)):
        assert filled(data=data)[0] is None


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
        ({"id": ""}, "id", "1 to 128"),
        ({"id": UUID(int=7)}, "id", "text"),
        ({"client": ""}, "client", "1 to 256"),
        ({"client": 7}, "client", "text"),
        ({"writer": "w" * 129}, "writer", "1 to 128"),
        ({"at": "now"}, "at", "whole number"),
        ({"at": 1.5}, "at", "whole number"),
        ({"counter": -1}, "request", "0"),
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
        ({"data": {"a": "x" * MAX_REQUEST_BYTES}}, "data", "S3"),
        ({"data": nested(31)}, "data", "flatter"),
        ({"data": nested(100_000)}, "data", "32 levels"),
        ({"data": within_itself()}, "data", "32 levels"),
    ],
)
def test_what_is_refused_names_field_and_remedy(changes: dict[str, Any], field: str, remedy: str) -> None:
    if "id" not in changes:  # these are the SDK's own
        assert filled(**changes)[0] is None
    with pytest.raises(UnsendableRequest) as refused:
        to_payload(made(**changes))
    assert refused.value.field == field
    assert str(refused.value).startswith(f"{field}: ")
    assert remedy in str(refused.value)
    assert isinstance(refused.value, RefusedRequest)


def test_the_limits_themselves_are_accepted() -> None:
    to_payload(made(key="k" * 256, cmd="c" * 128, id="i" * 128, client="ю" * 256))
    to_payload(made(data=nested(30)))
    room = MAX_REQUEST_BYTES - len(to_payload(made(data={"a": ""})))
    assert len(to_payload(made(data={"a": "x" * room}))) == MAX_REQUEST_BYTES
    with pytest.raises(UnsendableRequest, match="S3"):
        to_payload(made(data={"a": "x" * (room + 1)}))


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_a_uuid7_is_one(at: int, bits: int) -> None:
    text = uuid7(at, bits)
    found = UUID(text)
    assert str(found) == text
    assert found.version == 7
    assert found.variant == "specified in RFC 4122"
    assert found.int >> 80 == at


@given(st.lists(st.integers(0, 2**74 - 1), min_size=2, max_size=2, unique=True))
def test_uuids_of_other_bits_are_others(bits: list[int]) -> None:
    assert uuid7(1, bits[0]) != uuid7(1, bits[1])


def test_uuids_of_later_times_are_greater() -> None:
    ids = [uuid7(at, 2**74 - 1 - at) for at in (0, 1, 2**40, 2**48 - 1)]
    assert ids == sorted(ids)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 2**48 - 1), min_size=1, max_size=4))
def test_ids_are_uuid7s_and_rise_within_a_millisecond(seed: int, times: list[int]) -> None:
    ids = Ids(Random(seed))
    made = [[ids.next(at) for _ in range(3)] for at in times]
    for at, some in zip(times, made, strict=True):
        for one in some:
            found = UUID(one)
            assert (str(found), found.version, found.variant) == (one, 7, "specified in RFC 4122")
            assert found.int >> 80 == at
        assert some == sorted(set(some))


def test_ids_of_two_makers_differ() -> None:
    one, other = Ids(Random(1)), Ids(Random(2))
    assert not {one.next(5) for _ in range(1000)} & {other.next(5) for _ in range(1000)}


def test_an_id_of_no_time_is_refused() -> None:
    clock: Any = "now"
    with pytest.raises(UnsendableRequest, match="at: use a whole number, not str"):
        Ids(Random(1)).next(clock)
