"""Thumbnails a second and core, against a plain loop of Pillow's with the same sizes and the same encoders' settings.

Photos as phones make them: 12 megapixels, as JPEG, held upright and sideways; and small ones. Everything counts that
imaging takes, reading and forking too, but for the beginning of its process, once an environment. A thumbnail's
likeness is its SSIM to one made by floats, the whole picture decoded, resized at once and not encoded; here those of
../shared/data/photos count too, where that is.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from io import BytesIO
from statistics import mean

import numpy as np
from PIL import Image, ImageOps
from skimage.metrics import structural_similarity

from tests.consumers.tidemill_media.imaging.photos import DATA, exif, file, opened, picture
from tests.perf.measure import AT_LEAST, Result, one_core, result
from tidemill_media.imaging.apart import Server, judged
from tidemill_media.imaging.making import JPEG, WEBP, fitting
from tidemill_media.imaging.results import Job, Made

SIZES = (1024, 512, 256)
FORMATS = ("webp", "jpeg")
PHOTOS = 4
"""Photos that are made of each size: half of them lie sideways."""

SIDES = (4032, 3024)
SMALL_SIDES = (1600, 1200)
"""Two megapixels: nearly all of the time is the encoders', which are the same."""

QUALITY = 90
SIDEWAYS = 6

REAL = ("formats/Apple_iPhone_4.jpg", "orientation/Landscape_1.jpg", "orientation/Landscape_6.jpg")

Thumbnails = list[bytes]
"""Of one photo: sizes, of each the formats."""


def photos(pairs: int) -> list[Result]:
    """The CPU time of both, and how like their thumbnails are to exact ones."""
    phones = [_photo(*SIDES, number) for number in range(PHOTOS)]
    small = [_photo(*SMALL_SIDES, number) for number in range(PHOTOS)]
    real = [(DATA / name).read_bytes() for name in REAL if DATA.exists()]
    with one_core():
        rows = [_rate("thumbnails", phones, 1.5, pairs), _rate("thumbnails_small", small, 0.8, pairs)]
    return [*rows, _likeness(phones + small + real)]


def _rate(name: str, files: list[bytes], goal: float, pairs: int) -> Result:
    count = len(files) * len(SIZES) * len(FORMATS)
    ratios, rates = [], []
    for _ in range(pairs):
        before, after = cpu_seconds(plain, files), cpu_seconds(ours, files) - cpu_seconds(ours, [])
        ratios.append(before / after)
        rates.append(count / after)
    unit = f"x the thumbnails a second and core of plain Pillow ({mean(rates):.1f} here), {AT_LEAST}"
    return result(name, ratios, goal, unit)


def _photo(width: int, height: int, number: int) -> bytes:
    return file(picture(width, height, number), quality=QUALITY, exif=exif(SIDEWAYS if number % 2 else 1))


def plain(files: list[bytes]) -> list[Thumbnails]:
    """As tutorials have it."""
    return [_plain(data) for data in files]


def _plain(data: bytes) -> Thumbnails:
    made = []
    upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    for size in SIZES:
        image = upright.copy()
        image.thumbnail((size, size), Image.Resampling.LANCZOS)
        for name, options in (("WEBP", WEBP), ("JPEG", JPEG)):
            written = BytesIO()
            image.save(written, name, **options)
            made.append(written.getvalue())
    return made


def ours(files: list[bytes]) -> list[Thumbnails]:
    """By a process apart, started for these files."""
    server = Server()
    try:
        server.ask(Job(SIZES, FORMATS), b"")
        outcomes = [judged(*server.ask(Job(SIZES, FORMATS), data)) for data in files]
    finally:
        server.close()
    assert all(isinstance(one, Made) for one in outcomes)
    return [[one.data for one in outcome.thumbnails] for outcome in outcomes if isinstance(outcome, Made)]


def _likeness(files: list[bytes]) -> Result:
    """By how much the SSIM of ours is above that of theirs, on average.

    The lowest is an encoder's doing: that of WebP may choose otherwise for a picture that hardly differs.
    """
    theirs, own = [], []
    for data, before, after in zip(files, plain(files), ours(files), strict=True):
        upright = ImageOps.exif_transpose(Image.open(BytesIO(data)))
        exact = [one for size in SIZES for one in [_exact(upright, size)] * len(FORMATS)]
        theirs += [_ssim(one, thumbnail) for one, thumbnail in zip(exact, before, strict=True)]
        own += [_ssim(one, thumbnail) for one, thumbnail in zip(exact, after, strict=True)]
    above = [one - other for one, other in zip(own, theirs, strict=True)]
    unit = f"of SSIM above plain Pillow's ({mean(own):.4f} and {mean(theirs):.4f} on average), {AT_LEAST}"
    return Result("thumbnails_ssim", mean(above), -0.005, min(above), max(above), unit)


def _exact(image: Image.Image, size: int) -> np.ndarray:
    sides = fitting(*image.size, size)
    channels = (
        channel.convert("F").resize(sides, Image.Resampling.LANCZOS) for channel in image.convert("RGB").split()
    )
    return np.stack([np.asarray(channel) for channel in channels], -1)


def _ssim(exact: np.ndarray, thumbnail: bytes) -> float:
    shown = np.asarray(opened(thumbnail).convert("RGB"), np.float32)
    return float(structural_similarity(exact, shown, channel_axis=-1, data_range=255))  # type: ignore[no-untyped-call] # it has no types


def cpu_seconds(work: Callable[[list[bytes]], object], files: list[bytes]) -> float:
    """CPU seconds of this process, and of those that it started and that have ended."""
    gc.collect()
    start = _spent()
    work(files)
    return _spent() - start


def _spent() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
