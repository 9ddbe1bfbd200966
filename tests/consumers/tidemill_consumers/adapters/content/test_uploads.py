"""Uploads are read from a real bucket: the object's fate is its request's, S3's own failures pass."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from typing import Any, TypeAlias

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, IncompleteReadError
from botocore.response import StreamingBody

from tidemill.contract.claim_check import MAX_DATA_BYTES, claim_check
from tidemill.contract.request import ClaimCheck, Request, encode
from tidemill_consumers.adapters.content.uploads import GONE, NO_BUCKET, UNREADABLE, Uploads
from tidemill_consumers.core.batch import Arrival, Position, Time
from tidemill_consumers.core.pieces import pieces
from tidemill_local.emulator import Emulator

Put: TypeAlias = Callable[[bytes], ClaimCheck]

DATA = {"rows": ["x" * 100] * 1000}
BODY = msgspec.json.encode(DATA)


@pytest.fixture
def put(emulator: Emulator, bucket: str) -> Put:
    """Uploads for ann."""

    def put(body: bytes) -> ClaimCheck:
        ref = claim_check("ann", body)
        emulator.client("s3").put_object(Bucket=bucket, Key=ref.object, Body=body)
        return ref

    return put


@pytest.fixture
def uploads(emulator: Emulator, bucket: str) -> Uploads:
    return Uploads(emulator.client("s3"), bucket)


def arrival(ref: ClaimCheck | None, n: int = 1, key: str = "") -> Arrival:
    key = key or f"k{n}"
    request = Request(id=f"i{n}", cmd="keep", key=key, client="ann", writer="w", counter=n, data={}, ref=ref)
    return Arrival("s/0", Position(n, 0), float(n), key, request, encode(request))


def test_a_batch_without_uploads_makes_no_call() -> None:
    arrivals = [arrival(None)]
    able, failed = Uploads().redeem(arrivals)
    assert able is arrivals
    assert not failed


def test_data_is_read(uploads: Uploads, put: Put) -> None:
    bodies = [msgspec.json.encode({"n": n}) for n in range(40)]
    able, failed = uploads.redeem([arrival(put(body), n) for n, body in enumerate(bodies)])
    assert not failed
    assert [one.request.data for one in able] == [{"n": n} for n in range(40)]
    largest = b'{"a":"' + b"x" * (MAX_DATA_BYTES - 8) + b'"}'
    (one,), _ = uploads.redeem([arrival(put(largest))])
    assert (len(one.request.data["a"]), one.upload) == (MAX_DATA_BYTES - 8, largest)


def test_what_is_not_as_said_is_the_requests_fate(uploads: Uploads, put: Put, emulator: Emulator, bucket: str) -> None:
    ref = put(BODY)
    smaller = ClaimCheck(ref.object, 9)
    forged = ClaimCheck(f"uploads/ann/{sha256(b'other').hexdigest()}", len(BODY))
    emulator.client("s3").put_object(Bucket=bucket, Key=forged.object, Body=BODY)
    missing = claim_check("ann", b"{}")
    refs = [ref, smaller, forged, missing]
    able, failed = uploads.redeem([arrival(one, n) for n, one in enumerate(refs)])
    assert not failed
    assert able[0].request.data == DATA
    assert [one.upload for one in able[1:]] == [
        f"the upload has {len(BODY)} bytes, and ref says 9",
        "the upload is not what ref says: its SHA-256 is another",
        GONE,
    ]


def test_without_a_bucket_it_is_the_requests_fate(emulator: Emulator) -> None:
    for without in (Uploads(), Uploads(emulator.client("s3"), "")):
        (one,), failed = without.redeem([arrival(claim_check("ann", b"{}"))])
        assert (one.upload, one.request.ref is None, failed) == (NO_BUCKET, False, [])


def test_a_bucket_that_is_not_there_passes(emulator: Emulator) -> None:
    able, failed = Uploads(emulator.client("s3"), "no-such-bucket").redeem([arrival(claim_check("ann", b"{}"))])
    assert (able, failed) == ([], [Position(1, 0)])


class Answering:
    """S3, as it answers what a test says."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def get_object(self, Bucket: str, Key: str) -> Any:
        self.asked.append(Key)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")


def content(body: bytes, length: int, **more: Any) -> dict[str, Any]:
    return {"Body": StreamingBody(BytesIO(body), length), "ContentLength": length, **more}


@pytest.mark.parametrize("code", UNREADABLE)
def test_how_an_object_was_put_is_the_requests_fate(code: str) -> None:
    s3: Any = Answering(error(code))
    (one,), failed = Uploads(s3, "b", map).redeem([arrival(claim_check("ann", b"{}"))])
    assert (one.upload, failed) == (UNREADABLE[code], [])


@pytest.mark.parametrize(
    "answer",
    [
        error("AccessDenied"),
        error("SlowDown"),
        error("InternalError"),
        error("PermanentRedirect"),
        error("KMS.DisabledException"),
        EndpointConnectionError(endpoint_url="http://x"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        content(b"{", 2, ETag='"e"'),
        content(b"<html>", 6),
        {},
    ],
)
def test_failures_of_s3_or_of_the_stack_pass(answer: Any) -> None:
    ref = claim_check("ann", b"{}")
    s3: Any = Answering(answer, content(b"{}", 2, ETag='"e"'))
    uploads = Uploads(s3, "b", map)
    able, failed = uploads.redeem([arrival(ref), arrival(None, 2, "k1"), arrival(None, 3)])
    assert ([one.position.sequence for one in able], failed) == ([3], [Position(1, 0)])
    able, failed = uploads.redeem([arrival(ref), arrival(None, 2, "k1"), arrival(None, 3)])
    assert (len(able), failed) == (3, [])


@pytest.mark.parametrize(("size", "count", "parts"), [(1_000, 8_000, 1), (MAX_DATA_BYTES, 6, 6)])
def test_an_upload_that_every_request_of_a_batch_names_is_read_once(size: int, count: int, parts: int) -> None:
    """In however many pieces they are applied; each has data of its own, which rules may change."""
    body = b'{"a":"' + b"x" * (size - 8) + b'"}'
    ref = claim_check("ann", body)
    s3: Any = Answering(content(body, size, ETag='"e"'))
    uploads = Uploads(s3, "b", map)
    found = []
    for piece in pieces([arrival(ref, n) for n in range(count)], [], None):
        able, failed = uploads.redeem(piece.arrivals)
        assert not failed
        found.append([one.request.data for one in able])
    assert (sum(map(len, found)), len(found)) == (count, parts)
    assert len({id(one) for some in found for one in some}) == count
    assert s3.asked == [ref.object]


def test_what_was_read_is_forgotten_with_the_next_that_names_no_upload() -> None:
    """An upload that was replaced or deleted is not applied for as long as a function lives."""
    ref = claim_check("ann", b"{}")
    s3: Any = Answering(content(b"{}", 2, ETag='"e"'), error("NoSuchKey"))
    uploads = Uploads(s3, "b", map)
    uploads.redeem([arrival(ref)])
    uploads.redeem([arrival(None)])
    (one,), _ = uploads.redeem([arrival(ref)])
    assert one.upload == GONE


def test_none_of_another_identitys_uploads_is_read_however_many_are_named() -> None:
    refs = [claim_check("bob", b'{"n":%d}' % n) for n in range(10_000)]
    s3: Any = Answering()
    able, failed = Uploads(s3, "b").redeem([arrival(ref, n) for n, ref in enumerate(refs)])
    assert (len(able), failed, s3.asked) == (10_000, [], [])
    assert all("no upload of its client" in str(one.upload) for one in able)


def test_once_time_is_over_the_first_is_read_and_no_other() -> None:
    refs = [claim_check("ann", b'{"n":%d}' % n) for n in range(3)]
    s3: Any = Answering(content(b'{"n":0}', 7, ETag='"e"'))
    over = Time(lambda: 2.0, 1.0)
    able, failed = Uploads(s3, "b", map).redeem([arrival(ref, n) for n, ref in enumerate(refs)], over)
    assert [one.request.data for one in able] == [{"n": 0}]
    assert failed == [Position(1, 0), Position(2, 0)]
    assert s3.asked == [refs[0].object]
