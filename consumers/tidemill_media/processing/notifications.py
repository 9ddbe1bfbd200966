"""Reads the events of photos in the bucket, as EventBridge hands on S3's notifications.

Room: media application, pure.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from tidemill.contract.places import Photo, photo_of, photo_version


class Notification(NamedTuple):
    """An event of a photo.

    Attributes:
        bucket: the bucket's name.
        name: the photo's, in the bucket.
        photo: whose it is, and of which content.
        version: text that sorts by when it happened.
        kind: `uploaded`: these bytes are its latest version. `removed`: it has none. `version gone`: one of its
            versions was deleted for good, such as a former one that expired; how it is now is for the bucket to say.
        object: the version's id in the bucket, if it keeps versions.
        etag: of the version.
        size: its bytes.
        at: when it happened, in milliseconds since 1970 by S3's clock.
    """

    bucket: str
    name: str
    photo: Photo
    version: str
    kind: Literal["uploaded", "removed", "version gone"]
    object: str | None
    etag: str
    size: int
    at: int


class _Bucket(msgspec.Struct):
    name: str


class _Object(msgspec.Struct, rename="kebab"):
    key: str
    sequencer: str
    version_id: str | None = None
    etag: str = ""
    size: int = 0


class _Detail(msgspec.Struct, rename="kebab"):
    bucket: _Bucket
    object: _Object
    deletion_type: Literal["Permanently Deleted", "Delete Marker Created"] | None = None


class _Event(msgspec.Struct, rename="kebab"):
    detail_type: Literal["Object Created", "Object Deleted"]
    time: datetime
    detail: _Detail


def read(event: Any) -> Notification | None:
    """The notification in an event; None if its object's name is not that of a content's photo.

    Raises:
        ValueError: it is no event of an object that was created or deleted.
    """
    found = msgspec.convert(event, _Event)
    stored = found.detail.object
    photo = photo_of(stored.key)
    if photo is None:
        return None
    return Notification(
        bucket=found.detail.bucket.name,
        name=stored.key,
        photo=photo,
        version=photo_version(stored.sequencer),
        kind=_kind(found),
        object=stored.version_id,
        etag=stored.etag,
        size=stored.size,
        at=int(found.time.timestamp() * 1000),
    )


def _kind(event: _Event) -> Literal["uploaded", "removed", "version gone"]:
    if event.detail_type == "Object Created":
        return "uploaded"
    return "removed" if event.detail.deletion_type == "Delete Marker Created" else "version gone"
