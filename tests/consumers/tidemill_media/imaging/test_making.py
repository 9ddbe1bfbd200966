"""Thumbnails: sizes, which way up, colours, transparency, and that nothing else is in them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageOps

from tests.consumers.tidemill_media.imaging.photos import KINDS, alpha, distance, exif, file, opened, picture
from tidemill_media.imaging.kinds import AVIF, BMP, GIF, HEIC, JPEG, PNG, WEBP, Kind
from tidemill_media.imaging.making import TURNS, fitting, make
from tidemill_media.imaging.results import Job, Made, Outcome, Place, Unsupported

JOB = Job((256, 64), ("webp", "jpeg"))


def made(data: bytes, job: Job = JOB) -> Made:
    outcome = make(data, job)
    assert isinstance(outcome, Made), outcome
    return outcome


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_gives_thumbnails_of_each_size_and_format(kind: Kind) -> None:
    photo = picture(600, 400)
    outcome = made(file(photo, kind))
    assert (outcome.format, outcome.width, outcome.height) == (kind.name, 600, 400)
    assert [(one.size, one.width, one.height, one.type) for one in outcome.thumbnails] == [
        (256, 256, 171, "image/webp"),
        (256, 256, 171, "image/jpeg"),
        (64, 64, 43, "image/webp"),
        (64, 64, 43, "image/jpeg"),
    ]
    for one in outcome.thumbnails:
        shown = opened(one.data)
        assert (shown.size, f"image/{str(shown.format).lower()}") == ((one.width, one.height), one.type)
        exact = photo.resize(shown.size, Image.Resampling.LANCZOS)
        assert distance(shown, exact) < (12 if kind is GIF else 5)


def test_sides_are_the_photos_not_those_of_a_larger_thumbnail() -> None:
    outcome = made(file(picture(1800, 1200)), Job((1024, 512), ("webp",)))  # 682.67 and 341.33 high
    assert [(one.width, one.height) for one in outcome.thumbnails] == [(1024, 683), (512, 341)]


def test_a_photo_is_never_enlarged() -> None:
    outcome = made(file(picture(100, 50), PNG))
    assert [(one.size, one.width, one.height) for one in outcome.thumbnails[::2]] == [(256, 100, 50), (64, 64, 32)]


@pytest.mark.parametrize(
    ("sides", "expected"), [((4000, 1), (64, 1)), ((1, 1), (1, 1)), ((10, 4000), (1, 64)), ((65, 65), (64, 64))]
)
def test_a_side_is_never_nothing(sides: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fitting(*sides, 64) == expected


@pytest.mark.parametrize("kind", [JPEG, PNG, WEBP, AVIF], ids=lambda kind: kind.name)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_the_same_upright_picture(orientation: int, kind: Kind) -> None:
    photo = picture(320, 240)
    back = {6: 8, 8: 6}.get(orientation, orientation)
    stored = photo.transpose(TURNS[back]) if back in TURNS else photo
    outcome = made(file(stored, kind, exif=exif(orientation)), Job((128,), ("webp",)))
    assert (outcome.width, outcome.height) == (320, 240)
    assert distance(opened(outcome.thumbnails[0].data), photo.resize((128, 96), Image.Resampling.LANCZOS)) < 5


def test_a_heic_that_its_decoder_turned_is_not_turned_again() -> None:
    photo = picture(320, 240)
    stored = photo.transpose(Image.Transpose.ROTATE_90)
    outcome = made(file(stored, HEIC, exif=exif(6).tobytes()), Job((128,), ("webp",)))
    assert (outcome.width, outcome.height) == (320, 240)
    assert distance(opened(outcome.thumbnails[0].data), photo.resize((128, 96), Image.Resampling.LANCZOS)) < 5


@pytest.mark.parametrize("kind", [PNG, WEBP, HEIC, AVIF], ids=lambda kind: kind.name)
def test_transparency_stays_in_webp_and_is_white_in_jpeg(kind: Kind) -> None:
    outcome = made(file(alpha(picture(100, 80)), kind), Job((50,), ("webp", "jpeg")))
    webp, jpeg = (opened(one.data) for one in outcome.thumbnails)
    assert (webp.mode, jpeg.mode) == ("RGBA", "RGB")
    assert (webp.getchannel("A").getpixel((5, 20)), webp.getchannel("A").getpixel((45, 20))) == (0, 255)
    assert min(jpeg.crop((2, 2, 20, 38)).convert("L").tobytes()) >= 245
    assert distance(jpeg.crop((30, 0, 50, 40)), webp.convert("RGB").crop((30, 0, 50, 40))) < 6


def test_an_alpha_channel_that_hides_nothing_is_dropped() -> None:
    assert opened(made(file(picture(64, 64).convert("RGBA"), PNG)).thumbnails[0].data).mode == "RGB"


def test_the_first_picture_of_an_animation_is_taken() -> None:
    first, second = picture(80, 60, 1).quantize(64), picture(80, 60, 2).quantize(64)
    data = file(first, GIF, save_all=True, append_images=[second])
    shown = opened(made(data).thumbnails[0].data)
    assert distance(shown, first) < 15 < distance(shown, second)


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P", "I;16", "CMYK", "YCbCr"])
def test_every_way_of_storing_pixels_is_shown(mode: str) -> None:
    grey = Image.linear_gradient("L").resize((100, 100))
    image = Image.merge("RGB", [grey] * 3).convert(mode) if mode != "I;16" else _of_16_bits(grey)
    data = file(image, JPEG if mode in ("CMYK", "YCbCr") else PNG)
    shown = opened(made(data, Job((100,), ("jpeg",))).thumbnails[0].data).convert("L")
    greys: list[Any] = [shown.resize((1, 4)).getpixel((0, at)) for at in range(4)]
    assert [abs(grey - (32 + 64 * at)) <= 12 for at, grey in enumerate(greys)] == [True] * 4


def _of_16_bits(grey: Image.Image) -> Image.Image:
    return grey.convert("I").point(lambda value: value * 257).convert("I;16")


def test_a_jpeg_of_any_size_is_decoded_at_a_part_of_it() -> None:
    photo = picture(400, 300).resize((8000, 6000))
    outcome = made(file(photo, JPEG), Job((256,), ("webp",)))
    assert (outcome.width, outcome.height) == (8000, 6000)
    exact = photo.resize((256, 192), Image.Resampling.LANCZOS, reducing_gap=3)
    assert distance(opened(outcome.thumbnails[0].data), exact) < 5


def test_what_the_file_says_is_told() -> None:
    for kind in (JPEG, PNG, WEBP, HEIC, AVIF):
        outcome = made(file(picture(64, 64), kind, exif=exif()))
        assert (outcome.camera, outcome.taken) == ("Apple iPhone 4", "2024-05-01T12:00:00+02:00")
        assert outcome.place == Place(52.52, -13.405)
    nothing = made(file(picture(64, 64), BMP))
    assert (nothing.camera, nothing.taken, nothing.place) == (None, None, None)


def test_nothing_that_the_file_says_is_in_a_thumbnail() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noted = file(picture(80, 60), JPEG, exif=exif(), comment=b"a secret", icc_profile=srgb, dpi=(72, 72))
    animated = file(picture(80, 60).quantize(), GIF, comment=b"a secret")
    for data in (noted, animated):
        for one in made(data).thumbnails:
            info = opened(one.data).info
            assert not info.keys() & {"exif", "comment", "icc_profile", "xmp", "dpi"}, info.keys()
            assert b"secret" not in one.data


def test_a_file_of_damaged_tags_is_a_photo_all_the_same() -> None:
    outcome = made(file(picture(64, 64), JPEG, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert (outcome.width, outcome.camera) == (64, None)


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Unsupported)
    return outcome.reason


def test_other_files_and_damaged_ones_are_unsupported() -> None:
    assert reason(make(b"8BPS", JOB)) == "it is a Photoshop document, not a photo that can be decoded"
    assert reason(make(file(picture(64, 64))[:900], JOB)).startswith("the JPEG file cannot be decoded (")
    assert reason(make(b"\x89PNG\r\n\x1a\n\x1b[31m", JOB)).startswith("the PNG file cannot be decoded (")


def test_a_reason_does_not_tell_where_something_lies_in_memory() -> None:
    assert reason(make(b"\xff\xd8\xff", JOB)) == "the JPEG file cannot be decoded (cannot identify image file)"


def test_a_large_progressive_jpeg_says_why_it_is_too_large() -> None:
    data = file(picture(300, 200), JPEG, progressive=True)
    sides = struct.pack(">HH", 200, 300)
    assert data.count(sides) == 1
    assert isinstance(make(data.replace(sides, struct.pack(">HH", 5000, 8000)), JOB), Made)  # grey where it ends early
    too_large = make(data.replace(sides, struct.pack(">HH", 5000, 8001)), JOB)
    assert reason(too_large) == "it is progressive and has more than 40 million pixels"


def test_turning_is_as_pillow_turns() -> None:
    stored = picture(40, 30)
    for orientation, turn in TURNS.items():
        stored.getexif()[0x0112] = orientation
        assert distance(stored.transpose(turn), ImageOps.exif_transpose(stored)) == 0
