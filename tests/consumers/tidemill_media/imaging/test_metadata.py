"""Tags that make sense are told, others are left out: whoever made the file wrote them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_media.imaging.metadata import camera, orientation, place, taken
from tidemill_media.imaging.results import Place

MAKE, MODEL, ORIENTATION, TAKEN, OFFSET = 0x010F, 0x0110, 0x0112, 0x9003, 0x9011


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Apple", "iPhone 4", "Apple iPhone 4"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("HTC", "HTC Desire\0\0", "HTC Desire"),
        ("  ", "X\n\x1b[31m\u202e  Y", "X [31m Y"),
        ("Canon", None, "Canon"),
        ("A" * 50, "B" * 50, "A" * 50 + " " + "B" * 13),
        (7, b"bytes", None),
    ],
)
def test_a_camera_is_one_line_of_printable_text(make: Any, model: Any, expected: str | None) -> None:
    assert camera({MAKE: make, MODEL: model}) == expected


@pytest.mark.parametrize(
    ("time", "offset", "expected"),
    [
        ("2024:05:01 12:00:00", None, "2024-05-01T12:00:00"),
        ("2024:05:01 12:00:00\0", "+02:00", "2024-05-01T12:00:00+02:00"),
        ("2024:05:01 12:00:00", "+25:00", "2024-05-01T12:00:00"),
        ("2024:02:30 12:00:00", "+02:00", None),
        ("0000:00:00 00:00:00", None, None),
        ("2024-05-01T12:00:00", None, None),
        (20240501, None, None),
    ],
)
def test_the_time_is_told_if_there_is_such_a_time(time: Any, offset: Any, expected: str | None) -> None:
    assert taken({TAKEN: time, OFFSET: offset}) == expected


NORTH_WEST = {1: "N", 2: (52.0, 31.0, 12.0), 3: "W", 4: (13.0, 24.0, 18.0)}


def test_a_place_is_in_degrees_north_and_east() -> None:
    assert place(NORTH_WEST) == Place(52.52, -13.405)
    assert place(NORTH_WEST | {1: "S", 3: "E"}) == Place(-52.52, 13.405)
    assert place({1: "N", 2: (90, 0, 0), 3: "E", 4: (180, 0, 0)}) == Place(90, 180)


@pytest.mark.parametrize(
    "wrong",
    [
        {1: "X"},
        {1: ""},
        {1: None},
        {2: (90, 0, 1)},
        {2: (52, 60, 0)},
        {2: (-52, 0, 0)},
        {2: (float("nan"), 0, 0)},
        {2: (float("inf"), 0, 0)},
        {2: (52, 31)},
        {2: b"abc"[:2]},
        {2: ("a", "b", "c")},
        {4: (180, 0, 1)},
        {4: None},
        {9: "V"},
    ],
)
def test_a_place_that_makes_no_sense_is_none(wrong: dict[int, Any]) -> None:
    assert place(NORTH_WEST | wrong) is None


@pytest.mark.parametrize("value", [0, 9, -1, "6", None, 6.0, (6,)])
def test_an_orientation_that_there_is_not_is_upright(value: Any) -> None:
    assert orientation({ORIENTATION: value}) == 1


def test_orientations_are_told() -> None:
    assert [orientation({ORIENTATION: value}) for value in range(1, 9)] == list(range(1, 9))


VALUES = (
    st.none() | st.text() | st.binary() | st.floats() | st.integers() | st.tuples(st.floats(), st.floats(), st.floats())
)


@given(st.dictionaries(st.sampled_from([1, 2, 3, 4, 9, MAKE, MODEL, ORIENTATION, TAKEN, OFFSET]), VALUES))
def test_no_tags_are_too_strange(tags: dict[int, Any]) -> None:
    assert orientation(tags) in range(1, 9)
    assert len(camera(tags) or "") <= 64
    assert len(taken(tags) or "") <= 25
    found = place(tags)
    assert found is None or (-90 <= found.latitude <= 90 and -180 <= found.longitude <= 180)
