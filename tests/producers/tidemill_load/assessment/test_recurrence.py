"""Of each request, how long ago the last one of its kind was: exactly, and by a sample of very many kinds."""

from __future__ import annotations

from math import inf
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_load.assessment.recurrence import Recurrence
from tidemill_load.cost_model.traffic import EDGES, FOREVER, Gaps, no_gaps


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=60), st.integers(1, 20))
def test_gaps_are_those_of_a_dict_whatever_the_pieces(steps: list[tuple[int, int]], size: int) -> None:
    ids = np.array([kind * 999_983 for kind, _ in steps], np.uint32)
    at = np.cumsum([float(step) for _, step in steps])
    last: dict[int, float] = {}
    expected = []
    for kind, now in zip(ids.tolist(), at.tolist(), strict=True):
        expected.append(now - last.get(kind, -inf))
        last[kind] = now
    its, found = Recurrence(), []
    for start in range(0, len(ids), size):
        gaps, weights = its.gaps(ids[start : start + size], at[start : start + size])
        assert (weights == 1).all()
        found += gaps.tolist()
    assert found == expected
    assert its.kinds == len(last)
    if steps:
        counts = [ids.tolist().count(kind) for kind in last]
        assert its.hottest == pytest.approx(max(counts) / len(ids))


def test_of_too_many_kinds_a_sample_stands_for_all() -> None:
    random = Random(3)
    kinds = [random.getrandbits(32) for _ in range(40_000)]
    ids = np.array([kinds[int(len(kinds) * random.random() ** 3)] for _ in range(200_000)], np.uint32)
    exact, sampled = Recurrence(), Recurrence(most=4_000)
    share = {}
    for name, its in (("exact", exact), ("sampled", sampled)):
        met = together = 0.0
        for start in range(0, len(ids), 10_000):
            gaps, weights = its.gaps(ids[start : start + 10_000], np.arange(start, start + 10_000) / 1_000)
            met += weights.sum()
            together += weights[gaps < 5].sum()
        share[name] = together / met
        assert met == pytest.approx(len(ids), rel=0.05)
    assert sampled.kinds == pytest.approx(exact.kinds, rel=0.05)
    assert sampled.hottest == exact.hottest
    assert share["sampled"] == pytest.approx(share["exact"], rel=0.05)


def test_the_share_that_is_fresh_in_a_batch() -> None:
    def gaps(*seconds: float) -> Gaps:
        found = no_gaps()
        for one in seconds:
            place = FOREVER if one == inf else int(np.searchsorted(EDGES, one))
            found.counts[place] += 1
            found.sums[place] += 0 if one == inf else one
        return found

    anywhere, opening = [(0.0, 5.0, 7.0)], [(4.0, 5.0, 7.0)]
    assert gaps(inf, inf).fresh(anywhere) == 1
    assert gaps(0.0, inf).fresh(anywhere) == pytest.approx(0.5)
    assert gaps(2.5).fresh(anywhere) == pytest.approx(0.5), "after half of a batch's requests the next one is in it"
    assert gaps(2.5).fresh(opening) == 0, "one that opens the batch is followed by all of it"
    assert gaps(4.75).fresh(opening) == pytest.approx(0.75)
    assert gaps(2.5).fresh([*anywhere, *opening]) == pytest.approx(0.25)
    assert gaps(20.0).fresh(opening) == 1
    assert gaps(20.0).fresh(opening, stretch=0.1) == 0
    assert no_gaps().fresh(anywhere) == 1
