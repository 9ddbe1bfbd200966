"""Photos that the tests make, of every kind that is decoded; and bombs."""

from __future__ import annotations

import random
import struct
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from tests.tree import ROOT
from tidemill_media.imaging.kinds import AVIF, BMP, GIF, HEIC, JPEG, PNG, WEBP, Kind

DATA = ROOT.parent / "shared" / "data" / "photos"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="no ../shared/data/photos")

KINDS = (JPEG, PNG, GIF, WEBP, BMP, HEIC, AVIF)


@cache
def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Something like a photo: soft shapes of all sizes, and grain."""
    chance = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), np.float32)
    cells = 2
    while cells <= max(width, height):
        shapes = chance.standard_normal((max(2, cells * height // width), max(2, cells), 3)).astype(np.float32)
        layers = [
            Image.fromarray(shapes[..., one]).resize((width, height), Image.Resampling.BICUBIC) for one in range(3)
        ]
        total += np.stack([np.asarray(layer) for layer in layers], -1) / cells
        cells *= 2
    total = (total - total.min()) / (total.max() - total.min()) * 235 + 10
    total += chance.standard_normal((height, width, 1)).astype(np.float32) * 2
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def file(image: Image.Image, kind: Kind = JPEG, **options: object) -> bytes:
    """The image as a file."""
    register_heif_opener()
    written = BytesIO()
    image.save(written, kind.decoder, **options)
    return written.getvalue()


def opened(data: bytes) -> Image.Image:
    """A file as an image in memory."""
    image = Image.open(BytesIO(data))
    image.load()
    return image


def distance(one: Image.Image, other: Image.Image) -> float:
    """Root of the mean square of the differences between two images' values, 0 to 255."""
    assert one.size == other.size
    first, second = (np.asarray(image.convert("RGB"), np.float32) for image in (one, other))
    return float(np.sqrt(((first - second) ** 2).mean()))


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file with some bytes changed, cut out or repeated, or none after some point; by chance where it begins."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        if not changed:
            break
        at = chance.randrange(len(changed) if chance.random() < 0.7 else min(len(changed), 512))
        match chance.choices(range(5), (8, 4, 2, 2, 1))[0]:
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\xff\xff"))
            case 2:
                del changed[at : at + chance.randint(1, 64)]
            case 3:
                changed[at:at] = changed[max(0, at - chance.randint(1, 64)) : at]
            case _:
                del changed[max(at, 16) :]
    return bytes(changed)


def samples() -> list[bytes]:
    """A small photo of each kind, and those of ../shared/data that are small."""
    image = picture(96, 64)
    made = [file(image, kind) for kind in KINDS]
    made += [file(image, PNG, exif=exif()), file(image.convert("CMYK"), JPEG), file(image, JPEG, progressive=True)]
    made += [file(alpha(image), kind) for kind in (PNG, WEBP, HEIC, AVIF)] + [file(image.quantize(16), GIF)]
    found = sorted(DATA.rglob("*.*")) if DATA.exists() else []
    return made + [path.read_bytes() for path in found if path.stat().st_size < 50_000]


def alpha(image: Image.Image) -> Image.Image:
    """The image, transparent in its left half."""
    covered = image.convert("RGBA")
    covered.paste((0, 0, 0, 0), (0, 0, image.width // 2, image.height))
    return covered


def exif(orientation: int = 1) -> Image.Exif:
    """Tags as a phone writes them."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0112] = "Apple", "iPhone 4", orientation
    tags.get_ifd(0x8769)[0x9003] = "2024:05:01 12:00:00"
    tags.get_ifd(0x8769)[0x9011] = "+02:00"
    tags.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "W", 4: (13.0, 24.0, 18.0)})
    return tags


def png_bomb(side: int) -> bytes:
    """A PNG of nothing: a thousandth of its pixels' bytes."""
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(1 + 4 * side)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def text_bomb(megabytes: int) -> bytes:
    """A PNG of one pixel whose text unpacks to so many megabytes, as a gzip bomb does."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(megabytes)) + packer.flush()
    one = file(Image.new("RGB", (1, 1)), PNG)
    at = one.index(b"IDAT") - 4
    return one[:at] + _chunk(b"zTXt", b"Comment\0\0" + packed) + one[at:]


def with_sides(data: bytes, before: tuple[bytes, ...], after: tuple[bytes, ...]) -> bytes:
    """The file with other numbers for its sides."""
    for old, new in zip(before, after, strict=True):
        assert old in data
        data = data.replace(old, new)
    return data


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def path_of(name: str) -> Path:
    """A file of ../shared/data/photos."""
    return DATA / name
