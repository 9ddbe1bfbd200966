"""Reads the metadata of a photo's file: the camera, when, where, which way up.

Room: imaging. Pure: tags in, values out. Whoever made the file wrote the tags: each is checked, and left out if it
makes no sense. The tags are those of Exif 2.32, https://www.cipa.jp/std/documents/e/DC-X008-Translation-2019-E.pdf.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from tidemill_media.imaging.results import Place

Tags: TypeAlias = Mapping[int, Any]
"""Values by their tags' numbers: text, bytes, numbers, fractions, tuples of them."""

MAKE, MODEL, ORIENTATION = 0x010F, 0x0110, 0x0112
TAKEN, OFFSET = 0x9003, 0x9011
LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, STATUS = 1, 2, 3, 4, 9

CAMERA_CHARACTERS = 64

UPRIGHT = 1
ORIENTATIONS = range(1, 9)

_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d")


def orientation(tags: Tags) -> int:
    """Which way up the picture is stored, 1 to 8; 1 is upright. From 5 on, width and height are exchanged."""
    value = tags.get(ORIENTATION)
    return value if isinstance(value, int) and value in ORIENTATIONS else UPRIGHT


def camera(tags: Tags) -> str | None:
    """Maker and model, the maker left out where the model begins with it."""
    make, model = _text(tags.get(MAKE)), _text(tags.get(MODEL))
    is_said = bool(make) and model.lower().startswith(make.lower().split()[0])
    return (model if is_said else f"{make} {model}".strip())[:CAMERA_CHARACTERS].rstrip() or None


def taken(tags: Tags) -> str | None:
    """When, by the camera's clock: `2024-05-01T12:00:00`, with the offset from UTC behind it if there is one."""
    found = _TIME.fullmatch(_text(tags.get(TAKEN)))
    if not found:
        return None
    try:
        time = datetime(*map(int, found.groups()))  # type: ignore[arg-type] # noqa: DTZ001 - a camera's clock has no zone
    except ValueError:
        return None
    offset = _text(tags.get(OFFSET))
    return time.isoformat() + (offset if _OFFSET.fullmatch(offset) else "")


def place(tags: Tags) -> Place | None:
    """Where, by the tags of the GPS; None unless both coordinates make sense and the receiver had a fix."""
    latitude = _degrees(tags.get(LATITUDE), tags.get(LATITUDE_REF), "NS", 90)
    longitude = _degrees(tags.get(LONGITUDE), tags.get(LONGITUDE_REF), "EW", 180)
    if latitude is None or longitude is None or tags.get(STATUS) == "V":  # measured: void
        return None
    return Place(latitude, longitude)


def _degrees(value: Any, ref: Any, refs: str, most: int) -> float | None:
    """Degrees, minutes and seconds as a number, negative if the second of the two letters stands beside them."""
    if not isinstance(value, Sequence) or len(value) != 3 or not isinstance(ref, str) or ref not in tuple(refs):
        return None
    try:
        degrees, minutes, seconds = map(float, value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    total = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(total) or not (0 <= total <= most and 0 <= minutes < 60 and 0 <= seconds < 60):
        return None
    return round(-total if ref == refs[1] else total, 6) + 0.0  # no negative zero


def _text(value: Any) -> str:
    """One line of printable characters: no control characters, nothing that turns the direction of writing."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(one if one.isprintable() else " " for one in value).split())
