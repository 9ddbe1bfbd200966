"""Makes a photo's thumbnails, from the largest to the smallest, and reads the metadata of its file.

Room: imaging, in the fork. The largest thumbnail is made of the picture; a smaller one of a larger one that has at
least twice its size, which is as good (`make perf`, thumbnails). So turning and colours cost what they cost for the
largest thumbnail, not for the picture.
"""

from __future__ import annotations

import re
from io import BytesIO

from PIL import Image

from tidemill_media.imaging import metadata
from tidemill_media.imaging.colours import flattened, resizable, to_srgb
from tidemill_media.imaging.decoding import Decoded, TooLarge, decode
from tidemill_media.imaging.kinds import kind_of
from tidemill_media.imaging.results import Job, Made, Outcome, Thumbnail, Unsupported

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation -> the turn that makes a picture upright."""

SIDEWAYS = (5, 6, 7, 8)

REDUCING_GAP = 2.0
"""Pillow's default for thumbnails: whole pixels are averaged first as long as twice the size remains."""

CASCADE = 2.0
"""A thumbnail is made of another one that is at least twice as large."""

WEBP = {"quality": 80, "method": 4}
JPEG = {"quality": 80, "optimize": True}

REASON_CHARACTERS = 120

_ADDRESSED = re.compile(r" ?<[^<>]* at 0x[0-9a-fA-F]+>")
"""How Python names an object without a name of its own. Where it lies in memory is nobody's business, and differs each
time."""


def make(data: bytes, job: Job) -> Outcome:
    """The thumbnails and the metadata, or why there are none.

    Raises:
        MemoryError: it takes more than this process may have.
    """
    kind = kind_of(data)
    if isinstance(kind, str):
        return Unsupported(f"it is {kind}, not a photo that can be decoded")
    try:
        decoded = decode(data, kind, max(job.sizes, default=1))
        return _made(kind.name, decoded, job)
    except TooLarge as error:
        return Unsupported(str(error))
    except MemoryError:
        raise
    except Exception as error:  # of whatever type: each decoder has its own
        return Unsupported(f"the {kind.name} file cannot be decoded ({_printable(error)})")


def _made(name: str, decoded: Decoded, job: Job) -> Made:
    turn = metadata.orientation(decoded.tags)
    width, height = (decoded.height, decoded.width) if turn in SIDEWAYS else (decoded.width, decoded.height)
    images: list[Image.Image] = []
    for size in sorted(set(job.sizes), reverse=True):
        wanted = fitting(width, height, size)
        images.append(_smaller(images, wanted) if images else _largest(decoded, turn, wanted))
        decoded.image.close()  # its memory is better used by encoders
    return Made(
        format=name,
        width=width,
        height=height,
        taken=metadata.taken(decoded.details),
        camera=metadata.camera(decoded.tags),
        place=metadata.place(decoded.gps),
        thumbnails=_thumbnails(images, job),
    )


def _largest(decoded: Decoded, turn: int, wanted: tuple[int, int]) -> Image.Image:
    """The largest thumbnail, upright and in sRGB, made of the picture."""
    image = resizable(decoded.image)
    stored = wanted[::-1] if turn in SIDEWAYS else wanted
    if image.size != stored:
        image = image.resize(stored, Image.Resampling.LANCZOS, decoded.box, REDUCING_GAP)
    if turn in TURNS:
        image = image.transpose(TURNS[turn])
    image = to_srgb(image, decoded.profile)
    image.info = {}  # nothing of it, such as a comment, goes into a thumbnail
    return image


def _smaller(larger: list[Image.Image], wanted: tuple[int, int]) -> Image.Image:
    """A thumbnail made of the smallest that is large enough, or else of the largest."""
    enough = (image for image in reversed(larger) if max(image.size) >= CASCADE * max(wanted))
    image = next(enough, larger[0])
    return image if image.size == wanted else image.resize(wanted, Image.Resampling.LANCZOS)


def _thumbnails(images: list[Image.Image], job: Job) -> tuple[Thumbnail, ...]:
    """Each image, the largest first, in each format; in the order of the job."""
    by_size = dict(zip(sorted(set(job.sizes), reverse=True), images, strict=True))
    return tuple(
        Thumbnail(size, *by_size[size].size, f"image/{form}", _encoded(by_size[size], form))
        for size in job.sizes
        for form in job.formats
    )


def fitting(width: int, height: int, size: int) -> tuple[int, int]:
    """The picture's sides, made smaller until the longest is `size`; never larger than they are, never 0."""
    scale = min(1, size / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _encoded(image: Image.Image, form: str) -> bytes:
    file = BytesIO()
    if form == "webp":
        image.save(file, "WEBP", **WEBP)
    else:
        flattened(image).save(file, "JPEG", **JPEG)
    return file.getvalue()


def _printable(error: Exception) -> str:
    text = "".join(one for one in _ADDRESSED.sub("", str(error)) if one.isprintable())
    return text[:REASON_CHARACTERS] or type(error).__name__
