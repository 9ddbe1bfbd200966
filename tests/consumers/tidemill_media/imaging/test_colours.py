"""Colours: what a profile says is brought to sRGB; profiles that are of no use are ignored, as browsers do."""

import pytest
from PIL import Image, ImageCms

from tidemill_media.imaging.colours import flattened, to_srgb

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXCHANGED = SRGB.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
"""A profile whose red is sRGB's blue."""

LAB = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def pixel(image: Image.Image) -> object:
    return image.getpixel((0, 0))


def test_colours_are_brought_to_srgb() -> None:
    assert pixel(to_srgb(Image.new("RGB", (2, 2), (250, 0, 0)), EXCHANGED)) == (0, 0, 250)


def test_an_alpha_channel_is_kept_beside_them() -> None:
    image = to_srgb(Image.new("RGBA", (2, 2), (250, 0, 0, 100)), EXCHANGED)
    assert (image.mode, pixel(image)) == ("RGBA", (0, 0, 250, 100))
    assert to_srgb(Image.new("RGBA", (2, 2), (250, 0, 0, 255)), b"").mode == "RGB"


@pytest.mark.parametrize("profile", [b"", b"no profile", LAB, SRGB[:200]], ids=["none", "text", "LAB", "cut"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_profile_of_no_use_is_ignored(mode: str, profile: bytes) -> None:
    assert pixel(to_srgb(Image.new("RGB", (2, 2), (9, 9, 9)).convert(mode), profile)) == (9, 9, 9)


def test_cmyk_is_shown_without_a_profile_too() -> None:
    assert pixel(to_srgb(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), b"")) == (255, 0, 0)


def test_what_is_transparent_lies_on_white() -> None:
    assert pixel(flattened(Image.new("RGBA", (2, 2), (0, 0, 0, 0)))) == (255, 255, 255)
    assert pixel(flattened(Image.new("RGB", (2, 2), (1, 2, 3)))) == (1, 2, 3)
