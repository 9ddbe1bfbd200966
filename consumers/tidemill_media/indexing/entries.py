"""A content's entry in the index, by its document.

Room: media application, pure. Listed is what shows a photo: one that cannot be decoded has nothing to show, and its
document says why.
"""

from __future__ import annotations

from tidemill.contract.content_index import Entry
from tidemill_consumers import State
from tidemill_media.contents import shown_by


def entry_of(key: str, document: State) -> Entry | None:
    """The entry of the content of this key; None if it is not to be listed."""
    content = shown_by(document)
    if content is None:
        return None
    photo = content.photo
    whole = (content.title, content.owner, photo.uploaded, photo.width, photo.height, photo.thumbnails, photo.taken)
    return Entry(key, *whole)
