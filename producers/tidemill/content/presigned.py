"""Presigned uploads: a client without AWS credentials describes its photo, and a server signs what it may put.

    client                                    server
    describe_photo(photo) ────────────────▶   presigned_upload(description, …, client=…, key=…)
    upload_presigned(photo, presigned) ◀───   as JSON, by the application's own API

Room: SDK, I/O. Signed are the object's name, the content type, the metadata and, of the photo or of each part of it,
size and SHA-256. So the URLs take the photo that was described, and no other. A POST's policy would sign less: a range
of sizes, and no parts.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec.structs import replace

from tidemill.content.failures import not_uploaded
from tidemill.content.photo_source import PhotoSource, check_photo_size
from tidemill.content.store import S3Store
from tidemill.content.token import PART_BYTES, Token, digest_of
from tidemill.contract.photo_files import PHOTO_TYPES
from tidemill.contract.places import photo_name
from tidemill.contract.validation import UnsendableRequest
from tidemill.errors import UnfitFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_s3 import S3Client

    from tidemill.content.photo_source import Photo

Document: TypeAlias = dict[str, Any]

MOST_SECONDS = 7 * 24 * 3600
"""S3 takes no signature that holds for longer."""


class Description(msgspec.Struct, frozen=True):
    """What a client says of its photo: size, content type, whether its place may be told, the parts' SHA-256."""

    bytes: int
    type: str
    place: bool
    sha256: tuple[str, ...]


class Presigned(msgspec.Struct, frozen=True, omit_defaults=True):
    """A presigned upload.

    Attributes:
        token: the upload.
        sha256: of the photo, or of each part.
        put: the URLs that these are put to.
        list, complete, abort: the URLs of an upload in parts.
    """

    token: Token
    sha256: tuple[str, ...]
    put: tuple[str, ...]
    list: str = ""
    complete: str = ""
    abort: str = ""


def describe_photo(photo: Photo, *, content_type: str | None = None, with_place: bool = False) -> Document:
    """Describes a photo for `presigned_upload`, as a document of JSON. Reads all of it.

    Args:
        photo, content_type, with_place: as in `Producer.upload`.

    Raises:
        UnfitFile: no thumbnails can be made of it; names the remedy.
        OSError: the file cannot be read.
    """
    source = PhotoSource(photo, content_type)
    try:
        pieces = (source.read(at, PART_BYTES) for at in range(0, source.size, PART_BYTES))
        digests = tuple(map(digest_of, pieces))
    finally:
        source.close()
    found: Document = msgspec.to_builtins(Description(source.size, source.type.content_type, with_place, digests))
    return found


def presigned_upload(
    description: Mapping[str, Any],
    *,
    s3: S3Client,
    bucket: str,
    client: str,
    key: str,
    seconds: int = 3600,
    resume: str | None = None,
) -> Document:
    """Lets a client upload one photo, for `upload_presigned`. Returns a document of JSON.

    Whoever has it can put that photo under that name, and nothing else, until the signatures or the credentials that
    made them end. Of a photo above 8 MiB, the upload in parts is begun. S3 checks size and SHA-256 as the photo comes;
    what its first bytes say, the client has checked and the media function checks again.

    Args:
        description: the client's `describe_photo`. It is checked.
        s3: a boto3 client with `Config(signature_version="s3v4")`, for the bucket's region. It may put the object, and
            list and abort its parts.
        bucket: the content bucket's name.
        client: the identity that uploads, as the server knows it.
        key: the ordering key of the entity that the photo is of.
        seconds: how long the signatures hold, a week at most.
        resume: the client's token of an earlier attempt. Parts that S3 has are not sent again.

    Raises:
        UnfitFile: such a photo is not taken: too large, or of another type; names the field.
        UnsendableRequest: client and key make no name of a photo.
        ValueError: the description or `resume` is none, or `seconds` or the client's signatures are unfit.
        NotUploaded: S3 does not begin an upload in parts; names the remedy.
    """
    of = _checked(description)
    if not 0 < seconds <= MOST_SECONDS:
        raise ValueError(f"seconds: {seconds}; 1 to {MOST_SECONDS} are possible")
    try:
        name = photo_name(client, key)
    except ValueError as problem:
        raise UnsendableRequest("key", str(problem)) from None
    token, _ = Token("", name, of.bytes, of.type, of.place).resumed(resume)
    signer = _Signer(s3, bucket, name, seconds)
    if of.bytes <= PART_BYTES:
        found = signer.whole(token, of)
    else:
        store = S3Store(s3, bucket, name)
        try:
            if not token.upload or store.parts(token) is None:
                token = replace(token, upload=store.begin(token))
        except Exception as error:  # of any kind: the caller must hear of it
            raise not_uploaded(error, store.place) from error
        found = signer.in_parts(token, of)
    document: Document = msgspec.to_builtins(found)
    return document


class _Signer:
    """Signs URLs of one object."""

    def __init__(self, s3: S3Client, bucket: str, name: str, seconds: int) -> None:
        self._s3: Any = s3
        self._object = {"Bucket": bucket, "Key": name}
        self._seconds = seconds

    def whole(self, token: Token, of: Description) -> Presigned:
        described = {"ContentType": token.type, "Metadata": token.metadata}
        body = {"ContentLength": of.bytes, "ChecksumSHA256": of.sha256[0]}
        return Presigned(token, of.sha256, (self._put("put_object", **described, **body),))

    def in_parts(self, token: Token, of: Description) -> Presigned:
        upload = {"UploadId": token.upload}
        sizes = (min(PART_BYTES, of.bytes - at) for at in range(0, of.bytes, PART_BYTES))
        puts = tuple(
            self._put("upload_part", **upload, PartNumber=number, ContentLength=size, ChecksumSHA256=digest)
            for number, size, digest in zip(token.parts, sizes, of.sha256, strict=True)
        )
        calls = ("list_parts", "complete_multipart_upload", "abort_multipart_upload")
        return Presigned(token, of.sha256, puts, *(self._url(one, **upload) for one in calls))

    def _put(self, call: str, **arguments: Any) -> str:
        """The URL of a call with a body, of which size and SHA-256 must be signed: older signatures leave them out."""
        url = self._url(call, **arguments)
        signed = parse_qs(urlsplit(url).query).get("X-Amz-SignedHeaders", [""])[0].split(";")
        if not {"content-length", "x-amz-checksum-sha256"} <= set(signed):
            raise ValueError("s3: it does not sign sizes; make it with Config(signature_version='s3v4')")
        return url

    def _url(self, call: str, **arguments: Any) -> str:
        of_all = self._object | arguments
        url: str = self._s3.generate_presigned_url(call, Params=of_all, ExpiresIn=self._seconds)
        return url


def _checked(description: Mapping[str, Any]) -> Description:
    """A description that a client sent, who may be anybody."""
    try:
        of = msgspec.convert(description, Description)
    except msgspec.ValidationError as error:
        raise ValueError(f"description: it is none of describe_photo: {error}") from None
    check_photo_size(of.bytes)
    if of.type not in (one.content_type for one in PHOTO_TYPES):
        types = ", ".join(one.content_type for one in PHOTO_TYPES)
        raise UnfitFile("type", f"it is {of.type[:80]!r}, of which no thumbnails are made", f"use one of {types}")
    if of.bytes < 1 or len(of.sha256) != -(-of.bytes // PART_BYTES) or not all(map(_is_digest, of.sha256)):
        raise ValueError("description: it has no SHA-256 of each 8 MiB")
    return of


def _is_digest(text: str) -> bool:
    try:
        return len(text) == 44 and len(b64decode(text, validate=True)) == 32
    except ValueError:
        return False
