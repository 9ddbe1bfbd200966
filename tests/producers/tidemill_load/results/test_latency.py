"""Percentiles and the histogram, held against counting."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_load.results.latency import BOUNDS, latency, percentile


def test_bounds_rise_from_a_millisecond_to_five_minutes() -> None:
    assert (BOUNDS[0], BOUNDS[10], BOUNDS[-1]) == (0.001, 0.01, 316.0)
    assert all(low < high for low, high in pairwise(BOUNDS))


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_the_nearest_rank(share: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], share) == value


def test_none_have_no_latency() -> None:
    found = latency([])
    assert (found.count, found.max, sum(found.counts)) == (0, 0.0, 0)
    assert percentile([], 0.5) == 0.0


@given(st.lists(st.floats(min_value=0, max_value=1e4), min_size=1))
def test_each_is_in_the_bucket_whose_bound_it_does_not_exceed(values: list[float]) -> None:
    found = latency(values)
    assert sum(found.counts) == found.count == len(values)
    for place, bound in enumerate(BOUNDS):
        assert sum(found.counts[: place + 1]) == sum(value <= bound for value in values)
    for share, value in ((0.5, found.p50), (0.95, found.p95), (0.99, found.p99)):
        assert sum(one <= value for one in values) >= share * len(values)
        assert sum(one < value for one in values) < share * len(values)
    assert found.max == max(values)
