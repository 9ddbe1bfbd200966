"""Counts of a million keys in the memory of a thousand, within the bounds that they state."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_deploy.capacity.counting import MOST_HASHES, MOST_KEYS, Different, HeavyHitters


@given(st.lists(st.tuples(st.sampled_from("abcdefghij"), st.integers(1, 100))), st.integers(1, 4))
def test_no_key_is_off_by_more_than_is_stated(added: list[tuple[str, int]], most: int) -> None:
    found, exact = HeavyHitters(most), Counter[str]()
    for key, weight in added:
        found.add(key, weight)
        exact[key] += weight
    assert found.total == exact.total()
    assert found.error <= found.total / most
    every = {one.key: one for one in found.heaviest(100)}
    assert len(every) <= 2 * most
    for key, weight in exact.items():
        assert weight <= found.error or every[key].least <= weight <= every[key].most


def test_a_hot_key_is_found_among_a_million() -> None:
    chance, found = Random(1), HeavyHitters()
    for number in range(1_000_000):
        found.add(f"key/{number}", 1)
        if chance.random() < 0.05:
            found.add("hot", 1)
            found.add("warm", 1 + (number % 2 == 0))
    first, second, *_ = found.heaviest(5)
    assert (first.key, second.key) == ("warm", "hot")
    assert 0 < found.error <= found.total / MOST_KEYS
    assert second.least <= 50_000 * 1.02
    assert second.most >= 50_000 * 0.98


def test_few_keys_are_counted_exactly_and_equals_are_in_order() -> None:
    found = HeavyHitters()
    for key in "cabcab":
        found.add(key, 2)
    found.add("d", 9)
    assert [(one.key, one.least, one.most) for one in found.heaviest(3)] == [("d", 9, 9), ("a", 4, 4), ("b", 4, 4)]
    assert found.error == 0


@pytest.mark.parametrize("count", [0, 1, MOST_HASHES - 1])
def test_few_different_keys_are_counted_exactly(count: int) -> None:
    found = Different()
    for number in [*range(count), *range(count)]:
        found.add(f"{number}")
    assert (found.count, found.is_estimate) == (count, False)


@pytest.mark.parametrize("count", [MOST_HASHES, 5_000, 200_000])
def test_many_different_keys_are_told_within_a_tenth(count: int) -> None:
    found = Different()
    for number in [*range(count), *range(0, count, 3)]:
        found.add(f"key/{number}")
    assert found.is_estimate
    assert 0.9 * count < found.count < 1.1 * count
