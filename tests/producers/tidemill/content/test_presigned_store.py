"""A client without AWS credentials uploads what a server signed, that photo alone, and can go on later."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest
import urllib3
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session

from tests.conftest import Names
from tests.producers.tidemill.content.photos import photo
from tidemill import NotUploaded, UnfitFile, describe_photo, presigned_upload, upload_presigned
from tidemill.content.token import PART_BYTES
from tidemill_local.emulator import Emulator

LARGE = photo(2 * PART_BYTES + 1)

Sign: TypeAlias = Callable[..., Any]


@pytest.fixture
def s3(emulator: Emulator) -> Any:
    keys: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    config = Config(signature_version="s3v4", proxies={})
    return boto3.client("s3", endpoint_url=emulator.endpoint_url, config=config, **keys)


@pytest.fixture
def sign(s3: Any, content_bucket: str) -> Sign:
    """The server: what it answers, having gone through JSON both ways."""

    def answer(description: Any, **how: Any) -> Any:
        asked = json.loads(json.dumps(description))
        to = {"s3": s3, "bucket": content_bucket, "client": "us-east-1:ann", "key": "content/4 2"}
        return json.loads(json.dumps(presigned_upload(asked, **(to | how))))

    return answer


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The methods of the calls that are made over HTTP."""
    made, send = list[str](), URLLib3Session.send

    def heard(self: Any, request: Any) -> Any:
        made.append(request.method)
        return send(self, request)

    monkeypatch.setattr(URLLib3Session, "send", heard)
    return made


@pytest.fixture(autouse=True)
def _without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr("tidemill.content.presigned_store.sleep", lambda _: None)


@pytest.mark.parametrize("size", [100, PART_BYTES, PART_BYTES + 1])
@pytest.mark.parametrize("with_place", [True, False], ids=["place", "no place"])
def test_a_photo_is_stored_as_it_is(
    sign: Sign, s3: Any, content_bucket: str, tmp_path: Path, size: int, with_place: bool
) -> None:
    path, told = tmp_path / "photo", list[tuple[int, int, str | None]]()
    path.write_bytes(photo(size))
    presigned = sign(describe_photo(path, with_place=with_place))
    done = upload_presigned(path, presigned, progress=lambda *how: told.append(how))
    assert done[:1] + done[2:] == ("photos/us-east-1:ann/content/4%202", size, "image/jpeg")
    found = s3.get_object(Bucket=content_bucket, Key=done.name, ChecksumMode="ENABLED")
    assert (found["Body"].read(), found["VersionId"]) == (photo(size), done.version)
    assert (found["ContentType"], found["Metadata"]) == ("image/jpeg", {"place": "yes"} if with_place else {})
    assert found["ChecksumSHA256"].partition("-")[2] == ("" if size <= PART_BYTES else "2")
    assert told[-1][:2] == (size, size)


@pytest.mark.parametrize("is_resigned", [True, False], ids=["signed anew", "signed once"])
def test_parts_that_are_there_are_not_sent_again(
    sign: Sign, s3: Any, content_bucket: str, monkeypatch: pytest.MonkeyPatch, calls: list[str], is_resigned: bool
) -> None:
    monkeypatch.setattr("tidemill.content.upload.PARTS_AT_ONCE", 1)
    description = describe_photo(LARGE)
    presigned = sign(description)
    second = presigned["put"][1]
    presigned["put"][1] = second.replace("X-Amz-Signature=", "X-Amz-Signature=0")
    with pytest.raises(NotUploaded, match="SignatureDoesNotMatch") as failed:
        upload_presigned(LARGE, presigned)
    assert failed.value.resume
    presigned["put"][1] = second
    if is_resigned:
        presigned = sign(description, resume=failed.value.resume)
    calls.clear()
    done = upload_presigned(LARGE, presigned)
    assert calls == ["GET", "PUT", "PUT", "POST"]
    assert s3.get_object(Bucket=content_bucket, Key=done.name)["Body"].read() == LARGE


def test_what_is_completed_is_signed_anew(sign: Sign) -> None:
    """An upload whose answer was lost: its name is gone, and the photo is sent once more."""
    description = describe_photo(LARGE)
    presigned = sign(description)
    upload_presigned(LARGE, presigned)
    with pytest.raises(NotUploaded, match=r"NoSuchUpload: .*ask the server for a new") as failed:
        upload_presigned(LARGE, presigned)
    again = sign(description, resume=failed.value.resume)
    assert again["token"]["upload"] != presigned["token"]["upload"]
    assert upload_presigned(LARGE, again).bytes == len(LARGE)


@pytest.mark.parametrize("size", [100, PART_BYTES + 1])
def test_another_photo_is_refused_here_and_by_s3(sign: Sign, calls: list[str], size: int) -> None:
    presigned = sign(describe_photo(photo(size)))
    calls.clear()
    for other in (photo(size + 1), b"\x89PNG\r\n\x1a\n" + photo(size)[8:]):
        with pytest.raises(UnfitFile, match=r"^the file is not the .* bytes of image/jpeg that were described"):
            upload_presigned(other, presigned)
    assert calls == []
    changed = photo(size, other=1)
    with pytest.raises(UnfitFile, match="changed since it was described"):
        upload_presigned(changed, presigned)
    presigned = sign(describe_photo(photo(size)))
    presigned["sha256"] = describe_photo(changed)["sha256"]  # a client that does not care
    with pytest.raises(NotUploaded, match="SignatureDoesNotMatch"):
        upload_presigned(changed, presigned)


def test_it_says_so_if_the_signatures_have_expired(sign: Sign, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as then:
        then.setattr("botocore.auth.get_current_datetime", lambda **_: datetime(2026, 1, 1))  # noqa: DTZ001
        presigned = sign(describe_photo(photo(10)), seconds=1)
    with pytest.raises(NotUploaded, match=r"AccessDenied.*the signatures have expired.*ask the server for a new"):
        upload_presigned(photo(10), presigned)


@pytest.mark.parametrize(
    ("answers", "attempts"), [([503, 500], 3), ([429], 2), ([503] * 9, 5), ([400], 1), ([ConnectionError] * 9, 5)]
)
def test_failures_that_pass_are_tried_again(
    sign: Sign, monkeypatch: pytest.MonkeyPatch, answers: list[Any], attempts: int
) -> None:
    presigned, send, made = sign(describe_photo(photo(10))), URLLib3Session.send, list[str]()

    def failing(self: Any, request: Any) -> Any:
        made.append(request.url)
        if len(made) > len(answers):
            return send(self, request)
        if answers[0] is ConnectionError:
            raise EndpointConnectionError(endpoint_url=request.url)
        answer: Any = AWSResponse(request.url, answers[len(made) - 1], HTTPHeaders(), None)
        answer._content = b"a proxy's page"
        return answer

    monkeypatch.setattr(URLLib3Session, "send", failing)
    if attempts > len(answers):
        assert upload_presigned(photo(10), presigned).bytes == 10
    else:
        with pytest.raises(NotUploaded, match=r"503|400|EndpointConnectionError"):
            upload_presigned(photo(10), presigned)
    assert len(made) == attempts


def test_a_server_that_signs_for_another_region_is_told(sign: Sign, s3: Any, names: Names) -> None:
    bucket = names("elsewhere")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with pytest.raises(NotUploaded, match="another region than the server's s3 client"):
        upload_presigned(photo(10), sign(describe_photo(photo(10)), bucket=bucket))


def test_what_is_no_presigned_upload_is_said() -> None:
    for wrong in ({}, {"token": 1}, {"put": ["file:///etc/passwd"]}):
        with pytest.raises(ValueError, match="presigned: it is none of presigned_upload"):
            upload_presigned(photo(10), wrong)


def test_a_presigned_upload_that_lacks_a_part_is_said_to_be_none(sign: Sign) -> None:
    for data in (photo(10), LARGE):
        presigned = sign(describe_photo(data))
        token = presigned["token"]
        few: list[Any] = [{"put": presigned["put"][1:]}, {"sha256": []}, {"token": {**token, "bytes": 10**30}}]
        for lacking in few:
            with pytest.raises(ValueError, match="it is none of presigned_upload: it lacks"):
                upload_presigned(data, presigned | lacking)


def test_nothing_is_added_to_what_was_signed(sign: Sign, s3: Any, content_bucket: str) -> None:
    presigned = sign(describe_photo(photo(10)))
    headers = {"Content-Type": "image/jpeg", "x-amz-checksum-sha256": presigned["sha256"][0]}
    for name, value in (("x-amz-storage-class", "GLACIER"), ("x-amz-meta-place", "yes"), ("X-Amz-Tagging", "a=b")):
        answer = urllib3.request("PUT", presigned["put"][0], body=photo(10), headers={**headers, name: value})
        assert (answer.status, b"which were not signed" in answer.data) == (403, True), name
    assert "Contents" not in s3.list_objects_v2(Bucket=content_bucket, Prefix=presigned["token"]["name"])
    assert urllib3.request("PUT", presigned["put"][0], body=photo(10), headers=headers).status == 200
