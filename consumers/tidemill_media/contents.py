"""Which contents show a photo: those that the index lists, and of which thumbnails are served.

Room: media application, pure. A content shows one if it was published, has not been deleted, and has a photo that could
be decoded. Tests: tests/consumers/tidemill_media/indexing/test_entries.py, processing/test_asked.py beside it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tidemill.contract.content_index import Shown
from tidemill_consumers import State

SHOWN = ("title", "owner", "photo", "deleted")
"""The members of a document that decide what it shows."""

MEMBERS = (*SHOWN, "uploads")
"""The members of a document that tell of its photos, those that wait for it to be published included."""


class ReadyPhoto(msgspec.Struct, frozen=True):
    """A photo that can be shown, as its content's document has it.

    Attributes:
        by: the identity of who uploaded it.
        version: of the photo, which names what is made of it.
        status: that it is ready.
        uploaded: when, in milliseconds since 1970 by S3's clock.
        width: upright, in pixels.
        height: upright, in pixels.
        thumbnails: those that were made when it came.
        object: the version's id in the bucket, if that keeps versions.
        taken: when it was taken, by the camera's clock; None if its file does not say.
    """

    by: str
    version: str
    status: Literal["ready"]
    uploaded: int
    width: int
    height: int
    thumbnails: tuple[Shown, ...]
    object: str | None = None
    taken: str | None = None


class ShownContent(msgspec.Struct, frozen=True):
    """A content that shows a photo."""

    title: str
    owner: str
    photo: ReadyPhoto
    deleted: Literal[False] = False


def shown_by(document: State) -> ShownContent | None:
    """The content in a document; None if it is not published, deleted, without a photo to show, or another's."""
    try:
        return msgspec.convert(document, ShownContent)
    except msgspec.ValidationError:
        return None
