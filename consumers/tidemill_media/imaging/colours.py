"""Brings a picture to what every screen shows: sRGB, with or without an alpha channel.

Room: imaging, in the fork.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageCms

SRGB = ImageCms.createProfile("sRGB")
WHITE = (255, 255, 255)
OPAQUE = (255, 255)


def resizable(image: Image.Image) -> Image.Image:
    """The image with whole channels of 8 bits, which alone can be resized well: L, RGB, RGBA, CMYK and the like."""
    if image.has_transparency_data:
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    if image.mode in ("I", "F", "1"):
        return image.convert("L")
    return image.convert("RGB") if image.mode in ("P", "PA", "RGBX", "RGBa", "La") else image


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """RGB, or RGBA if it is transparent anywhere; by the colour profile, unless that is damaged or of other colours."""
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    colours = _converted(image.convert(image.mode.removesuffix("A")) if alpha else image, profile)
    if alpha and alpha.getextrema() != OPAQUE:
        colours.putalpha(alpha)
    return colours


def flattened(image: Image.Image) -> Image.Image:
    """Without an alpha channel: what is transparent lies on white."""
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, WHITE)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    if profile:
        try:
            own = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(image, own, SRGB, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # shown without it, as browsers do
    return image.convert("RGB")
