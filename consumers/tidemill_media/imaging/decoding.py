"""Opens a photo by the decoder of its kind, no larger than needed, within the limit on pixels.

Room: imaging, in the fork. Decoders use one core, so that limits on a core's time and on the clock mean the same. Its
test is tests/consumers/tidemill_media/imaging/test_making.py.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO

from PIL import AvifImagePlugin, Image, JpegImagePlugin, MpoImagePlugin, WebPImagePlugin
from pillow_heif import register_heif_opener

from tidemill_media.imaging import metadata
from tidemill_media.imaging.kinds import MEGAPIXEL, MOST_PIXELS, Kind

GAP = 1.5
"""A JPEG is decoded at a part of its size if at least 1.5 times the largest thumbnail remains: what is less is seen."""

LOADED = (MpoImagePlugin, WebPImagePlugin)
"""Pillow would import these, and what `preinit` imports, when they are first needed: a fork can open no files."""

Image.preinit()
register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


HELD_BYTES = 240_000_000
"""Most bytes of a progressive JPEG's coefficients, two bytes for each pixel and colour: they are held in memory whole,
at whatever size it is decoded, beside the picture."""


class TooLarge(Exception):
    """A picture of more pixels than are decoded; says how many."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture in memory, as it is stored: not upright, in its own colours.

    Attributes:
        image: the picture, which may be smaller than the file's.
        box: the part of the image that is the whole picture; its edges may lie within pixels.
        width: of the file's picture.
        height: of the file's picture.
        profile: its colour profile (ICC); empty if there is none.
        tags: EXIF's main tags.
        details: EXIF's tags of the exposure.
        gps: EXIF's tags of the place.
    """

    image: Image.Image
    box: tuple[float, float, float, float]
    width: int
    height: int
    profile: bytes
    tags: metadata.Tags
    details: metadata.Tags
    gps: metadata.Tags


def decode(data: bytes, kind: Kind, longest: int) -> Decoded:
    """Decode the photo, or its first picture.

    Args:
        data: the file.
        kind: what it is.
        longest: the longest side that is needed, in pixels.

    Raises:
        TooLarge: it has too many pixels.
        Exception: of whatever type its decoder chooses, if it is damaged.
    """
    Image.MAX_IMAGE_PIXELS = kind.most_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged tags, say, which spoil no picture
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(BytesIO(data), formats=[kind.decoder])
            width, height = image.size
            box = _reduced(image, longest)
            image.load()
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise TooLarge(f"it has more than {kind.most_pixels // MEGAPIXEL} million pixels") from error
        return Decoded(image, box, width, height, image.info.get("icc_profile") or b"", *_tags(image))


def _reduced(image: Image.Image, longest: int) -> tuple[float, float, float, float]:
    """Have a JPEG decoded at a part of its size; the box of the whole picture in what is decoded."""
    box: tuple[float, float, float, float] = (0, 0, *image.size)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        _check_coefficients(image)
        scale = min(1, longest * GAP / max(image.size))
        drafted = image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        box = drafted[1] if drafted else box
    if image.width * image.height > MOST_PIXELS:
        raise TooLarge(f"it has more than {MOST_PIXELS // MEGAPIXEL} million pixels where it is decoded")
    return box


def _check_coefficients(image: JpegImagePlugin.JpegImageFile) -> None:
    most = HELD_BYTES // (2 * image.layers)
    if image.info.get("progressive") and image.width * image.height > most:
        raise TooLarge(f"it is progressive and has more than {most // MEGAPIXEL} million pixels")


def _tags(image: Image.Image) -> tuple[metadata.Tags, metadata.Tags, metadata.Tags]:
    """EXIF's tags in its three tables. Tags that cannot be read spoil no picture."""
    try:
        tags = image.getexif()
        return dict(tags), tags.get_ifd(0x8769), tags.get_ifd(0x8825)
    except Exception:  # of whatever type: damaged tags end in all of them
        return {}, {}, {}
