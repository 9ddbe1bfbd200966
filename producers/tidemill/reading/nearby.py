"""Which cells of the geohash's grid a circle on the earth touches, and how far two points are apart.

Room: SDK, pure. With each character more, a cell is a thirty-second of the one before. Columns wrap around the earth at
longitude 180, and narrow towards the poles: a circle around a pole touches each of them.
"""

from __future__ import annotations

from math import asin, cos, degrees, floor, isfinite, radians, sin, sqrt

from tidemill.contract.geohash import CELL_CHARACTERS, Point, geohash_of

EARTH_KM = 6371.0088
"""The mean radius of the earth, taken for a sphere."""

MOST_CELLS = 36
"""Cells that are asked for at most. Around a pole there are 32 of the largest."""

FINEST = 8
"""Characters of the smallest cells that are asked for, 38 by 19 metres; no place has fewer."""

MARGIN = 1e-9
"""Degrees, a tenth of a millimetre, by which the cells reach further than the circle: floats are not exact."""


class TooFar(ValueError):
    """The circle is so large that too many cells would have to be asked for."""


def distance_km(one: Point, other: Point) -> float:
    """Kilometres along the surface of the earth, by the haversine formula."""
    south, north = radians(one.latitude), radians(other.latitude)
    east = radians(other.longitude - one.longitude)
    part = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin(east / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(part)))


def cells(centre: Point, kilometres: float) -> list[str]:
    """The beginnings of all geohashes in a circle, in the smallest cells of which no more than MOST_CELLS are needed.

    Raises:
        TooFar: even of the largest cells more would be needed.
    """
    for characters in range(FINEST, CELL_CHARACTERS - 1, -1) if isfinite(kilometres) else ():
        rows, columns = _rows(centre, kilometres, characters), _columns(centre, kilometres, characters)
        if len(rows) * len(columns) <= MOST_CELLS:
            return [geohash_of(_middle(row, column, characters), characters) for row in rows for column in columns]
    raise TooFar(f"{kilometres:g} km around {centre.latitude:g}, {centre.longitude:g} are too many to search at once")


def _rows(centre: Point, kilometres: float, characters: int) -> range:
    count, half = _grid(characters)[0], degrees(kilometres / EARTH_KM) + MARGIN
    south, north = ((latitude + 90) / 180 * count for latitude in (centre.latitude - half, centre.latitude + half))
    return range(max(0, floor(south)), min(count - 1, floor(north)) + 1)


def _columns(centre: Point, kilometres: float, characters: int) -> list[int]:
    count = _grid(characters)[1]
    angle = kilometres / EARTH_KM
    if abs(centre.latitude) + degrees(angle) + MARGIN >= 90:  # a pole is within
        return list(range(count))
    half = degrees(asin(sin(angle) / cos(radians(centre.latitude)))) + MARGIN
    west, east = ((longitude + 180) / 360 * count for longitude in (centre.longitude - half, centre.longitude + half))
    every = range(floor(west), min(floor(east), floor(west) + count - 1) + 1)
    return [column % count for column in every]


def _grid(characters: int) -> tuple[int, int]:
    """Rows and columns: of five bits a character, longitude has the first, and latitude every second one."""
    bits = 5 * characters
    return 1 << bits // 2, 1 << (bits + 1) // 2


def _middle(row: int, column: int, characters: int) -> Point:
    rows, columns = _grid(characters)
    return Point((row + 0.5) * 180 / rows - 90, (column + 0.5) * 360 / columns - 180)
