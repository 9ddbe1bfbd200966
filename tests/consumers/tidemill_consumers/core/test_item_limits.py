"""What the table can hold, to the limit and one beyond. Values only."""

from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.values import documents, texts
from tidemill.contract.request import Json
from tidemill_consumers.core.item_limits import (
    LARGE,
    MAX_BYTES,
    MAX_CLEAR_BYTES,
    MAX_CLEAR_PARTS,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_NAME_BYTES,
    NUMBER,
    SMALL,
    differs_in_numbers,
    packed_fast,
    unstorable,
    why_not,
)


class Level(IntEnum):
    HIGH = 2


class Text(str):
    __slots__ = ()


def nested(levels: int) -> Json:
    """A document of lists within lists, itself level 1."""
    value: Json = "x"
    for _ in range(levels - 1):
        value = [value]
    return {"v": value}


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "\x00\N{WATER WAVE}",
        [],
        {},
        0,
        int("9" * 38),
        -int("9" * 38),
        int("9" * 38) * 10,
        -int("9" * 38) * 10,
        10**125,
        {"x" * 65535: 1},
        {"é" * 32767: 1},
        {"é" * 300: 1},
        99 * 10**124,
        0.1,
        -0.0,
        9.9e125,
        -9.9e125,
        1e-130,
    ],
)
def test_json_is_storable(value: Json) -> None:
    assert unstorable({"v": value}) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (int("9" * 39), "a number has more than 38 digits"),
        (-int("9" * 39), "a number has more than 38 digits"),
        (int("1" * 39) * 10, "a number has more than 38 digits"),
        (10**126, "a number is out of range"),
        (-(10**126), "a number is out of range"),
        ({"é" * 32768: 1}, "a key has 65536 bytes; 65535 are the most"),
        (1e126, "the number 1e+126 is out of range"),
        (9e-131, "the number 9e-131 is out of range"),
        (float("nan"), "the number nan is out of range"),
        (float("-inf"), "the number -inf is out of range"),
        ("\ud800", "a lone surrogate is not text"),
        ({"\ud800": 1}, "a lone surrogate is not text"),
        ({7: 1}, "the key 7 is not text"),
        ({"": 1}, "a key is empty"),
        ({"x" * 65536: 1}, "a key has 65536 bytes; 65535 are the most"),
        ((1, 2), "tuple is not JSON"),
        (b"x", "bytes is not JSON"),
        (Level.HIGH, "Level is not JSON"),
    ],
)
def test_what_dynamodb_cannot_hold_is_not(value: Json, reason: str) -> None:
    assert unstorable({"v": value}) == reason
    assert unstorable([{"v": [value]}]) == reason


def test_a_number_too_long_to_be_written_is_not() -> None:
    assert unstorable({"v": 10**5000}) == "a number is out of range"
    assert unstorable({"v": -(10**5000) + 1}) == "a number is out of range"


def test_it_may_be_nested_so_deeply_and_no_deeper() -> None:
    assert unstorable(nested(MAX_DEPTH)) is None
    assert unstorable(nested(MAX_DEPTH + 1)) == f"nested deeper than {MAX_DEPTH} levels"


@pytest.mark.parametrize(("character", "size"), [("x", 1), ("\u00e9", 2), ("\N{WATER WAVE}", 4)])
def test_it_may_be_so_large_and_no_larger(character: str, size: int) -> None:
    room = (MAX_BYTES - 5) // size
    assert unstorable({"v": character * room}) is None
    reason = unstorable({"v": character * (room + 1)})
    assert reason is not None
    assert reason.endswith(f"bytes; {MAX_BYTES} are the most")


@pytest.mark.parametrize(
    ("item", "size"),
    [
        (None, 1),
        (True, 1),
        ("", 0),
        ("x", 1),
        ("é", 2),
        (7, 21),
        (int("9" * 38), 21),
        (-7, 21),
        (10**38, 21),
        (7.5, 21),
        ([], 3),
        ({}, 3),
        ([None], 5),
        ({"é": "x"}, 3 + 1 + 2 + 1),
        ({"n": 7}, 3 + 1 + 1 + 21),
        ({"n" * 256: 7.5}, 3 + 1 + 256 + 21),
    ],
)
def test_small_things_add_up_to_the_byte(item: Json, size: int) -> None:
    """A list and an object take three bytes, and one for each of their parts."""
    most = (MAX_BYTES - 3) // (1 + size)
    assert unstorable([item] * most) is None
    assert unstorable([item] * (most + 1)) == f"{3 + (most + 1) * (1 + size)} bytes; 262144 are the most"
    named = {f"{n:06}": item for n in range((MAX_BYTES - 3) // (7 + size) + 1)}
    assert unstorable(named) == f"{3 + len(named) * (7 + size)} bytes; 262144 are the most"
    del named["000000"]
    assert unstorable(named) is None


TALLY: dict[str, Any] = {"views": 7, "likes": 1, "title": "Tide"}


@pytest.mark.parametrize(
    "document",
    [
        {**TALLY},
        {**TALLY, "views": int("9" * 38)},
        {**TALLY, "views": -int("9" * 38), "likes": 0},
    ],
)
def test_what_is_counted_needs_no_closer_look(document: dict[str, Any]) -> None:
    assert differs_in_numbers(document, TALLY)
    assert unstorable(document) is None


@pytest.mark.parametrize(
    "document",
    [
        None,
        7,
        {},
        {**TALLY, "more": 1},
        {"views": 1, "title": TALLY["title"], "dislikes": 1},
        {**TALLY, "views": 10**38},
        {**TALLY, "views": -(10**38)},
        {**TALLY, "views": True},
        {**TALLY, "views": Level.HIGH},
        {**TALLY, "views": 7.5},
        {**TALLY, "views": None},
        {**TALLY, "title": "another"},
        {**TALLY, "title": 7},
        {**TALLY, "likes": "many"},
    ],
)
def test_what_is_changed_otherwise_is_looked_at(document: Json) -> None:
    assert not differs_in_numbers(document, TALLY)


@pytest.mark.parametrize("before", [None, {"v": [1]}, {"v": 0.5}, {"v": None}, {"v": {"w": 1}}])
def test_what_holds_more_than_texts_and_numbers_is_looked_at(before: Json) -> None:
    assert not differs_in_numbers(before, before)


@pytest.mark.parametrize("before", [None, [], "", 0])
@pytest.mark.parametrize("document", [{}, {"n": 1}])
def test_what_was_no_document_is_looked_at(document: Json, before: Json) -> None:
    assert not differs_in_numbers(document, before)


def test_the_limits_of_what_can_be_stored() -> None:
    assert (MAX_DEPTH, MAX_BYTES, MAX_NAME_BYTES, MAX_DIGITS, NUMBER) == (30, 262_144, 65_535, 38, 21)


# ── The fast check ───────────────────────────────────────────────────────────────────────────────────────────

odd = some.sampled_from(
    [Level.HIGH, Text("x"), (1,), {1}, b"x", 10**38, -(2**70), 1e126, 1e-131, float("nan"), float("inf"), "\ud800"]
)
anything = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | texts | odd,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(texts | some.just(7), inner, max_size=4),
    max_leaves=20,
)


@given(documents | some.dictionaries(texts, anything, max_size=5))
def test_the_fast_check_passes_nothing_that_the_exact_one_does_not(document: Json) -> None:
    exact = why_not(document)
    assert not (packed_fast(document) and exact)
    assert unstorable(document) == exact


USUAL: dict[str, Any] = {"name": "Åsa", "price": 79.95, "open": True, "n": -7, "lines": [{"sku": "x", "at": None}]}


@pytest.mark.parametrize(
    "document",
    [
        {},
        USUAL,
        {"v": [0.0, -0.0, 1.1 * SMALL, -1.1 * SMALL, LARGE / 1.1, -LARGE / 1.1, 2**63, -(2**63)]},
        nested(MAX_DEPTH),
        {"v": [1] * (MAX_CLEAR_PARTS - 1)},
        {"v": "x" * (MAX_CLEAR_BYTES - 6)},
    ],
)
def test_usual_documents_need_no_exact_check(document: Json) -> None:
    assert packed_fast(document)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [USUAL],
        {"v": SMALL},
        {"v": -SMALL},
        {"v": LARGE},
        {"v": -LARGE},
        {"v": 2**64},
        {"v": Level.HIGH},
        {"": 1},
        {7: 1},
        {"v": {"": 1}},
        {"v": [{7: 1}]},
        nested(MAX_DEPTH + 1),
        {"v": [1] * MAX_CLEAR_PARTS},
        {"v": "x" * (MAX_CLEAR_BYTES - 5)},
        {"v": "\ud800"},
        {"v": (1,)},
    ],
)
def test_unusual_documents_are_left_to_the_exact_check(document: Json) -> None:
    assert not packed_fast(document)


@pytest.mark.parametrize("item", [0, None, "", [], {}, 0.5, "é"])
def test_what_the_fast_check_finds_small_enough_is(item: Json) -> None:
    """Of the least MessagePack for its bytes in the table."""
    assert MAX_CLEAR_BYTES == 11_397
    document = {"v": [[item] * 600] * 3}
    assert not packed_fast(document) or why_not(document) is None
