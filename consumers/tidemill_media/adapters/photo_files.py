"""The photos in the content bucket: originals, what is made of them, and how far that has come.

Room: adapters. Tests: tests/consumers/tidemill_media/test_media.py.

Of each version of a photo one small object tells how far it has come: `outcome.json`, beside its thumbnails and written
after them, has what came of it. Before that it counts how often decoding began, so that a file which ends the whole
function each time is found out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from botocore.exceptions import ClientError

from tidemill.contract.places import thumbnails_prefix
from tidemill.contract.request import Document
from tidemill_consumers.adapters.calls import MapCalls
from tidemill_media.adapters.objects import GONE, code_of, delete_all, is_gone, names_below
from tidemill_media.imaging import Thumbnail, Unsupported
from tidemill_media.processing.notifications import Notification

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

IMMUTABLE = "private, max-age=31536000, immutable"
"""A thumbnail's name has its photo's version, so it never changes. https://www.rfc-editor.org/rfc/rfc8246"""

UNREADABLE = {
    "InvalidObjectState": "it is of a storage class that is not read at once",
    "InvalidRequest": "it is encrypted with a key that its owner alone has",
}
"""S3's error code -> why a photo cannot be read, for what its uploader chose and what lasts; also that of an upload
(tidemill_consumers/adapters/content/uploads.py). https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html"""

UNSEEN = "400"
"""HeadObject's code for an object that is encrypted with a key of its owner's. Such an answer says no more."""

TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class Original(NamedTuple):
    """A photo as it was uploaded, and whether its owner agreed to tell where it was taken (`place: yes`)."""

    data: bytes
    with_place: bool


class Latest(NamedTuple):
    """The latest version of a photo that is in the bucket."""

    object: str | None
    etag: str
    size: int


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a version of a photo has come.

    Attributes:
        begun: how often decoding began, and did not end.
        photo: what came of it, as its content's document is to have it; None if nothing has, yet.
    """

    begun: int = 0
    photo: Document | None = None


class Found(NamedTuple):
    """A progress, when it was noted (seconds since 1970, by S3's clock), and the ETag of its object."""

    progress: Progress
    noted: float = 0.0
    etag: str = ""


class Overtaken(RuntimeError):
    """Another invocation is at work on the same event; this one is to be tried again."""


class PhotoFiles:
    """The photos' objects. Every method raises ClientError or BotoCoreError if a call fails.

    Args:
        s3: a boto3 S3 client.
        bucket: the bucket's name.
        calls: makes several calls.
    """

    def __init__(self, s3: S3Client, bucket: str, calls: MapCalls) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._calls = calls

    def original(self, told: Notification) -> Original | Unsupported | None:
        """The version that an event tells of, or why it cannot be read; None if it is gone, or is another by now."""
        version: Any = {"VersionId": told.object} if told.object else {}
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=told.name, IfMatch=told.etag, **version)
            metadata = {name.lower(): value for name, value in found.get("Metadata", {}).items()}
            return Original(found["Body"].read(), metadata.get("place", "").lower() == "yes")
        except ClientError as error:
            if is_gone(error):
                return None
            if why := UNREADABLE.get(code_of(error)):
                return Unsupported(why)
            raise

    def latest(self, name: str) -> Latest | None:
        """The latest version of a photo; None if it is deleted."""
        try:
            found = self._s3.head_object(Bucket=self._bucket, Key=name)
        except ClientError as error:
            if is_gone(error):
                return None
            if code_of(error) == UNSEEN:
                return Latest(None, "", 0)
            raise
        return Latest(found.get("VersionId"), found["ETag"].strip('"'), found["ContentLength"])

    def progress(self, told: Notification) -> Found:
        """How far the event's photo has come."""
        try:
            found = self._s3.get_object(Bucket=self._bucket, Key=_outcome_name(told))
        except ClientError as error:
            if is_gone(error):
                return Found(Progress())
            raise
        progress = msgspec.json.decode(found["Body"].read(), type=Progress)
        return Found(progress, found["LastModified"].timestamp(), found["ETag"])

    def begin(self, told: Notification, before: Found) -> str:
        """Note that decoding begins; the ETag of the note.

        Raises:
            Overtaken: somebody else has noted something since.
        """
        condition: Any = {"IfMatch": before.etag} if before.etag else {"IfNoneMatch": "*"}
        try:
            return self._note(told, Progress(before.progress.begun + 1), **condition)
        except ClientError as error:
            if code_of(error) in TAKEN | GONE:
                raise Overtaken(f"{told.name}, version {told.version}") from None
            raise

    def end(self, told: Notification, before: Found, begun: str) -> None:
        """Take back that decoding began, by the ETag of that note: it failed for a reason that is not the photo's."""
        try:
            self._note(told, before.progress, IfMatch=begun)
        except ClientError as error:
            if code_of(error) not in TAKEN | GONE:  # else somebody else has noted something since
                raise

    def finish(self, told: Notification, photo: Document) -> None:
        """Note what came of a photo, once its thumbnails are stored."""
        self._note(told, Progress(photo=photo))

    def put(self, thumbnails: Iterable[tuple[str, Thumbnail]]) -> None:
        """Store thumbnails under these names."""
        for answer in self._calls(lambda one: self._put(*one), thumbnails):
            if not answer.get("ETag"):  # an answer from something other than S3 has none
                raise RuntimeError("the answer of S3 does not say that a thumbnail is stored")

    def clear(self, told: Notification, *, but_progress: bool = False) -> None:
        """Delete whatever was made of the event's photo; the note of how far it has come, too, if it is not to stay.

        Raises:
            Undeleted: S3 did not delete some.
        """
        prefix = f"{thumbnails_prefix(told.photo)}{told.version}/"
        kept = {_outcome_name(told)} if but_progress else set()
        made = [name for name in names_below(self._s3, self._bucket, prefix) if name not in kept]
        delete_all(self._s3, self._bucket, made)

    def _put(self, name: str, thumbnail: Thumbnail) -> Any:
        return self._s3.put_object(
            Bucket=self._bucket,
            Key=name,
            Body=thumbnail.data,
            ContentType=thumbnail.type,
            CacheControl=IMMUTABLE,
        )

    def _note(self, told: Notification, progress: Progress, **condition: Any) -> str:
        body = msgspec.json.encode(progress)
        name, kind = _outcome_name(told), "application/json"
        return self._s3.put_object(Bucket=self._bucket, Key=name, Body=body, ContentType=kind, **condition)["ETag"]


def _outcome_name(told: Notification) -> str:
    return f"{thumbnails_prefix(told.photo)}{told.version}/outcome.json"
