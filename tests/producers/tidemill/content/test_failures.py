"""A failed upload is told by its cause and its remedy, whatever a client raises; it is not tried for ever."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.answering import Answer, http, raw, service
from tidemill import NotUploaded
from tidemill.content.bucket import Bucket, settings_of_s3
from tidemill.content.failures import AGAIN, ANOTHER_REGION, IN_S3, MOST_SAID, not_uploaded
from tidemill.contract.claim_check import claim_check

BODY = b'{"rows":[1,2,3]}'
REF = claim_check("ann", BODY)


def refused(status: int, code: str, *headers: str) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>not so</Message></Error>"
    return raw(http(body.encode(), status, *headers, kind="application/xml"))


def bucket_at(url: str) -> Bucket:
    keys: dict[str, Any] = {
        "aws_access_key_id": "test",
        "aws_secret_access_key": "test",
        "region_name": "us-east-1",
    }
    config = settings_of_s3().merge(Config(s3={"addressing_style": "path"}))
    return Bucket("content", "requests", boto3.client("s3", endpoint_url=url, config=config, **keys))


@pytest.mark.parametrize(
    ("answer", "code", "calls"),
    [
        (refused(403, "AccessDenied"), "AccessDenied", 1),
        (refused(403, "SignatureDoesNotMatch"), "SignatureDoesNotMatch", 1),
        (refused(404, "NoSuchBucket"), "NoSuchBucket", 1),
        (refused(400, "BadDigest"), "BadDigest", 1),
    ],
)
def test_what_is_refused_for_good_is_asked_once_and_told_with_its_remedy(answer: Answer, code: str, calls: int) -> None:
    with service(usually=answer) as s3:
        bucket = bucket_at(s3.url)
        with pytest.raises(NotUploaded) as failed:
            bucket.store(REF, BODY)
    assert (failed.value.code, len(s3.calls)) == (code, calls)
    assert f"s3://content/{REF.object}: " in str(failed.value)
    assert str(failed.value).endswith(f"({IN_S3.get(code, AGAIN)})")


def test_a_bucket_in_another_region_is_followed_there_or_told() -> None:
    """By boto3, which asks again in the region that S3 names, once."""
    elsewhere = refused(301, "PermanentRedirect", "x-amz-bucket-region: eu-central-1")
    stored = raw(http(b"", 200, 'ETag: "e"'))
    with service(elsewhere, stored) as s3:
        assert bucket_at(s3.url).store(REF, BODY) == REF
        assert "/eu-central-1/s3/" in s3.headers[-1]["authorization"]
        assert len(s3.calls) == 2
    with service(usually=elsewhere) as s3:
        bucket = bucket_at(s3.url)
        with pytest.raises(NotUploaded) as failed:
            bucket.store(REF, BODY)
        assert len(s3.calls) == 2
    assert str(failed.value).endswith(f"({ANOTHER_REGION})")


class Raising(Exception):
    """Neither its text nor its response can be had."""

    def __str__(self) -> str:
        raise SystemExit("no")

    @property
    def response(self) -> Any:
        raise SystemError("no")


def with_response(response: Any) -> Exception:
    error = RuntimeError("odd")
    error.response = response  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Raising(), "Raising"),
        (with_response(None), "RuntimeError"),
        (with_response({"Error": None}), "RuntimeError"),
        (with_response({"Error": {"Code": ["AccessDenied"]}}), "RuntimeError"),
        (with_response({"Error": {"Code": ""}}), "RuntimeError"),
        (with_response({"Error": {"Code": "NoSuchBucket"}}), "NoSuchBucket"),
        (ClientError({}, "PutObject"), "ClientError"),
    ],
)
def test_an_exception_of_any_kind_is_told(error: Exception, code: str) -> None:
    told = not_uploaded(error, "s3://content/uploads/ann/00")
    assert told.code == code
    assert str(told).startswith(f"{code}: s3://content/uploads/ann/00: ")


def test_of_a_page_in_an_exception_its_beginning_is_told() -> None:
    told = str(not_uploaded(RuntimeError("<p>" * 100_000), "s3://content/x"))
    assert len(told) < MOST_SAID + 200
    assert told.endswith(f"… ({AGAIN})")
