"""Photos for a demo without any of one's own: a tide mill by the sea, at different hours and in different formats.

Room: command line. The same seed gives the same pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1280, 960
HORIZON = 560

ORIENTATION, MODEL, DETAILS, PLACE = 0x0112, 0x0110, 0x8769, 0x8825
TAKEN = 0x9003
NORTH_OR_SOUTH, LATITUDE, EAST_OR_WEST, LONGITUDE = 1, 2, 3, 4
"""Tags of EXIF 2.32, https://www.cipa.jp/e/std/std-sec.html."""

ELING = {
    NORTH_OR_SOUTH: "N",
    LATITUDE: (50.0, 54.0, 42.0),
    EAST_OR_WEST: "W",
    LONGITUDE: (1.0, 28.0, 52.0),
}
"""A place with a tide mill, in degrees, minutes and seconds."""

TURNED = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}
"""Orientation -> how the camera held the upright picture."""

HOURS = (
    ("Before dawn", 5, (16, 24, 58), (120, 86, 120)),
    ("Dawn", 6, (68, 82, 140), (250, 170, 120)),
    ("Morning", 9, (84, 150, 220), (216, 232, 240)),
    ("Noon", 12, (40, 120, 214), (186, 222, 244)),
    ("Afternoon", 15, (70, 136, 206), (240, 226, 196)),
    ("Evening", 18, (92, 72, 136), (252, 148, 74)),
    ("Dusk", 20, (30, 30, 80), (196, 92, 92)),
    ("Night", 23, (6, 10, 32), (30, 44, 84)),
)
"""Title, hour, and the sky's colours above and at the horizon."""

FORMATS = ("JPEG", "JPEG", "PNG", "JPEG", "WEBP", "JPEG", "GIF", "AVIF")
SUFFIXES = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "AVIF": "avif"}
ORIENTATIONS = (1, 6, 1, 3, 1, 8, 1, 1)


class Shot(NamedTuple):
    """A photo to upload.

    Attributes:
        name: of its file.
        title: to publish it under.
        photo: the file's bytes, or its path.
    """

    name: str
    title: str
    photo: bytes | Path


def shots(seed: int) -> Iterator[Shot]:
    """Eight photos, and a file that is none."""
    random = np.random.default_rng(seed)
    for (title, hour, *sky), kind, orientation in zip(HOURS, FORMATS, ORIENTATIONS, strict=True):
        name = f"{title.lower().replace(' ', '-')}.{SUFFIXES[kind]}"
        yield Shot(name, title, _file(_picture(random, *sky), kind, orientation, hour))
    yield Shot("drawing.psd", "A drawing", b"8BPS\x00\x01" + bytes(200))


def _file(picture: Image.Image, kind: str, orientation: int, hour: int) -> bytes:
    kept = BytesIO()
    if kind == "JPEG":
        exif = Image.Exif()
        exif[ORIENTATION], exif[MODEL] = orientation, "Tide Camera 1"
        exif.get_ifd(PLACE).update(ELING)
        exif.get_ifd(DETAILS)[TAKEN] = f"2026:06:21 {hour:02}:30:00"
        held = picture.transpose(TURNED[orientation]) if orientation in TURNED else picture
        held.save(kept, kind, quality=88, exif=exif)
    else:
        picture.save(kept, kind, **({"speed": 9} if kind == "AVIF" else {}))
    return kept.getvalue()


def _picture(random: np.random.Generator, high: tuple[int, int, int], low: tuple[int, int, int]) -> Image.Image:
    """The mill under a sky that goes from one colour down to another."""
    sky = _between(high, low, HORIZON)
    sea = _between(low, high, HEIGHT - HORIZON)[:, :1] * (0.55 + 0.25 * _waves(random))
    pixels = np.concatenate([np.broadcast_to(sky, (HORIZON, WIDTH, 3)), sea])
    grain = random.normal(0, 3, (HEIGHT, WIDTH, 1))
    picture = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    sun = float(random.integers(120, 380)), float(random.integers(110, 320))
    draw.circle(sun, 48, fill=(255, 244, 214))
    _hills(draw, random, low)
    _mill(draw, int(random.integers(480, 800)), random.uniform(0, np.pi / 3), low)
    return picture.filter(ImageFilter.GaussianBlur(0.8))


def _between(first: tuple[int, int, int], last: tuple[int, int, int], rows: int) -> NDArray[np.float64]:
    """Rows of one colour each, from the first colour to the last."""
    return np.linspace(np.array(first, float), np.array(last, float), rows)[:, None, :]


def _waves(random: np.random.Generator) -> NDArray[np.float64]:
    """How bright the sea is, between 0 and 1: waves that get longer towards the viewer."""
    rows = np.arange(1, HEIGHT - HORIZON + 1)[:, None]
    columns = np.arange(WIDTH)[None, :]
    shift = random.uniform(0, 7, (len(rows), 1))
    return (0.5 + 0.5 * np.sin(columns * 12 / (rows + 30) + shift))[:, :, None]


def _hills(draw: ImageDraw.ImageDraw, random: np.random.Generator, colour: tuple[int, int, int]) -> None:
    for far in (0.75, 0.5):
        length, start = random.uniform(150, 320), random.uniform(0, 7)
        tops = [HORIZON - 90 * far - 55 * far * np.sin(x / length + start) for x in range(0, WIDTH + 20, 20)]
        line = [(x * 20.0, float(top)) for x, top in enumerate(tops)]
        shade = tuple(int(one * far * 0.6) for one in colour)
        draw.polygon([(0.0, float(HORIZON)), *line, (float(WIDTH), float(HORIZON))], fill=shade)


def _mill(draw: ImageDraw.ImageDraw, left: int, turned: float, light: tuple[int, int, int]) -> None:
    """A house on the water's edge with its wheel, in some light."""

    def lit(*colour: int) -> tuple[int, ...]:
        return tuple(one * (128 + shade // 2) // 255 for one, shade in zip(colour, light, strict=True))

    top, right = HORIZON - 140, left + 240
    draw.rectangle((left, top, right, HORIZON + 32), fill=lit(236, 224, 206))
    draw.polygon([(left - 20, top), (right + 20, top), (left + 120, top - 96)], fill=lit(170, 76, 58))
    for window in (40, 104, 168):
        draw.rectangle((left + window, top + 40, left + window + 32, top + 88), fill=lit(70, 62, 66))
    middle = right + 48, HORIZON - 8
    draw.circle(middle, 76, outline=lit(104, 72, 48), width=11)
    for spoke in range(6):
        angle = turned + spoke * np.pi / 3
        end = middle[0] + 76 * np.cos(angle), middle[1] + 76 * np.sin(angle)
        draw.line([middle, end], fill=lit(104, 72, 48), width=8)
