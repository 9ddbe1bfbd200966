"""Tells files apart by their first bytes, whatever their names say, and photos that get thumbnails from others.

Room: contract. Pure. Producers refuse the others before they upload them, and the media function marks them.
"""

from __future__ import annotations

from typing import NamedTuple

MAX_PHOTO_BYTES = 50 * 1024 * 1024
"""Largest file of a photo."""

FIRST_BYTES = 256
"""Bytes at the beginning of a file that say what it is."""


class PhotoType(NamedTuple):
    """A format of photos.

    Attributes:
        name: for people.
        content_type: as HTTP names it.
    """

    name: str
    content_type: str


JPEG = PhotoType("JPEG", "image/jpeg")
PNG = PhotoType("PNG", "image/png")
GIF = PhotoType("GIF", "image/gif")
WEBP = PhotoType("WebP", "image/webp")
BMP = PhotoType("BMP", "image/bmp")
HEIC = PhotoType("HEIC", "image/heic")
AVIF = PhotoType("AVIF", "image/avif")

PHOTO_TYPES = (JPEG, PNG, GIF, WEBP, BMP, HEIC, AVIF)

BRANDS = {b"avif": AVIF, b"avis": AVIF} | dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), HEIC)
"""Of files of ISO's base media format, by https://mp4ra.org/registered-types/brands: those that hold pictures."""

COMMON_BRANDS = (b"mif1", b"msf1", b"miaf")
"""Those of any picture: a compatible brand says which."""

BEGINNINGS: tuple[tuple[bytes, PhotoType | str], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    (b"8BPS", "a Photoshop document"),
    (b"II*\0", "a TIFF, or a camera's raw file"),
    (b"MM\0*", "a TIFF, or a camera's raw file"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"\0\0\x01\0", "an icon"),
    (b"\x1aE\xdf\xa3", "a video (Matroska or WebM)"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"SIMPLE  =", "a FITS file"),
    (b"<svg", "an SVG"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE html", "an HTML page"),
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a zip file"),
)
"""How files begin. Where no PhotoType stands, the text says what it is, for people."""

VIDEO_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""How QuickTime's files begin that have no brand, after a length of four bytes."""


def type_of(data: bytes) -> PhotoType | str:
    """The format of a photo; of other files, for people, what it is.

    Args:
        data: the file, or its FIRST_BYTES.
    """
    if not data:
        return "an empty file"
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    if data[4:8] in VIDEO_BOXES:
        return "a video (QuickTime)"
    if data[:4] == b"RIFF":
        return WEBP if data[8:12] == b"WEBP" else "a video (AVI)" if data[8:12] == b"AVI " else "a RIFF file"
    found = (one for beginning, one in BEGINNINGS if data.startswith(beginning))
    return next(found, "a file of an unknown kind")


def _by_brand(data: bytes) -> PhotoType | str:
    """By the box that such a file begins with: its length, `ftyp`, the brand, a version, the compatible brands."""
    brand = data[8:12]
    if found := BRANDS.get(brand):
        return found
    if brand in COMMON_BRANDS:
        box = data[16 : min(int.from_bytes(data[:4], "big"), FIRST_BYTES)]
        compatible = (BRANDS.get(box[at : at + 4]) for at in range(0, len(box), 4))
        return next((one for one in compatible if one), "a picture in a container (MIAF) with no known brand")
    if brand == b"crx ":
        return "a camera's raw file (CR3)"
    return "a video (QuickTime)" if brand == b"qt  " else "a video (MP4)"
