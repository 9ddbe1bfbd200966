"""The index of contents: entries in pages, and a manifest that lists the pages, as gzipped JSON.

Room: contract. Pure. An index lists what was published with a photo that can be shown, newest first; there is one of
all contents, and one for each owner (`places.index_folder`). Pages never change: a changed page is another file, and
the manifest, the only file that is written again, names it from then on.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple, TypeVar

import msgspec

from tidemill.contract.request import GZIP_MAGIC

T = TypeVar("T")

MANIFEST = "manifest.json"
"""The manifest's name in the folder of its index."""

GRACE_MS = 3_600_000
"""Milliseconds for which a page that the manifest no longer lists can still be read, by whoever has the older one."""

_DIGITS = 16
"""Hexadecimal digits of a page's digest in its name: they tell apart what two writers made of one manifest."""


class Position(NamedTuple):
    """Where an entry stands: by S3's time of its photo's upload, in milliseconds since 1970, and its key."""

    uploaded: int
    key: str


class Shown(msgspec.Struct, frozen=True):
    """A thumbnail: the longest side that it may have, its own sides in pixels, its type, its name in the content
    bucket, and its bytes."""

    size: int
    width: int
    height: int
    type: str
    name: str
    bytes: int


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A content as an index lists it. It has no counters: a view changes no page.

    Attributes:
        key: the content's ordering key, by which its document is read.
        title: its title.
        owner: who published it.
        uploaded: when its photo was uploaded, in milliseconds since 1970 by S3's clock.
        width: of its photo, upright, in pixels.
        height: of its photo, upright, in pixels.
        thumbnails: of its photo.
        taken: when its photo was taken, by the camera's clock, such as 2024-05-01T12:00:00; None if it does not say.
    """

    key: str
    title: str
    owner: str
    uploaded: int
    width: int
    height: int
    thumbnails: tuple[Shown, ...] = ()
    taken: str | None = None

    @property
    def position(self) -> Position:
        """Where it stands."""
        return Position(self.uploaded, self.key)


class Page(msgspec.Struct, frozen=True):
    """A page as the manifest lists it: its file's name in the folder, how many entries it has, its first and last."""

    name: str
    count: int
    newest: Position
    oldest: Position


class Replaced(msgspec.Struct, frozen=True):
    """A page that the manifest does not list any more, and since when, in milliseconds since 1970."""

    name: str
    at: int


class Manifest(msgspec.Struct, frozen=True):
    """The list of an index's pages.

    Attributes:
        version: how often the manifest was written, so that no two of its versions are the same bytes.
        pages: the pages, newest first; their ranges do not overlap.
        replaced: the pages that were listed less than `GRACE_MS` ago, and can still be read.
        incomplete: since when contents may be missing, because a file of the index was lost and nothing was left of it,
            in milliseconds since 1970; None if none is. Rebuilding the index ends it.
    """

    version: int = 0
    pages: tuple[Page, ...] = ()
    replaced: tuple[Replaced, ...] = ()
    incomplete: int | None = None

    @property
    def count(self) -> int:
        """How many entries the index has."""
        return sum(page.count for page in self.pages)


class _Entries(msgspec.Struct):
    entries: tuple[Entry, ...]


class UnreadableIndex(ValueError):
    """A file of the index that is no manifest, or no page."""


def order(position: Position) -> tuple[int, str]:
    """Sorts by it: the newest first."""
    return -position.uploaded, position.key


def page_name(version: int, entries: Sequence[Entry]) -> str:
    """The name of a page's file in the folder of its index, by the manifest's version that first lists it."""
    digest = sha256(msgspec.json.encode(entries)).hexdigest()
    return f"{version}-{digest[:_DIGITS]}.json"


def version_in(name: str) -> int | None:
    """The manifest's version in the name of a page's file; None if it is none of a page."""
    version, dash, _ = name.partition("-")
    return int(version) if dash and version.isdecimal() else None


def write_page(entries: Sequence[Entry]) -> bytes:
    """A page's file, gzipped."""
    return gzip.compress(msgspec.json.encode(_Entries(tuple(entries))), mtime=0)


def write_manifest(manifest: Manifest) -> bytes:
    """The manifest's file, gzipped."""
    return gzip.compress(msgspec.json.encode(manifest), mtime=0)


def read_page(file: bytes) -> tuple[Entry, ...]:
    """The entries of a page, newest first; the file is gzipped, or was already unpacked on its way.

    Raises:
        UnreadableIndex: it is no page.
    """
    return _read(file, _Entries).entries


def read_manifest(file: bytes) -> Manifest:
    """The manifest; the file is gzipped, or was already unpacked on its way.

    Raises:
        UnreadableIndex: it is no manifest.
    """
    return _read(file, Manifest)


def _read(file: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(gzip.decompress(file) if file.startswith(GZIP_MAGIC) else file, type=kind)
    except (msgspec.MsgspecError, OSError, EOFError, zlib.error) as error:
        raise UnreadableIndex(f"no {kind.__name__.strip('_').lower()} of an index: {error}") from None
