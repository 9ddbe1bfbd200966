"""A content's entry in the index, by its document.

Room: media application, pure. Listed is what has a title, an owner and a photo that can be shown: a photo that cannot
be decoded has nothing to show, and its document says why.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tidemill.contract.content_index import Entry, Shown
from tidemill.contract.request import Document
from tidemill_consumers import State


class _Photo(msgspec.Struct):
    status: Literal["ready"]
    uploaded: int
    width: int
    height: int
    thumbnails: tuple[Shown, ...]
    taken: str | None = None


class _Content(msgspec.Struct):
    title: str
    owner: str
    photo: _Photo
    deleted: Literal[False] = False


SHOWN = ("title", "owner", "photo", "deleted")
"""The members of a document that its entry is made of."""


def entry_of(key: str, document: State) -> Entry | None:
    """The entry of the content of this key; None if it is not to be listed."""
    shown: Document = {name: document[name] for name in SHOWN if name in document} if document else {}
    try:
        content = msgspec.convert(shown, _Content)
    except msgspec.ValidationError:  # not published, without a photo, deleted, or another application's
        return None
    photo = content.photo
    whole = (content.title, content.owner, photo.uploaded, photo.width, photo.height, photo.thumbnails, photo.taken)
    return Entry(key, *whole)
