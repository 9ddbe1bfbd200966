"""How many different keys a batch has."""

from __future__ import annotations

from random import Random

import pytest

from tidemill_load.workloads.key_distribution import KeyDistribution


@pytest.mark.parametrize(("requests", "distinct"), [(100, 76), (1_000, 507), (7_401, 2_308), (22_526, 4_625)])
def test_zipfs_law_over_ten_thousand_keys(requests: int, distinct: int) -> None:
    """Values computed elsewhere."""
    assert KeyDistribution(10_000, 1.0).distinct(requests) == pytest.approx(distinct, rel=0.03)


@pytest.mark.parametrize(
    ("keys", "requests"),
    [(KeyDistribution(300, 0.0), 200), (KeyDistribution(2_000, 1.2), 900), (KeyDistribution(50_000, 0.8), 4_000)],
)
def test_it_is_what_drawing_gives(keys: KeyDistribution, requests: int) -> None:
    weights = [rank**-keys.skew for rank in range(1, keys.count + 1)]
    random = Random(5)
    drawn = [len(set(random.choices(range(keys.count), weights, k=requests))) for _ in range(20)]
    assert keys.distinct(requests) == pytest.approx(sum(drawn) / 20, rel=0.02)


def test_many_keys_are_counted_as_exactly_as_few() -> None:
    """Later ranks are taken together."""
    exact = sum(1 - (1 - 1 / 40_000) ** n for n in [5_000]) * 40_000
    assert KeyDistribution(40_000, 0.0).distinct(5_000) == pytest.approx(exact, rel=1e-6)


def test_the_ends() -> None:
    assert KeyDistribution(1).distinct(5) == 1
    assert KeyDistribution(10**9).distinct(1) == pytest.approx(1)
    assert KeyDistribution(100, 0.0).hottest == pytest.approx(0.01)
    assert KeyDistribution().hottest == pytest.approx(0.102, abs=0.001)
