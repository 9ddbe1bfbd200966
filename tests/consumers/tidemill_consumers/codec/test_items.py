"""Entities as items and back: what comes out is what went in."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.values import storable_texts, storable_values
from tidemill.contract.request import Json, Reply, Request
from tidemill_consumers.codec.items import from_attribute, from_item, to_attribute, to_item
from tidemill_consumers.core.batch import Emitted, Entity, Mark, Position, Totals, Window
from tidemill_consumers.core.outcomes import kept

SEQUENCE = 49590338271490256608559692538361571095921575989136588898

times = st.floats(0, 4e9)
positions = st.builds(Position, st.integers(0, 10**57), st.integers(0, 10_000))
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
requests = st.builds(
    Request, id=names, cmd=names, key=names, writer=names, counter=st.integers(1, 10**18), data=st.just({"x": 1.0})
)
emits = st.builds(Emitted, storable_texts, positions, st.lists(requests, max_size=3).map(tuple), st.just(0.0))
remembered = st.lists(st.binary(min_size=16, max_size=16), max_size=4).map(b"".join)
windows = st.lists(
    st.builds(Window, st.just("20260101T000000Z-abcdef"), st.integers(1, 10**11), st.integers(0, 2**63 - 1)),
    max_size=4,
).map(tuple)
entities = st.builds(
    Entity,
    key=storable_texts,
    version=st.integers(0, 10**12),
    document=st.none() | st.dictionaries(storable_texts, storable_values, max_size=3),
    marks=st.dictionaries(storable_texts, st.builds(Mark, positions, times), max_size=2),
    writers=remembered,
    recent=st.lists(storable_texts, max_size=3).map(
        lambda ids: {one: kept(one, Reply(one, "rejected", None, one)) for one in ids}
    ),
    emitted=st.integers(1, 10**18),
    emits=st.lists(emits, max_size=3).map(tuple),
    redriven=remembered,
    forgotten=times,
    awaited=times,
    lost=times,
    totals=st.dictionaries(names, st.builds(Totals, st.integers(0, 10**11), windows), max_size=3),
)


@settings(max_examples=50)
@given(entities)
def test_an_entity_comes_back_as_it_was(entity: Entity) -> None:
    back = from_item(to_item(entity))
    assert back == entity
    assert list(back.recent) == list(entity.recent)


@given(storable_values)
def test_a_json_value_comes_back_with_its_types(value: Json) -> None:
    back = from_attribute(to_attribute(value))
    assert back == value
    assert repr(back) == repr(value)


def test_an_item_reads_like_any_other() -> None:
    entity = Entity(
        key="content/1",
        version=3,
        document={"title": "A", "views": 2, "score": 0.5, "tags": ["x", None], "draft": False, "more": {"": ""}},
        marks={"shardId-000000000006": Mark(Position(SEQUENCE, 7), 1545084650.987, Position(SEQUENCE, 3))},
        writers=b"0123456789abcdef",
        recent={"i": kept("i", Reply("i", "rejected", None, "no")), "u": kept("u", None)},
    )
    assert to_item(entity) == {
        "pk": {"S": "content/1"},
        "ver": {"N": "3"},
        "doc": {
            "M": {
                "title": {"S": "A"},
                "views": {"N": "2"},
                "score": {"N": "0.5"},
                "tags": {"L": [{"S": "x"}, {"NULL": True}]},
                "draft": {"BOOL": False},
                "more": {"M": {"": {"S": ""}}},
            }
        },
        "marks": {"M": {"shardId-000000000006": {"S": f"{SEQUENCE}/7/1545084650.987/{SEQUENCE}/3"}}},
        "writers": {"B": b"0123456789abcdef"},
        "recent": {
            "L": [
                {"S": '["i","rejected",null,"no"]'},
                {"S": '["u"]'},
            ]
        },
    }


def test_what_was_emitted_is_kept_as_it_is_sent() -> None:
    """Text and not attributes: DynamoDB writes 1.0 as 1."""
    request = Request(id="e", cmd="c", key="other", writer="emit/k", counter=3, data={"x": 1.0})
    item = to_item(Entity("k", 3, emitted=3, emits=(Emitted("shardId-000000000006", Position(7, 2), (request,)),)))
    assert item["emitted"] == {"N": "3"}
    assert item["emits"] == {
        "L": [
            {
                "L": [
                    {"S": "7/2/shardId-000000000006"},
                    {"S": '{"v":1,"id":"e","cmd":"c","key":"other","w":"emit/k","n":3,"data":{"x":1.0}}'},
                ]
            }
        ]
    }


def test_sequence_numbers_of_any_length_survive() -> None:
    for sequence in (0, 9, 10**38 + 1, SEQUENCE, 10**57):
        entity = Entity("k", marks={"s": Mark(Position(sequence, 3), 1.0, Position(sequence, 0))})
        assert from_item(to_item(entity)).marks["s"].position == Position(sequence, 3)


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        ("0", 0),
        ("-7", -7),
        ("1" * 38, int("1" * 38)),
        ("1.5", 1.5),
        ("-0.25", -0.25),
        ("1E-7", 1e-7),
        ("9.9E+125", 9.9e125),
        ("1" + "0" * 125, 10**125),
    ],
)
def test_numbers_are_read_as_dynamodb_writes_them(stored: str, value: float) -> None:
    found = from_attribute({"N": stored})
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("attribute", [{"B": b"x"}, {"SS": ["x"]}, {"NS": ["1"]}])
def test_what_is_not_json_is_refused(attribute: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"type {next(iter(attribute))} ")):
        from_attribute(attribute)


@pytest.mark.parametrize(
    "odd", [{"writers": {"B": b"1" * 17}}, {"redriven": {"B": b"1"}}, {"forgotten": {"N": "1E+120"}}]
)
def test_an_item_whose_memory_of_writers_is_none_cannot_be_read(odd: dict[str, Any]) -> None:
    item = to_item(Entity("k", 1, {"n": 1}))
    assert from_item(item).document == {"n": 1}
    with pytest.raises(ValueError, match=r"writers|time"):
        from_item(item | odd)
