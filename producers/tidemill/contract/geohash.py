"""Geohashes: places as text that begins alike where places are near each other.

Room: contract. Pure. An entity's place is its document's `geohash`; the table's index `places` has it as attributes:
`cell`, its beginning, and `geohash`. The library that makes geohashes is needed for making and reading them alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tidemill.contract.request import Json

PLACES = "places"
"""The name of the table's index by place."""

CELL_CHARACTERS = 2
"""Characters of a cell, which is 11 by 6 degrees: around a pole there are 32 of them."""

CHARACTERS = 12
"""Characters of a geohash that is made here: four centimetres."""

_GEOHASH = re.compile(r"[0-9b-hjkmnp-z]{9,12}").fullmatch


class Point(NamedTuple):
    """A place in degrees: from -90 to 90, and from -180 to 180."""

    latitude: float
    longitude: float


class GeohashUnavailable(ImportError):
    """The library that geohashes need is not installed."""


def geohash_in(document: Json) -> str | None:
    """The geohash of an entity's place, by its document: 9 to 12 characters, below 5 metres; None if it has none."""
    geohash = document.get("geohash") if type(document) is dict else None
    return geohash if type(geohash) is str and _GEOHASH(geohash) else None


def point_at(latitude: float, longitude: float) -> Point:
    """The point.

    Raises:
        ValueError: there is no such point.
    """
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"{latitude}, {longitude} is no place: latitudes go to 90, longitudes to 180")
    return Point(latitude, longitude)


def geohash_of(point: Point, characters: int = CHARACTERS) -> str:
    """The geohash of a point.

    Raises:
        GeohashUnavailable: the library is not installed.
    """
    try:
        from pygeohash import encode
    except ImportError:
        raise GeohashUnavailable("places need the library pygeohash: pip install 'tidemill[geo]'") from None
    return str(encode(*point, characters))


def point_of(geohash: str) -> Point:
    """The centre of a geohash's cell.

    Raises:
        GeohashUnavailable: the library is not installed.
    """
    try:
        from pygeohash import decode_exactly
    except ImportError:
        raise GeohashUnavailable("places need the library pygeohash: pip install 'tidemill[geo]'") from None
    found = decode_exactly(geohash)
    return Point(found.latitude, found.longitude)
