"""Files are known by their first bytes."""

import pytest

from tidemill.contract.photo_files import AVIF, BMP, GIF, HEIC, JPEG, PNG, WEBP, PhotoType, type_of


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", JPEG),
        (b"\x89PNG\r\n\x1a\n", PNG),
        (b"GIF87a", GIF),
        (b"GIF89a", GIF),
        (b"RIFF\0\0\0\0WEBPVP8 ", WEBP),
        (b"BM", BMP),
        (b"\0\0\0\x10ftypheic", HEIC),
        (b"\0\0\0\x10ftypavif", AVIF),
    ],
)
def test_photos_are_known(data: bytes, kind: PhotoType) -> None:
    assert type_of(data) is kind


def brands(*names: bytes) -> bytes:
    box = b"ftyp" + names[0] + bytes(4) + b"".join(names[1:])
    return (4 + len(box)).to_bytes(4, "big") + box + b"\0\0\0\x08avif"  # what follows the box is no brand


def test_a_picture_of_any_container_is_known_by_its_compatible_brands() -> None:
    assert type_of(brands(b"mif1", b"miaf", b"heic")) is HEIC
    assert type_of(brands(b"mif1", b"avif", b"miaf")) is AVIF
    assert type_of(brands(b"mif1", b"miaf")) == "a picture in a container (MIAF) with no known brand"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg">', "an SVG"),
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
    assert type_of(data) == what
