"""The steps between two numbers of shards: each one that AWS takes, and as few as can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill_deploy.capacity.steps import MOST_CHANGES, MOST_SHARDS, CannotScale, steps


@pytest.mark.parametrize(
    ("now", "wanted", "found"),
    [
        (1, 1, ()),
        (2, 8, (4, 8)),
        (1, 7, (2, 4, 7)),
        (7, 1, (4, 2, 1)),
        (5, 3, (3,)),
        (3, 4, (4,)),
        (1, 1024, (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)),
    ],
)
def test_the_steps(now: int, wanted: int, found: tuple[int, ...]) -> None:
    assert steps(now, wanted) == found


@given(st.integers(1, MOST_SHARDS), st.integers(1, MOST_SHARDS))
def test_each_step_is_one_that_aws_takes(now: int, wanted: int) -> None:
    try:
        found = steps(now, wanted)
    except CannotScale:
        assert max(now, wanted) > 2**MOST_CHANGES * min(now, wanted)
        return
    assert len(found) <= MOST_CHANGES
    for before, after in zip((now, *found), found, strict=False):
        assert before / 2 <= after <= 2 * before
        assert after != before
    assert (now, *found)[-1] == wanted


def test_more_than_a_day_allows_is_refused_with_how_far_it_goes() -> None:
    with pytest.raises(CannotScale, match=r"take 11 changes.*10 are allowed in 24 hours: go to 1,024 first"):
        steps(1, 1025)
    with pytest.raises(CannotScale, match="go to 3 first"):
        steps(2049, 1)


@pytest.mark.parametrize("wanted", [0, -1, 10_001])
def test_numbers_of_shards_that_no_stream_has_are_refused(wanted: int) -> None:
    with pytest.raises(CannotScale, match="use 1 to 10,000"):
        steps(1, wanted)
