"""The outcome of a photo: thumbnails and the metadata of its file, or the reason why there are none.

Room: imaging. Values, as both processes pass them on; msgspec checks their types on arrival. Its test is
tests/consumers/tidemill_media/imaging/test_apart.py.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

FORMATS = ("webp", "jpeg")
"""The formats of thumbnails: the names of their files' extensions, and of their types after `image/`."""

LARGEST_SIZE = 2048
"""The largest size of a thumbnail, in pixels."""


class Place(msgspec.Struct, frozen=True):
    """Where a photo was taken: degrees, north and east positive, to six decimals (0.1 m)."""

    latitude: float
    longitude: float


class Thumbnail(msgspec.Struct, frozen=True):
    """A thumbnail, upright, in sRGB, without metadata.

    Attributes:
        size: that was asked for: the longest side that it may have.
        width: in pixels; a photo is never enlarged.
        height: in pixels.
        type: its media type, such as `image/webp`.
        data: the file.
    """

    size: int
    width: int
    height: int
    type: str
    data: bytes


class Made(msgspec.Struct, frozen=True, tag=True):
    """A photo that was decoded.

    Attributes:
        format: JPEG, PNG, GIF, WebP, BMP, HEIC or AVIF.
        width: of the photo held upright, in pixels.
        height: of the photo held upright, in pixels.
        taken: when, by the camera's clock, as ISO 8601, with the offset from UTC if the file has it.
        camera: maker and model, at most 64 printable characters.
        place: where, if the file has it. It is the caller who asks whether the owner agreed to tell it.
        thumbnails: one of each size and format, in the order in which they were asked for.
    """

    format: str
    width: int
    height: int
    taken: str | None
    camera: str | None
    place: Place | None
    thumbnails: tuple[Thumbnail, ...]


class Unsupported(msgspec.Struct, frozen=True, tag=True):
    """A file of which no thumbnail comes, now or later: the reason, for people, in one sentence without a full stop."""

    reason: str


Outcome: TypeAlias = Made | Unsupported


class Job(msgspec.Struct, frozen=True):
    """The thumbnails that are asked for of a photo: their sizes, and some of FORMATS."""

    sizes: tuple[int, ...]
    formats: tuple[str, ...]


class Ending(msgspec.Struct, frozen=True):
    """How the process that decoded a photo ended.

    Attributes:
        status: its exit code; a signal's number, negative, if that ended it.
        is_overdue: whether it was killed because it had not ended by the time on the clock.
        seconds: of a core's time that it took.
        peak: most bytes of memory that it had, those that it shared with the process that forked it included.
    """

    status: int
    is_overdue: bool
    seconds: float
    peak: int


def sizes_of(setting: str) -> tuple[int, ...]:
    """The sizes in a setting, with commas between."""
    return tuple(int(size) for size in setting.split(","))
