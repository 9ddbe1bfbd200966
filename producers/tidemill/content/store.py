"""The calls to S3 that an upload makes: the protocol of a store, and the store that has credentials.

Room: SDK, I/O. Tests: tests/producers/tidemill/content/test_upload.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tidemill.content.failures import IN_S3

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_s3 import S3Client

    from tidemill.content.token import Token


class Part(NamedTuple):
    """A part that S3 has. `digest` is its SHA-256; empty if S3 does not say."""

    number: int
    etag: str
    size: int
    digest: str


class Store(Protocol):
    """Keeps photos. The errors of its methods are boto3's, or have a `response` as those do.

    Attributes:
        place: where the photo goes, for people.
        remedies: by error code.
    """

    place: str
    remedies: Mapping[str, str]

    def put(self, token: Token, body: bytes, digest: str) -> str | None:
        """Stores a small photo. Returns its version."""

    def begin(self, token: Token) -> str:
        """Begins an upload in parts. Returns S3's name of it."""

    def parts(self, token: Token) -> Mapping[int, Part] | None:
        """The parts that are there, by number; None if there is no such upload any more."""

    def send(self, token: Token, number: int, body: bytes, digest: str) -> Part:
        """Stores a part."""

    def complete(self, token: Token, parts: Sequence[Part]) -> str | None:
        """Makes the photo of its parts. Returns its version."""

    def abort(self, token: Token) -> None:
        """Drops the parts."""


class S3Store:
    """A store that calls S3 by a boto3 client.

    Args:
        s3: the client.
        bucket: the content bucket's name.
        name: the object's.
    """

    remedies: Mapping[str, str] = IN_S3

    def __init__(self, s3: S3Client, bucket: str, name: str) -> None:
        self._s3: Any = s3
        self._object = {"Bucket": bucket, "Key": name}
        self.place = f"s3://{bucket}/{name}"

    def put(self, token: Token, body: bytes, digest: str) -> str | None:
        """Stores a small photo. Returns its version."""
        answer = self._s3.put_object(**self._object, **_described(token), Body=body, ChecksumSHA256=digest)
        return _version(answer)

    def begin(self, token: Token) -> str:
        """Begins an upload in parts. Returns S3's name of it."""
        begun = self._s3.create_multipart_upload(**self._object, **_described(token), ChecksumAlgorithm="SHA256")
        upload: str = begun["UploadId"]
        return upload

    def parts(self, token: Token) -> Mapping[int, Part] | None:
        """The parts that are there, by number; None if there is no such upload: older than a day, or completed."""
        try:
            pages = self._s3.get_paginator("list_parts").paginate(**self._object, UploadId=token.upload)
            found = [one for page in pages for one in page.get("Parts", ())]
        except self._s3.exceptions.NoSuchUpload:
            return None
        of_all = [Part(one["PartNumber"], one["ETag"], one["Size"], one.get("ChecksumSHA256", "")) for one in found]
        return {one.number: one for one in of_all}

    def send(self, token: Token, number: int, body: bytes, digest: str) -> Part:
        """Stores a part."""
        of_part = {"UploadId": token.upload, "PartNumber": number, "ChecksumSHA256": digest}
        answer = self._s3.upload_part(**self._object, **of_part, Body=body)
        return Part(number, answer["ETag"], len(body), digest)

    def complete(self, token: Token, parts: Sequence[Part]) -> str | None:
        """Makes the photo of its parts. Returns its version."""
        of_all = [{"PartNumber": one.number, "ETag": one.etag, "ChecksumSHA256": one.digest} for one in parts]
        whole = {"UploadId": token.upload, "MultipartUpload": {"Parts": of_all}}
        return _version(self._s3.complete_multipart_upload(**self._object, **whole))

    def abort(self, token: Token) -> None:
        """Drops the parts."""
        self._s3.abort_multipart_upload(**self._object, UploadId=token.upload)


def _described(token: Token) -> dict[str, Any]:
    return {"ContentType": token.type, "Metadata": token.metadata}


def _version(answer: Any) -> str | None:
    _ = answer["ETag"]  # an answer from something other than S3 has none
    version: str | None = answer.get("VersionId")
    return version
