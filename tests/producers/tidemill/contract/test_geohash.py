"""Geohashes: what counts as an entity's place, and that points come back."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.geohash import GeohashUnavailable, Point, geohash_in, geohash_of, point_at, point_of

latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)


@given(latitudes, longitudes)
def test_a_point_comes_back_to_some_centimetres(latitude: float, longitude: float) -> None:
    geohash = geohash_of(point_at(latitude, longitude))
    assert geohash_in({"geohash": geohash}) == geohash
    assert point_of(geohash) == pytest.approx((latitude, longitude), abs=4e-7)


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        {"geohash": "u33dc1v0"},
        {"geohash": "u33dc1v0zzzzz"},
        {"geohash": "u33dc1v0a"},
        {"geohash": "U33DC1V0Z"},
        {"geohash": "u33dc1v0z\n"},
        {"geohash": 7},
        {"place": "u33dc1v0z"},
    ],
)
def test_what_is_no_place(document: object) -> None:
    assert geohash_in({"geohash": "u33dc1v0z"}) == "u33dc1v0z"
    assert geohash_in(document) is None


@pytest.mark.parametrize(("latitude", "longitude"), [(90.1, 0), (-91, 0), (0, 180.5), (0, -181), (float("nan"), 0)])
def test_what_is_no_point(latitude: float, longitude: float) -> None:
    assert point_at(90, -180) == Point(90, -180)
    with pytest.raises(ValueError, match="is no place: latitudes go to 90"):
        point_at(latitude, longitude)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygeohash", None)
    for call in (lambda: geohash_of(Point(0, 0)), lambda: point_of("u33dc1v0z")):
        with pytest.raises(GeohashUnavailable, match=r"pip install 'tidemill\[geo\]'"):
            call()
