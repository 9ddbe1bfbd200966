"""Which data is to be uploaded, decided by values: before anything is kept, and only if the request could be sent."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given

from tests.values import documents
from tidemill.contract.claim_check import MAX_DATA_BYTES, claim_check
from tidemill.contract.request import decode
from tidemill.contract.validation import UnsendableRequest
from tidemill.sending.claims import MOST_WITHIN, ToUpload
from tidemill.sending.writer import Writer

FITS = {"text": "x" * 89}  # 100 bytes of JSON


def written(data: Any, claim: int | None = 100, client: str | None = "ann", **changes: Any) -> tuple[str, bytes]:
    given: Any = {"cmd": "c", "key": "k", "client": None, "id": None, "at": 5} | changes
    return Writer("w", Random(1), 0, client, claim).write(data=data, **given)


@pytest.mark.parametrize("changes", [{}, {"id": "mine"}])
def test_what_is_larger_than_said_is_to_be_uploaded(changes: dict[str, Any]) -> None:
    assert decode(written(FITS, **changes)[1]).data == FITS
    larger = {"text": "x" * 90}
    with pytest.raises(ToUpload) as large:
        written(larger, **changes)
    assert large.value.body == msgspec.json.encode(larger)
    assert large.value.ref == claim_check("ann", large.value.body)
    request = decode(written(large.value.ref, **changes)[1])
    assert (request.data, request.ref, request.counter) == ({}, large.value.ref, 1)


@given(documents)
def test_without_a_bucket_nothing_is_otherwise(data: dict[str, Any]) -> None:
    assert written(data, None) == written(data, MOST_WITHIN)


def test_the_requests_own_client_is_the_one_that_counts() -> None:
    with pytest.raises(ToUpload) as large:
        Writer("w", Random(1), 0, "ann", 100).write("c", "k", {"text": "x" * 90}, "bob", None, 5)
    assert large.value.ref.object.startswith("uploads/bob/")


def nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {"text": "x" * 90}
    for _ in range(levels):
        data = {"in": data}
    return data


@pytest.mark.parametrize(
    ("data", "changes", "field"),
    [
        ({"text": "x" * MAX_DATA_BYTES}, {}, "data"),
        ({"text": "x" * 90, "when": (1, 2)}, {}, "data.when"),
        ({"text": b"x" * 90}, {}, "data.text"),
        (["x" * 90], {}, "data"),
        (nested(31), {}, "data"),
        ({"text": "x" * 90}, {"key": ""}, "key"),
        ({"text": "x" * 90}, {"cmd": 7}, "cmd"),
        ({"text": "x" * 90}, {"client": "ю" * 256}, "client"),  # S3 has no room for such a name
    ],
)
def test_what_could_not_be_sent_is_not_uploaded(data: Any, changes: dict[str, Any], field: str) -> None:
    given: Any = {"cmd": "c", "key": "k", "client": None, "id": None, "at": 5} | changes
    with pytest.raises(UnsendableRequest) as refused:
        Writer("w", Random(1), 0, "ann", 100).write(data=data, **given)
    assert refused.value.field == field


def test_a_sender_is_needed() -> None:
    with pytest.raises(UnsendableRequest, match=r"^client: name the sender"):
        written({"text": "x" * 90}, client=None)
