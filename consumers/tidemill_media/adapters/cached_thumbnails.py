"""The thumbnails that are made when they are asked for, and the originals that they are made of.

Room: adapters. The only module that writes below cached/. Tests: tests/consumers/tidemill_media/test_thumbnail.py.

What cannot be made is stored in its place too, as JSON with the reason, so that its photo is not decoded for it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from tidemill_media.adapters.objects import is_gone
from tidemill_media.adapters.photo_files import IMMUTABLE
from tidemill_media.processing.responses import URL_SECONDS

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from tidemill_media.imaging import Thumbnail, Unsupported

AS_REASON = "application/json"
"""The content type of a reason, which no thumbnail has."""


class Stored(NamedTuple):
    """An object under a thumbnail's name: a thumbnail, or the reason why there is none.

    Attributes:
        reason: why there is no thumbnail; None if it is one.
    """

    reason: str | None = None


class CachedThumbnails:
    """The content bucket. Every method but `url` raises ClientError or BotoCoreError if a call fails.

    Args:
        s3: a boto3 S3 client.
        bucket: the bucket's name.
    """

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def find(self, name: str) -> Stored | None:
        """The object of a name; None if there is none."""
        try:
            if self._s3.head_object(Bucket=self._bucket, Key=name)["ContentType"] != AS_REASON:
                return Stored()
            found = self._s3.get_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return Stored(msgspec.json.decode(found["Body"].read())["error"])

    def original(self, name: str, version: str | None) -> bytes | None:
        """A version of a photo as it was uploaded; None if it is gone."""
        of: Any = {"VersionId": version} if version else {}
        try:
            return self._s3.get_object(Bucket=self._bucket, Key=name, **of)["Body"].read()
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    def put(self, name: str, thumbnail: Thumbnail) -> Stored:
        """Store a thumbnail. Two that do so at once store the same."""
        self._put(name, thumbnail.data, thumbnail.type)
        return Stored()

    def refuse(self, name: str, outcome: Unsupported) -> Stored:
        """Store why there is no thumbnail."""
        self._put(name, msgspec.json.encode({"error": outcome.reason}), AS_REASON)
        return Stored(outcome.reason)

    def delete(self, name: str) -> None:
        """Delete what is stored under a name."""
        self._s3.delete_object(Bucket=self._bucket, Key=name)

    def url(self, name: str) -> str:
        """Where an object can be read for some minutes, by whoever knows it."""
        of = {"Bucket": self._bucket, "Key": name}
        return self._s3.generate_presigned_url("get_object", Params=of, ExpiresIn=URL_SECONDS)

    def _put(self, name: str, data: bytes, kind: str) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=name, Body=data, ContentType=kind, CacheControl=IMMUTABLE)
