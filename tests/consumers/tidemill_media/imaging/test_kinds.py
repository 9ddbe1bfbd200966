"""Files are known by their first bytes."""

import pytest

from tests.consumers.tidemill_media.imaging.photos import KINDS, file, picture
from tidemill_media.imaging.kinds import AVIF, HEIC, Kind, kind_of


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_photo_is_known(kind: Kind) -> None:
    assert kind_of(file(picture(16, 16), kind)) is kind


def brands(*names: bytes) -> bytes:
    box = b"ftyp" + names[0] + bytes(4) + b"".join(names[1:])
    return (4 + len(box)).to_bytes(4, "big") + box + b"\0\0\0\x08avif"  # what follows the box is no brand


def test_a_picture_of_any_container_is_known_by_its_compatible_brands() -> None:
    assert kind_of(brands(b"mif1", b"miaf", b"heic")) is HEIC
    assert kind_of(brands(b"mif1", b"avif", b"miaf")) is AVIF
    assert kind_of(brands(b"mif1", b"miaf")) == "a picture in a container (MIAF) with no known brand"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "an empty file"),
        (b"hello", "a file of an unknown kind"),
        (b"8BPS\0\x01", "a Photoshop document"),
        (brands(b"qt  "), "a video (QuickTime)"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "a video (QuickTime)"),
        (brands(b"isom", b"mp41"), "a video (MP4)"),
        (brands(b"crx "), "a camera's raw file (CR3)"),
        (b"RIFF\0\0\0\0AVI LIST", "a video (AVI)"),
        (b"RIFF\0\0\0\0WAVE", "a RIFF file"),
        (b"II*\0", "a TIFF, or a camera's raw file"),
        (b"\x1f\x8b\x08\0", "a gzip file"),
        (b"SIMPLE  =                    T", "a FITS file"),
        (b"%!PS-Adobe", "PostScript"),
    ],
)
def test_other_files_are_named_for_people(data: bytes, what: str) -> None:
    assert kind_of(data) == what
