"""What a file is, by its first bytes, whatever its name says; and which kinds are photos that can be decoded.

Room: imaging. Pure. Each photo is opened by its own decoder and no other: those of rarer formats are where bombs and
holes were found.
"""

from __future__ import annotations

from dataclasses import dataclass

MEGAPIXEL = 1_000_000

MOST_PIXELS = 25 * MEGAPIXEL
"""Most pixels that are decoded."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A format of photos.

    Attributes:
        name: for people.
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

BRANDS = {b"avif": AVIF, b"avis": AVIF} | dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), HEIC)
"""Of files of ISO's base media format, by https://mp4ra.org/registered-types/brands: those that hold pictures."""

COMMON_BRANDS = (b"mif1", b"msf1", b"miaf")
"""Those of any picture: a compatible brand says which."""

BEGINNINGS: tuple[tuple[bytes, Kind | str], ...] = (
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
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a zip file"),
)
"""How files begin. Where no Kind stands, the text says what it is, for people."""

VIDEO_BOXES = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""How QuickTime's files begin that have no brand, after a length of four bytes."""


def kind_of(data: bytes) -> Kind | str:
    """The kind of a photo; of other files, for people, what it is."""
    if not data:
        return "an empty file"
    if data[4:8] == b"ftyp":
        return _by_brand(data)
    if data[4:8] in VIDEO_BOXES:
        return "a video (QuickTime)"
    if data[:4] == b"RIFF":
        return WEBP if data[8:12] == b"WEBP" else "a video (AVI)" if data[8:12] == b"AVI " else "a RIFF file"
    found = (kind for beginning, kind in BEGINNINGS if data.startswith(beginning))
    return next(found, "a file of an unknown kind")


def _by_brand(data: bytes) -> Kind | str:
    """By the box that such a file begins with: its length, `ftyp`, the brand, a version, the compatible brands."""
    brand = data[8:12]
    if kind := BRANDS.get(brand):
        return kind
    if brand in COMMON_BRANDS:
        box = data[16 : min(int.from_bytes(data[:4], "big"), 256)]
        compatible = (BRANDS.get(box[at : at + 4]) for at in range(0, len(box), 4))
        return next((kind for kind in compatible if kind), "a picture in a container (MIAF) with no known brand")
    if brand == b"crx ":
        return "a camera's raw file (CR3)"
    return "a video (QuickTime)" if brand == b"qt  " else "a video (MP4)"
