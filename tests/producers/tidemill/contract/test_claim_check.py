"""A claim check is honoured for its own client's upload of just those bytes, and for nothing else."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given

from tests.values import documents
from tidemill.contract.claim_check import MAX_DATA_BYTES, claim_check, problem_of, read_data
from tidemill.contract.request import ClaimCheck, RefusedRequest, Request, decode, encode
from tidemill.contract.validation import UnsendableRequest, to_payload

IDENTITY = "us-east-1:2f9b760d-0000-4000-8000-000000000000"
DATA = b'{"title":"Ebb & flow"}'
HASH = sha256(DATA).hexdigest()


def request(**changes: Any) -> Request:
    return Request(**{"id": "i", "cmd": "c", "key": "k", "client": IDENTITY, "data": {}} | changes)


def test_it_names_the_client_and_the_hash() -> None:
    ref = claim_check(IDENTITY, DATA)
    assert ref == ClaimCheck(f"uploads/{IDENTITY}/{HASH}", 22)
    one = request(ref=ref)
    assert problem_of(one) is None
    assert encode(one).endswith(
        b'"data":{},"ref":{"object":"uploads/%b/%b","bytes":22}}' % (IDENTITY.encode(), HASH.encode())
    )
    assert decode(to_payload(one)) == one


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"data": {"a": 1}}, "both data and ref"),
        ({"client": None}, "no client"),
        ({"client": "another"}, "no upload of its client: 'uploads/us-east-1"),
        ({"ref": ClaimCheck(f"uploads/{IDENTITY}/../other/{HASH}", 9)}, "no upload of its client"),
        ({"ref": ClaimCheck(f"uploads/{IDENTITY}//{HASH}", 9)}, "no upload of its client"),
        ({"ref": ClaimCheck(f"photos/{IDENTITY}/{HASH}", 9)}, "no upload of its client"),
        ({"ref": ClaimCheck(HASH, 9)}, "no upload of its client"),
        ({"client": "..", "ref": ClaimCheck(f"uploads/../{HASH}", 9)}, "no upload of its client"),
        ({"ref": ClaimCheck(f"uploads/{IDENTITY}/{HASH.upper()}", 9)}, "no SHA-256"),
        ({"ref": ClaimCheck(f"uploads/{IDENTITY}/", 9)}, "no SHA-256"),
        ({"ref": ClaimCheck(f"uploads/{IDENTITY}/{HASH}", MAX_DATA_BYTES + 1)}, "5242881 bytes; data may have 5242880"),
    ],
)
def test_others_are_refused_unread(changes: dict[str, Any], problem: str) -> None:
    one = request(**{"ref": claim_check(IDENTITY, DATA)} | changes)
    found = problem_of(one)
    assert found is not None
    assert problem in found
    with pytest.raises(UnsendableRequest, match=r"^ref: ") as refused:
        to_payload(one)
    assert str(refused.value) == f"ref: {found}"


def test_a_request_without_one_has_no_problem() -> None:
    assert problem_of(request(client=None, data={"a": 1})) is None


@given(documents)
def test_what_was_uploaded_is_read(data: dict[str, Any]) -> None:
    body = msgspec.json.encode(data)
    assert read_data(claim_check(IDENTITY, body), body) == data


def test_it_may_be_written_with_spaces() -> None:
    body = b'{ "a": [1, {"b": 2}] }'
    assert read_data(claim_check(IDENTITY, body), body) == {"a": [1, {"b": 2}]}


def test_other_bytes_are_refused() -> None:
    ref = claim_check(IDENTITY, DATA)
    with pytest.raises(RefusedRequest, match="has 23 bytes, and ref says 22"):
        read_data(ref, DATA + b" ")
    with pytest.raises(RefusedRequest, match="SHA-256 is another"):
        read_data(ref, DATA.upper())


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"[1]", "Expected `object`, got `array`"),
        (b"null", "Expected `object`, got `null`"),
        (b"", "Input data was truncated"),
        (b'{"a":1', "Input data was truncated"),
        (b'{"a":1,"a":2}', "a key stands twice"),
        (b'{"a":1e999}', "out of range"),
        (b'{"a":NaN}', "invalid"),
        (b'{"a":"\xff"}', "utf-8"),
        (b'{"a":"\\ud800 and more"}', "no data of a request"),
        (nested(32), "deeper than 31 levels"),
        (nested(100_000), "deeper than 31 levels"),
        (b'{"a":' + b"[" * 31 + b"]" * 31 + b"}", "deeper than 31 levels"),
    ],
)
def test_what_no_request_could_carry_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(RefusedRequest, match=f"(?i){why}"):
        read_data(claim_check(IDENTITY, body), body)


def test_as_deep_as_a_request_may_be() -> None:
    body = nested(31)
    data = read_data(claim_check(IDENTITY, body), body)
    assert decode(to_payload(request(data=data))).data == data
