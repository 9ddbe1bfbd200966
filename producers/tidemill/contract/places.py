"""Where things lie in the content bucket: the names that clients, consumers and functions agree on.

Room: contract. Pure. An identity is one part of a name, as it stands in IAM's `${cognito-identity.amazonaws.com:sub}`,
so that the client role can confine a client to its own; a key keeps its slashes. No part of a name is `.` or `..`, for
whoever handles paths may resolve these.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote

from tidemill.contract.request import MAX_KEY_CHARACTERS

OBJECTS = "objects/"
"""Objects that rules store, each by the SHA-256 of its bytes."""

UPLOADS = "uploads/"
"""The data of large requests, by identity and SHA-256."""

PHOTOS = "photos/"
"""Photos as they were uploaded, by identity and ordering key."""

THUMBNAILS = "thumbnails/"
"""Thumbnails that are made of each photo when it comes, by identity, ordering key and the photo's version."""

CACHED = "cached/"
"""Thumbnails of other sizes, made when they are asked for; they expire."""

INDEX = "index/"
"""The index of contents."""

MAX_NAME_BYTES = 800
"""Longest name of a photo: S3 allows 1,024 bytes, of which its thumbnails' names need some more."""

VERSION_DIGITS = 32
"""Digits of a photo's version; S3's sequencers have 16 to 18."""

_OBJECT = re.compile(rf"{OBJECTS}[0-9a-f]{{64}}".encode())
_HEXADECIMAL = re.compile(rf"[0-9a-f]{{1,{VERSION_DIGITS}}}")


class Photo(NamedTuple):
    """Whose photo it is, and of which entity."""

    identity: str
    key: str


def object_name(digest: str) -> str:
    """The name of an object that a rule stores, by its SHA-256 in lower-case hexadecimal digits."""
    return f"{OBJECTS}{digest}"


def object_names(encoded: bytes) -> set[str]:
    """The names of objects that stand anywhere in JSON, by themselves or within longer texts."""
    return {name.decode() for name in _OBJECT.findall(encoded)}


def upload_name(identity: str, digest: str) -> str:
    """The name of a large request's data, by the SHA-256 of its bytes."""
    return f"{UPLOADS}{_part(identity)}/{digest}"


def photo_name(identity: str, key: str) -> str:
    """The name of the photo of an entity.

    Raises:
        ValueError: identity or key is no text, is empty or fits no request, or they are too long together.
    """
    for what, text in {"identity": identity, "key": key}.items():
        if not isinstance(text, str):
            raise ValueError(f"the {what} of a photo is {type(text).__name__}, and must be text")
    if not identity or not key:
        raise ValueError("a photo has an identity and a key")
    if (longest := max(len(identity), len(key))) > MAX_KEY_CHARACTERS:
        raise ValueError(f"an identity or a key of {longest} characters; {MAX_KEY_CHARACTERS} fit a request")
    name = f"{PHOTOS}{_path(Photo(identity, key))}"
    if len(name) > MAX_NAME_BYTES:
        raise ValueError(f"the identity and the key of a photo take {len(name)} bytes; {MAX_NAME_BYTES} fit")
    return name


def photo_of(name: str) -> Photo | None:
    """Whose photo an object is, by its name; None if `photo_name` makes no such name."""
    identity, _, key = name.removeprefix(PHOTOS).partition("/")
    photo = Photo(unquote(identity), unquote(key))
    try:
        return photo if name == photo_name(*photo) else None
    except ValueError:
        return None


def thumbnails_prefix(photo: Photo, prefix: str = THUMBNAILS) -> str:
    """How the names of all thumbnails of an entity's photo begin, whatever its version."""
    return f"{prefix}{_path(photo)}/v="  # no quoted key has a "="


def thumbnail_name(photo: Photo, version: str, size: int, extension: str, prefix: str = THUMBNAILS) -> str:
    """The name of a thumbnail.

    Args:
        photo: whose it is.
        version: of the photo: `photo_version` of its notification's sequencer.
        size: the longest side that it may have, in pixels.
        extension: of the file, such as `webp`.
        prefix: THUMBNAILS or CACHED.
    """
    return f"{thumbnails_prefix(photo, prefix)}{version}/{size}.{extension}"


def index_folder(owner: str | None = None) -> str:
    """How the names of an index's files begin: of all contents, or of one owner's.

    Raises:
        ValueError: the owner is empty, or its name is too long for S3.
    """
    if owner is None:
        return f"{INDEX}all/"
    part = _part(owner)
    if not part or len(part) > MAX_NAME_BYTES:
        raise ValueError(f"an index's owner takes {len(part)} bytes; 1 to {MAX_NAME_BYTES} fit")
    if not part.strip("."):  # a path that is tidied up would lose it
        part = part.replace(".", "%2E")
    return f"{INDEX}by/{part}/"


def photo_version(sequencer: str) -> str:
    """A notification's sequencer as text that sorts by when it happened.

    "The sequencer values can be of different lengths. Therefore, to compare these values, first right pad the shorter
    value with zeros, and then do a lexicographical comparison."
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html

    Raises:
        ValueError: it is no hexadecimal number, or has more digits than S3 was ever seen to give.
    """
    digits = sequencer.lower()
    if not _HEXADECIMAL.fullmatch(digits):
        raise ValueError(f"{sequencer[:40]!r} is no sequencer")
    return digits.ljust(VERSION_DIGITS, "0")


def _part(text: str, safe: str = ":@") -> str:
    return "%2E" * len(text) if text in (".", "..") else quote(text, safe=safe)


def _path(photo: Photo) -> str:
    return f"{_part(photo.identity)}/{'/'.join(_part(one, safe='') for one in photo.key.split('/'))}"
