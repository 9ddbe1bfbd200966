"""An item's size without its writers: never too small, and hardly too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consumers.tidemill_consumers.codec.test_items import entities
from tests.item_size import item_bytes
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Entity, Mark, Position
from tidemill_consumers.core.folding.item_size import bytes_beside_writers
from tidemill_consumers.core.streams import shard_of

SPARE = len("redriven" + "forgotten" + "awaited" + "lost") + 30
"""Bytes that are counted for attributes that an item may not have."""


@given(entities)
def test_it_is_never_too_small(entity: Entity) -> None:
    assert item_bytes(to_item(entity)) <= bytes_beside_writers(entity) + len(entity.writers)


@pytest.mark.parametrize("writers", [0, 16, 800])
def test_it_is_exact_but_for_what_the_item_may_get(writers: int) -> None:
    place = Position(49590338271490256608559692538361571095921575989136588898, 3)
    document = {"title": "Über uns", "views": 12_345, "tags": ["a", None, True], "price": -12.25, "more": {"": ""}}
    shard = shard_of("AbCdEfGhIjK", "shardId-000000000001")
    entity = Entity("content/1", 123, document, {shard: Mark(place, 1764000000.123, place)}, b"w" * writers)
    size = item_bytes(to_item(entity))
    assert size + SPARE <= bytes_beside_writers(entity) + writers <= size + SPARE + 2


@given(st.floats(-1e100, 1e100) | st.integers(-(10**38), 10**38))
def test_a_number_takes_at_most_a_few_bytes_more_than_it_does(number: float) -> None:
    entity = Entity("k", 1, {"n": number})
    size = item_bytes(to_item(entity)) + SPARE
    assert size <= bytes_beside_writers(entity) <= size + 21
