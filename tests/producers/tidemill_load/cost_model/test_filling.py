"""Batches that fill, one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_load.cost_model.filling import Filling, followed


def told(its: Filling) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Of each batch whose time was over: second, its requests there, all; of those that were full: number, seconds."""
    timed = zip(its.places.tolist(), its.firsts.tolist(), its.timed.tolist(), strict=True)
    full = zip(its.number.tolist(), its.took.tolist(), strict=True)
    return list(timed), [(number, round(took, 6)) for number, took in full]


@pytest.mark.parametrize(
    ("come", "hold", "most", "timed", "full"),
    [
        ([3, 0, 2, 0, 0, 1], 3, 10, [(0, 3, 5), (5, 1, 1)], []),
        ([0, 0, 4], 3, 4, [], [(1, 1.0)]),
        ([0, 0, 4], 3, 5, [(2, 4, 4)], []),
        ([10, 0, 0, 0, 7], 2, 4, [(0, 2, 2), (4, 3, 3)], [(2, 0.4), (1, 0.571429)]),
        ([2, 2, 2, 2], 4, 3, [(3, 2, 2)], [(2, 1.5)]),
        ([0.5, 0.5, 0.5, 0.5], 2, 10, [(1, 1, 1.5), (3, 0.5, 0.5)], []),  # a share of requests: the first whole one
    ],
)
def test_a_batch_ends_by_its_time_or_when_it_is_full(
    come: list[float], hold: int, most: float, timed: list[tuple[float, ...]], full: list[tuple[float, ...]]
) -> None:
    assert told(followed(np.array(come, dtype=float), hold, most)) == (timed, sorted(full, key=lambda one: one[1]))


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=60).filter(any),
    st.integers(1, 9),
    st.floats(1, 50),
    st.sampled_from([1.0, 1 / 3, 0.05]),
)
def test_every_request_is_in_one_batch(slots: list[int], hold: int, most: float, share: float) -> None:
    come = np.array(slots) * share
    its = followed(come, hold, most)
    assert its.timed.sum() + most * its.number.sum() == pytest.approx(come.sum(), abs=1e-3)
    assert (its.timed <= most).all()
    assert (its.took > 0).all()
    assert (its.took <= hold + 1e-6).all()
    assert (np.diff(its.places) >= 1).all()
