"""Reads a thumbnail's path, and finds the photo in the document that is looked up for it.

Room: media application, pure. Only contents can be asked for, as these alone can be read by clients; and of these, what
was published and has a photo that can be shown.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from tidemill.contract.places import CACHED, Photo, thumbnail_name
from tidemill.contract.request import MAX_KEY_CHARACTERS
from tidemill_consumers import State
from tidemill_media.contents import ReadyPhoto, shown_by

_PATH = re.compile(r"/thumbnails/(content/.+)/([1-9][0-9]{0,3})\.(webp|jpeg)", re.DOTALL)


class Asked(NamedTuple):
    """A thumbnail that is asked for.

    Attributes:
        key: of the content.
        size: the longest side that it may have, in pixels.
        extension: `webp` or `jpeg`.
    """

    key: str
    size: int
    extension: str


def read(path: str) -> Asked | None:
    """The thumbnail that a path asks for; None if it is none of a content's.

    Args:
        path: `/thumbnails/KEY/SIZE.EXTENSION`, the key percent-encoded, its slashes or not. An HTTP API hands it on
            with every escape decoded but that of the percent sign, which is decoded here.
    """
    found = _PATH.fullmatch(unquote(path))
    if found is None or len(found[1]) > MAX_KEY_CHARACTERS:
        return None
    return Asked(found[1], int(found[2]), found[3])


def ready(document: State) -> ReadyPhoto | None:
    """The photo that a document shows; None if it shows none."""
    content = shown_by(document)
    return content.photo if content else None


def made_before(asked: Asked, photo: ReadyPhoto) -> str | None:
    """The name of the thumbnail that was made when the photo came, if it is the one that is asked for."""
    wanted = (asked.size, f"image/{asked.extension}")
    return next((one.name for one in photo.thumbnails if (one.size, one.type) == wanted), None)


def cached_name(asked: Asked, photo: ReadyPhoto) -> str:
    """The name of what is made because it was asked for."""
    return thumbnail_name(Photo(photo.by, asked.key), photo.version, asked.size, asked.extension, CACHED)
