"""A server signs what clients describe, whoever they are, below the identity that it knows."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config

from tests.producers.tidemill.content.photos import photo
from tidemill import NotUploaded, UnfitFile, UnsendableRequest, describe_photo, presigned_upload
from tidemill.content.token import PART_BYTES
from tidemill.contract.photo_files import MAX_PHOTO_BYTES

KEYS: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-west-1"}
SMALL = describe_photo(photo(100))


def s3(version: str = "s3v4") -> Any:
    return boto3.client("s3", config=Config(signature_version=version), **KEYS)


def sign(description: Any, **how: Any) -> Any:
    to = {"s3": s3(), "bucket": "content", "client": "us-east-1:ann", "key": "content/1"}
    return presigned_upload(description, **(to | how))


def test_a_small_photo_is_signed_without_a_call_with_all_that_is_said_of_it() -> None:
    found = sign(describe_photo(photo(100), with_place=True), seconds=60)
    url = urlsplit(found["put"][0])
    asked = parse_qs(url.query)
    assert (url.hostname, url.path) == ("content.s3.amazonaws.com", "/photos/us-east-1%3Aann/content/1")
    signed = "content-length;content-type;host;x-amz-checksum-sha256;x-amz-meta-place"
    assert (asked["X-Amz-SignedHeaders"], asked["X-Amz-Expires"]) == ([signed], ["60"])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bytes": MAX_PHOTO_BYTES + 1}, "it has 52428801 bytes"),
        ({"type": "text/html"}, "it is 'text/html'"),
        ({"type": "image/svg+xml"}, "it is 'image/svg"),
    ],
)
def test_photos_that_are_not_taken_are_not_signed(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(UnfitFile, match=problem):
        sign(SMALL | change)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"bytes": "100"},
        SMALL | {"bytes": 0},
        SMALL | {"bytes": -1},
        SMALL | {"bytes": PART_BYTES + 1},
        SMALL | {"sha256": []},
        SMALL | {"sha256": ["x" * 44]},
        SMALL | {"sha256": ["AAAA"]},
        SMALL | {"sha256": SMALL["sha256"] * 2},
    ],
)
def test_what_is_no_description_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="description: it "):
        sign(wrong)


def test_what_the_server_says_is_checked_too() -> None:
    for names in ({"key": ""}, {"client": ""}, {"key": "k" * 900}, {"key": 5}):
        with pytest.raises(UnsendableRequest, match="key"):
            sign(SMALL, **names)
    for seconds in (0, -1, 7 * 24 * 3600 + 1):
        with pytest.raises(ValueError, match="seconds"):
            sign(SMALL, seconds=seconds)
    wrong: list[Any] = ["{}", "\ud800", b"x", 5, {}]
    for resume in wrong:
        with pytest.raises(ValueError, match="resume: give what progress was told"):
            sign(SMALL, resume=resume)
    with pytest.raises(ValueError, match="signature_version='s3v4'"):
        sign(SMALL, s3=s3("s3"))


def test_an_upload_in_parts_that_cannot_begin_says_why() -> None:
    client = s3()
    client.meta.events.register("before-call", lambda **_: 1 / 0)
    with pytest.raises(NotUploaded, match="ZeroDivisionError"):
        sign(describe_photo(photo(PART_BYTES + 1)), s3=client)


def test_only_photos_are_described() -> None:
    with pytest.raises(UnfitFile, match=r"^it is a PDF"):
        describe_photo(b"%PDF")
    with pytest.raises(UnfitFile, match="leave content_type out"):
        describe_photo(photo(10), content_type="image/png")
