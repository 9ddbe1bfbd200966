"""Which decoder opens a photo, and how many pixels it may have.

Room: imaging. Pure. Each photo is opened by its own decoder and no other: those of rarer formats are where bombs and
holes were found.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.contract.photo_files import type_of

MEGAPIXEL = 1_000_000

MOST_PIXELS = 25 * MEGAPIXEL
"""Most pixels that are decoded."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A format of photos.

    Attributes:
        name: for people; that of its `PhotoType`.
        decoder: Pillow's name of it.
        most_pixels: most pixels that the file may have.
    """

    name: str
    decoder: str
    most_pixels: int = MOST_PIXELS


JPEG = Kind("JPEG", "JPEG", 200 * MEGAPIXEL)  # decoded at 1/2, 1/4 or 1/8 of its size, so that MOST_PIXELS holds
PNG = Kind("PNG", "PNG")
GIF = Kind("GIF", "GIF")
WEBP = Kind("WebP", "WEBP", 20 * MEGAPIXEL)  # its decoder holds the picture four times
BMP = Kind("BMP", "BMP")
HEIC = Kind("HEIC", "HEIF")
AVIF = Kind("AVIF", "AVIF")

KINDS = (JPEG, PNG, GIF, WEBP, BMP, HEIC, AVIF)
_OF_NAME = {kind.name: kind for kind in KINDS}


def kind_of(data: bytes) -> Kind | str:
    """The kind of a photo, by its first bytes; of other files, for people, what it is."""
    found = type_of(data)
    return found if isinstance(found, str) else _OF_NAME[found.name]
