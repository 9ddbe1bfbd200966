"""The contract: round trips, and everything that has to be refused."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.values import documents, texts, values
from tidemill.contract.request import (
    MAX_DEPTH,
    MAX_KEY_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_REQUEST_BYTES,
    REDRIVE,
    RefusedRequest,
    Reply,
    ReplyMessage,
    Request,
    decode,
    decode_fast,
    decode_json,
    decode_replies,
    encode,
)

names = st.text(min_size=1, max_size=128)
keys = st.text(min_size=1, max_size=256)
requests = st.builds(
    Request,
    id=names,
    cmd=names,
    key=st.none() | keys,
    client=st.none() | keys,
    writer=st.none() | names,
    counter=st.none() | st.integers(0, 2**63 - 1),
    at=st.none() | st.integers(-(2**63), 2**63 - 1),
    tried=st.none() | st.integers(0, 2**63 - 1),
    data=documents,
)
replies = st.builds(
    Reply,
    id=texts,
    status=st.sampled_from(["accepted", "rejected", "quarantined"]),
    data=values,
    error=st.none() | texts,
)


def wire(**changes: Any) -> bytes:
    return json.dumps({"v": 1, "id": "1", "cmd": "c", "data": {}} | changes).encode()


def without(name: str) -> bytes:
    fields = json.loads(wire())
    del fields[name]
    return json.dumps(fields).encode()


def nested(levels: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    """A request of `levels` levels, itself and its data included."""
    inner = opening * (levels - 2) + "1" + closing * (levels - 2)
    return b'{"v":1,"id":"1","cmd":"c","data":{"a":%s}}' % inner.encode()


@given(requests)
def test_a_request_reads_back_as_itself(request_: Request) -> None:
    assert decode(encode(request_)) == request_


@given(requests)
def test_it_is_json_to_everybody(request_: Request) -> None:
    fields = json.loads(encode(request_))
    assert fields["v"] == 1
    assert fields["data"] == request_.data
    assert fields.get("key") == request_.key
    assert fields.get("w") == request_.writer
    assert fields.get("n") == request_.counter


@given(requests, st.integers(1, 8))
def test_the_form_of_the_json_does_not_matter(request_: Request, indent: int) -> None:
    spread = json.dumps(json.loads(encode(request_)), indent=indent, sort_keys=True)
    assert decode(spread.encode()) == request_


def test_what_is_not_given_is_not_written() -> None:
    assert encode(Request(id="1", cmd="c", data={})) == b'{"v":1,"id":"1","cmd":"c","data":{}}'


def test_the_whole_of_it() -> None:
    payload = (
        b'{"v":1,"id":"1","cmd":"content.view","key":"content/42","client":"alice",'
        b'"w":"writer","n":17,"at":1764000000123,"data":{"from":"home"}}'
    )
    request = decode(payload)
    assert request == Request(
        id="1",
        cmd="content.view",
        key="content/42",
        client="alice",
        writer="writer",
        counter=17,
        at=1764000000123,
        data={"from": "home"},
    )
    assert encode(request) == payload


@given(st.dictionaries(st.text(max_size=10).map("x-".__add__), values, max_size=3))
def test_unknown_fields_are_skipped(unknown: dict[str, Any]) -> None:
    assert decode(wire(**unknown)) == Request(id="1", cmd="c", data={})


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(b"hello", "malformed", id="text"),
        pytest.param(gzip.compress(wire()), "compressed with gzip", id="gzip"),
        pytest.param(b'{"id":', "truncated", id="cut off"),
        pytest.param(wire() + b"{}", "trailing", id="two values"),
        pytest.param(b"\xff\xfe{", "malformed", id="other bytes"),
        pytest.param(b"[]", "object", id="array"),
        pytest.param(b'"text"', "object", id="string"),
        pytest.param(b"null", "object", id="null"),
        pytest.param(without("id"), "`id`", id="no id"),
        pytest.param(without("cmd"), "`cmd`", id="no cmd"),
        pytest.param(without("data"), "`data`", id="no data"),
        pytest.param(wire(v=2), "2", id="version 2"),
        pytest.param(wire(v="1"), "v", id="version as text"),
        pytest.param(wire(id=7), "id", id="id as number"),
        pytest.param(wire(id=""), "id", id="empty id"),
        pytest.param(wire(id="i" * 129), "id", id="long id"),
        pytest.param(wire(cmd=""), "cmd", id="empty cmd"),
        pytest.param(wire(cmd="c" * 129), "cmd", id="long cmd"),
        pytest.param(wire(key=""), "key", id="empty key"),
        pytest.param(wire(key="k" * 257), "key", id="long key"),
        pytest.param(wire(key=5), "key", id="key as number"),
        pytest.param(wire(client=""), "client", id="empty client"),
        pytest.param(wire(client="c" * 257), "client", id="long client"),
        pytest.param(wire(w=""), "w", id="empty writer"),
        pytest.param(wire(w="w" * 129), "w", id="long writer"),
        pytest.param(wire(n=-1), "n", id="negative counter"),
        pytest.param(wire(n=2**63), "n", id="counter of 64 bits"),
        pytest.param(wire(n=1.5), "n", id="broken counter"),
        pytest.param(wire(n=True), "n", id="counter as boolean"),
        pytest.param(wire(tried=-1), "tried", id="negative time of a first attempt"),
        pytest.param(wire(tried=2**63), "tried", id="time of a first attempt of 64 bits"),
        pytest.param(wire(tried="1"), "tried", id="time of a first attempt as text"),
        pytest.param(wire(at="now"), "at", id="time as text"),
        pytest.param(wire(data=[]), "data", id="data as array"),
        pytest.param(wire(data=None), "data", id="data as null"),
        pytest.param(wire(data={"a": float("nan")}), "malformed", id="NaN"),
        pytest.param(wire(data={"a": float("inf")}), "malformed", id="Infinity"),
        pytest.param(b'{"v":1,"id":"1","cmd":"c","data":{"a":1e999}}', "range", id="number out of range"),
        pytest.param(b'{"v":1,"id":"1","cmd":"c","data":{"a":"\xff"}}', "UTF-8", id="not UTF-8"),
        pytest.param(b'{"v":1,"id":"1","cmd":"c","data":{"a":"\\ud800"}}', "truncated", id="lone surrogate"),
        pytest.param(b'{"v":1,"id":"1","cmd":"c","data":{"a":1,"a":1}}', "twice", id="duplicate in data"),
        pytest.param(b'{"v":1,"id":"1","id":"2","cmd":"c","data":{}}', "twice", id="duplicate id"),
        pytest.param(b'{"v":1,"id":"1","cmd":"c","data":{},"x":{"y":1,"y":2}}', "twice", id="in the unknown"),
        pytest.param(nested(MAX_DEPTH + 1), "deeper", id="objects too deep"),
        pytest.param(nested(MAX_DEPTH + 1, "[", "]"), "deeper", id="arrays too deep"),
        pytest.param(nested(5_000), "deeper", id="far too deep"),
        pytest.param(nested(100_000, "[", "]"), "deeper", id="deep enough to exhaust a stack"),
        pytest.param(wire(data={"a": "x" * MAX_REQUEST_BYTES}), "bytes", id="too large"),
    ],
)
def test_is_refused(payload: bytes, why: str) -> None:
    with pytest.raises(RefusedRequest, match=why):
        decode(payload)


def test_the_limits_themselves_are_allowed() -> None:
    assert decode(nested(MAX_DEPTH)).id == "1"
    assert decode(nested(MAX_DEPTH, "[", "]")).id == "1"
    full = wire(data={"a": "x" * (MAX_REQUEST_BYTES - len(wire(data={"a": ""})))})
    assert len(full) == MAX_REQUEST_BYTES
    assert decode(full).id == "1"
    longest = {"id": "i" * 128, "cmd": "c" * 128, "key": "🗝" * 256, "client": "ю" * 256, "w": "w" * 128}
    widest = decode(wire(**longest, n=2**63 - 1))
    assert widest.counter == 2**63 - 1


def test_brackets_inside_text_are_not_depth() -> None:
    assert decode(wire(data={"a": "[{" * 100})).data == {"a": "[{" * 100}


def levels_of(data: int, kind: type) -> Any:
    """Data of so many levels, its own and those of its parts included."""
    value: Any = 1
    for _ in range(data - 1):
        value = {"a": value} if kind is dict else [value]
    return {"a": value}


@pytest.mark.parametrize("kind", [dict, list])
@pytest.mark.parametrize("beside", [{}, {"b": [[]] * 100}, {"b": [{"c": []}] * 100, "d": "[{" * 100}])
def test_the_depth_counts_and_not_how_many_brackets_there_are(kind: type, beside: dict[str, Any]) -> None:
    """As the SDK encodes it, so that no difference of form makes the slow look happen."""
    deepest = encode(Request(id="1", cmd="c", data=beside | levels_of(MAX_DEPTH - 1, kind)))
    assert decode(deepest).id == "1"
    if not beside:
        assert decode_fast([deepest] * 3) == [decode(deepest)] * 3
    deeper = encode(Request(id="1", cmd="c", data=beside | levels_of(MAX_DEPTH, kind)))
    with pytest.raises(RefusedRequest, match=f"nested deeper than {MAX_DEPTH} levels"):
        decode(deeper)
    assert decode_fast([deeper]) is None
    assert decode_fast([deepest, deeper, deepest]) is None


@pytest.mark.parametrize("innermost", [1, [], {}])
def test_the_innermost_value_counts_as_a_level_if_others_could_be_in_it(innermost: Any) -> None:
    value = innermost
    for _ in range(MAX_DEPTH - 2 - (innermost != 1)):
        value = [value]
    payload = encode(Request(id="1", cmd="c", data={"a": value}))
    assert decode(payload).id == "1"
    deeper = encode(Request(id="1", cmd="c", data={"a": [value]}))
    for read in (decode, decode_json):
        with pytest.raises(RefusedRequest, match=r"^nested deeper than 32 levels$"):
            read(deeper)


def test_a_deep_request_is_found_among_flat_ones_however_many_those_are() -> None:
    flat = encode(Request(id="1", cmd="c", data={}))
    deep = encode(Request(id="1", cmd="c", data=levels_of(MAX_DEPTH, dict)))
    for others in range(2 * MAX_DEPTH):
        assert decode_fast([deep, *[flat] * others]) is None


def test_a_flat_request_beside_an_empty_list_is_read_with_others() -> None:
    many = [Request(id="1", cmd="c", data={"a": []}), Request(id="2", cmd="c", data={"a": {"b": 1}})]
    assert decode_fast([encode(one) for one in many]) == many


@pytest.mark.parametrize("at", [2**62, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
def test_a_clocks_time_of_any_64_bits_is_kept(at: int) -> None:
    request = Request(id="1", cmd="c", at=at, data={})
    assert decode(encode(request)).at == at


def test_one_byte_too_many_is_refused_together_as_alone() -> None:
    spare = MAX_REQUEST_BYTES - len(encode(Request(id="1", cmd="c", data={"a": ""})))
    full, over = (encode(Request(id="1", cmd="c", data={"a": "x" * size})) for size in (spare, spare + 1))
    assert (len(full), decode_fast([full])) == (MAX_REQUEST_BYTES, [decode(full)])
    assert decode_fast([full, full]) == [decode(full)] * 2
    assert decode_fast([over]) is None
    with pytest.raises(RefusedRequest, match=f"^{MAX_REQUEST_BYTES + 1} bytes; a request may have "):
        decode(over)


def damaged(payload: bytes, at: int, byte: int) -> bytes:
    """With one byte changed: most are refused, and some are other requests."""
    at %= len(payload)
    return payload[:at] + bytes([byte]) + payload[at + 1 :]


@given(st.binary(max_size=100) | st.builds(damaged, requests.map(encode), st.integers(0, 500), st.integers(32, 126)))
@example(damaged(wire(), wire().index(b"1"), ord("1")))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    try:
        request = decode(payload)
    except RefusedRequest:
        return
    assert decode(encode(request)) == request


@given(values)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert decode_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "payload", [b"", b"NaN", b"-Infinity", b"1e999", b'{"a":1,"a":2}', b'"\\ud800"', b"\xff", b"[" * 100_000]
)
def test_other_json_is_refused(payload: bytes) -> None:
    with pytest.raises(RefusedRequest):
        decode_json(payload)


@given(st.builds(ReplyMessage, client=texts, replies=st.lists(replies, max_size=5).map(tuple)))
def test_receipts_read_back_as_themselves(receipts: ReplyMessage) -> None:
    payload = encode(receipts)
    assert decode_replies(payload) == receipts
    assert decode_replies(payload.decode()) == receipts


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b'{"v":2,"client":"a","replies":[]}',
        b'{"v":1,"replies":[]}',
        b'{"v":1,"client":"a","replies":[{"id":"1","status":"lost"}]}',
        b'{"v":1,"client":"a","replies":[{"status":"accepted"}]}',
        b'{"v":1,"client":"\xff","replies":[]}',
        b'{"v":1,"client":"a","replies":' + b"[" * 100_000,
    ],
)
def test_what_is_no_receipts_is_refused(payload: bytes) -> None:
    with pytest.raises(RefusedRequest):
        decode_replies(payload)


@given(st.lists(requests, max_size=20))
def test_many_together_read_as_one_by_one(many: list[Request]) -> None:
    assert decode_fast([encode(one) for one in many]) in (many, None)


def test_of_no_requests_there_are_none() -> None:
    assert decode_fast([]) == []


def test_those_of_the_sdk_are_read_together() -> None:
    many = [Request(id=str(n), cmd="c", key="a\nb", data={"a": n, "b": ["x"] * (n % 2)}) for n in range(100)]
    assert decode_fast([encode(one) for one in many]) == many


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param([b""], id="empty"),
        pytest.param([b"\n"], id="a line break"),
        pytest.param([b'{"v":1,"id":"1",', b'"cmd":"c","data":{}}'], id="one in two"),
        pytest.param([wire() + b"\n" + wire(), b""], id="two in one and none"),
        pytest.param([b'{"v":1,"id":"1","cmd":"c","data":{}}\n{"v":1,"id":"2","cmd":"c","data":{}}'], id="two in one"),
        pytest.param([b'{"v":1,"id":"1","cmd":"c","data":{}}\n'], id="one and a line break"),
        pytest.param([b'{"v":1,"id":"1","cmd":"c","data":{"a":1,"a":1}}'], id="duplicate in data"),
        pytest.param([b'{"v":1,"id":"1","cmd":"c","data":{},"x":1}'], id="unknown field"),
        pytest.param([b'{"v":1,"id":"1","cmd":"c"}'], id="no data"),
        pytest.param([nested(MAX_DEPTH + 1)], id="objects too deep"),
        pytest.param([nested(MAX_DEPTH + 1, "[", "]")], id="arrays too deep"),
        pytest.param([nested(100_000, "[", "]")], id="deep enough to exhaust a stack"),
        pytest.param([b"\xff\xfe{"], id="other bytes"),
        pytest.param([b'{"v":1,"id":"1","cmd":"c","data":{"a":"\xff"}}'], id="not UTF-8"),
        pytest.param([encode(Request(id="1", cmd="c", data={"a": "x" * MAX_REQUEST_BYTES}))], id="too large"),
    ],
)
def test_one_that_is_odd_is_left_to_be_read_alone(odd: list[bytes]) -> None:
    usual = b'{"v":1,"id":"1","cmd":"c","data":{}}'
    assert decode_fast([usual]) is not None
    assert decode_fast([usual, *odd]) is None
    assert decode_fast([*odd, usual]) is None


def test_a_request_may_have_256_kib() -> None:
    assert MAX_REQUEST_BYTES == 262_144


def test_the_limits_of_the_contract() -> None:
    assert (MAX_KEY_CHARACTERS, MAX_NAME_CHARACTERS, MAX_DEPTH, REDRIVE) == (256, 128, 32, "redrive/")
