"""The cells of a circle: against brute force, at the borders of cells, at longitude 180 and at the poles."""

from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.geohash import Point, geohash_of, point_of
from tidemill.reading.nearby import EARTH_KM, MOST_CELLS, TooFar, cells, distance_km

points = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))
corners = st.builds(
    Point,
    st.sampled_from([-90.0, -89.999, -45.0, -5.625, 0.0, 5.625, 45.0, 84.375, 89.999, 90.0]),
    st.sampled_from([-180.0, -179.999, -11.25, -1e-9, 0.0, 1e-9, 11.25, 45.0, 179.999, 180.0]),
)
radii = st.one_of(st.floats(0, 3), st.floats(0, 300), st.sampled_from([0.0, 0.001, 1.0, 625.0]))


def shifted(centre: Point, north_km: float, east_km: float) -> Point:
    """A point some way off, over a pole or longitude 180 if need be."""
    latitude = centre.latitude + north_km / EARTH_KM * 180 / pi
    turned = 0.0
    if abs(latitude) > 90:
        latitude, turned = (180 if latitude > 0 else -180) - latitude, 180.0
    longitude = centre.longitude + turned + east_km / 111.0
    return Point(latitude, (longitude + 180) % 360 - 180)


@given(st.one_of(points, corners), radii, st.lists(st.tuples(st.floats(-1, 1), st.floats(-90, 90)), max_size=30))
def test_every_place_within_the_circle_is_in_a_cell(
    centre: Point, kilometres: float, offsets: list[tuple[float, float]]
) -> None:
    try:
        found = cells(centre, kilometres)
    except TooFar:
        return
    assert len(found) == len(set(found)) <= MOST_CELLS
    for north, east in [(0.0, 0.0), *offsets]:
        geohash = geohash_of(shifted(centre, north * kilometres, east * kilometres))
        if distance_km(centre, point_of(geohash)) <= kilometres:
            assert any(geohash.startswith(cell) for cell in found)


@given(st.one_of(points, corners), st.one_of(points, corners))
def test_distances_are_those_of_a_sphere(one: Point, other: Point) -> None:
    there = distance_km(one, other)
    assert there == pytest.approx(distance_km(other, one))
    assert 0 <= there <= pi * EARTH_KM + 1e-6
    assert distance_km(one, one) == 0


def test_known_distances() -> None:
    berlin, paris = Point(52.52, 13.405), Point(48.8566, 2.3522)
    assert distance_km(berlin, paris) == pytest.approx(877.5, abs=0.5)
    assert distance_km(Point(0, 179.5), Point(0, -179.5)) == pytest.approx(111.2, abs=0.1)
    assert distance_km(Point(89.9, 0), Point(89.9, 180)) == pytest.approx(22.24, abs=0.01)


def test_a_small_circle_asks_for_small_cells_on_both_sides_of_a_border() -> None:
    assert {len(one) for one in cells(Point(52.52, 13.405), 0.01)} == {8}
    across = cells(Point(0, 180), 1)
    assert {one[0] for one in across} == {"x", "8", "r", "2"}
    assert len({one[:2] for one in cells(Point(90, 0), 500)}) == 32


@pytest.mark.parametrize(
    ("centre", "kilometres"),
    [(Point(0, 0), 4_000), (Point(90, 0), 700), (Point(60, 0), 1e9), (Point(0, 0), float("inf"))],
)
def test_a_circle_that_is_too_large_is_refused(centre: Point, kilometres: float) -> None:
    with pytest.raises(TooFar, match="are too many to search at once"):
        cells(centre, kilometres)
