"""The upload of a photo: in one call, or in parts, of which a later process sends those that are not there yet.

Room: SDK, I/O. An upload in parts is known by its token alone, which whoever uploads keeps: who may list the uploads
in progress of a bucket sees everyone's.

    S3 has               a photo of up to PART_BYTES    a larger one
    nothing              PutObject                      CreateMultipartUpload: from here on there is a token
    some parts           -                              UploadPart of the others, several at once
    all parts            -                              CompleteMultipartUpload
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import json
from msgspec.structs import replace

from tidemill.content.failures import AGAIN, not_uploaded
from tidemill.errors import NotUploaded, UnfitFile
from tidemill.runtime.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from types_boto3_s3 import S3Client

    from tidemill.content.photo_source import PhotoSource

PART_BYTES = 8 * 1024 * 1024
"""A larger photo is uploaded in parts of this size; S3 takes none below 5 MiB but the last."""

PARTS_AT_ONCE = 4
"""Parts that are in memory and on their way at a time."""

GO_ON = "upload it again with the error's resume=, and only what S3 does not have is sent"


class Uploaded(NamedTuple):
    """A photo in the content bucket.

    Attributes:
        name: the object's name.
        version: the object's version; None if the bucket keeps none.
        bytes: its size.
        type: its content type, by its first bytes.
    """

    name: str
    version: str | None
    bytes: int
    type: str


class Progress(NamedTuple):
    """How far an upload is.

    Attributes:
        done: bytes that S3 has.
        total: bytes of the photo.
        resume: the token of an upload in parts; None while there is none.
    """

    done: int
    total: int
    resume: str | None


class Token(msgspec.Struct, frozen=True):
    """An upload in parts: S3's name of it, and what is uploaded."""

    upload: str
    name: str
    bytes: int
    type: str
    place: bool

    def described(self) -> dict[str, Any]:
        """The arguments of S3's calls that describe the object."""
        return {"ContentType": self.type, "Metadata": {"place": "yes"} if self.place else {}}

    def is_of(self, other: Token) -> bool:
        """Whether the other one uploads this too."""
        return replace(self, upload="") == replace(other, upload="")


class Upload:
    """One upload of a photo. `run` does it, `stop` ends it from another thread.

    Args:
        s3: the client.
        bucket: the content bucket's name.
        name: the object's.
        source: the photo; `run` closes it.
        with_place: whether it may be told where the photo was taken.
        resume: the token of an earlier attempt; None begins.
        tell: is called when there is progress, from several threads.

    Attributes:
        place: where the photo goes, for people.
        progress: how far it is.

    Raises:
        ValueError: `resume` is no token.
    """

    def __init__(
        self,
        s3: S3Client,
        bucket: str,
        name: str,
        source: PhotoSource,
        with_place: bool,
        resume: str | None,
        tell: Callable[[], None],
    ) -> None:
        self._s3: Any = s3
        self._object = {"Bucket": bucket, "Key": name}
        self._source = source
        self._token = Token("", name, source.size, source.type.content_type, with_place)
        self._stale: Token | None = None
        if resume is not None:
            before = _read(resume)
            if before.is_of(self._token):
                self._token = before
            elif before.name == name:
                self._stale = before
        self._tell = tell
        self._lock = Lock()
        self._is_stopped = False
        self.place = f"s3://{bucket}/{name}"
        self.progress = Progress(0, source.size, resume if self._token.upload else None)

    def stop(self) -> None:
        """Has no further part sent."""
        self._is_stopped = True

    def leave(self) -> None:
        """Closes the photo of an upload that is never run."""
        self._source.close()

    def run(self) -> Uploaded:
        """Uploads the photo.

        Raises:
            NotUploaded: S3 does not have it, or does not say so; names the remedy, and has the token.
            UnfitFile: the file changed while it was read.
        """
        try:
            answer = self._in_parts() if self._token.bytes > PART_BYTES else self._at_once()
            _ = answer["ETag"]  # an answer from something other than S3 has none
        except UnfitFile:
            self._forget(self._token)
            raise
        except NotUploaded:
            raise
        except Exception as error:  # of any kind: the caller must hear of it
            raise not_uploaded(error, self.place, self._remedy, self.progress.resume) from error
        finally:
            self._source.close()
        return Uploaded(self._token.name, answer.get("VersionId"), self._token.bytes, self._token.type)

    def stopped(self, why: str) -> NotUploaded:
        """The error for an upload that is stopped."""
        return NotUploaded("Closed", f"{self.place}: {why}", self._remedy, self.progress.resume)

    def _at_once(self) -> Any:
        self._forget(self._stale)
        body = self._source.read(0, self._token.bytes)
        answer = self._s3.put_object(**self._object, **self._token.described(), Body=body, ChecksumSHA256=_digest(body))
        self._note(len(body))
        return answer

    def _in_parts(self) -> Any:
        there = self._parts_there()
        if there is None:
            self._forget(self._stale)
            described = self._token.described()
            begun = self._s3.create_multipart_upload(**self._object, **described, ChecksumAlgorithm="SHA256")
            self._token, there = replace(self._token, upload=begun["UploadId"]), {}
            if self._is_stopped:  # whoever waited has heard of no token
                self._forget(self._token)
        self._note(0)
        numbers = range(1, -(-self._token.bytes // PART_BYTES) + 1)
        parts: dict[int, Any] = {}
        in_threads(partial(self._send, there, parts), numbers, PARTS_AT_ONCE)
        if self._is_stopped:  # whoever goes on with the token completes it
            raise self.stopped("it was stopped")
        in_order = {"Parts": [parts[number] for number in numbers]}
        return self._s3.complete_multipart_upload(**self._object, UploadId=self._token.upload, MultipartUpload=in_order)

    def _parts_there(self) -> Mapping[int, Any] | None:
        """The parts of an earlier attempt, by number; None if there is none to go on with."""
        if not self._token.upload:
            return None
        try:
            pages = self._s3.get_paginator("list_parts").paginate(**self._object, UploadId=self._token.upload)
            return {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}
        except self._s3.exceptions.NoSuchUpload:  # it is older than a day, or was completed
            return None

    def _send(self, there: Mapping[int, Any], parts: dict[int, Any], number: int) -> None:
        """Sends a part unless it is there, and keeps what completes the upload."""
        if self._is_stopped:
            raise self.stopped("it was stopped")
        body = self._source.read((number - 1) * PART_BYTES, PART_BYTES)
        digest, part = _digest(body), there.get(number, {})
        if (part.get("ChecksumSHA256"), part.get("Size")) != (digest, len(body)):
            of_part = {"UploadId": self._token.upload, "PartNumber": number, "ChecksumSHA256": digest}
            part = self._s3.upload_part(**self._object, **of_part, Body=body)
        parts[number] = {"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": digest}
        self._note(len(body))

    def _forget(self, token: Token | None) -> None:
        """Has S3 drop the parts of an upload that nobody goes on with. It would do so itself a day later."""
        if token and token.upload:
            with suppress(Exception):
                self._s3.abort_multipart_upload(**self._object, UploadId=token.upload)

    def _note(self, count: int) -> None:
        with self._lock:
            resume = json.encode(self._token).decode() if self._token.upload else None
            self.progress = Progress(self.progress.done + count, self._token.bytes, resume)
        self._tell()

    @property
    def _remedy(self) -> str:
        return GO_ON if self.progress.resume else AGAIN


def _read(resume: str) -> Token:
    try:
        return json.decode(resume, type=Token)
    except msgspec.DecodeError:
        raise ValueError("resume: give what progress was told, or the error's resume") from None


def _digest(body: bytes) -> str:
    return b64encode(sha256(body).digest()).decode()
