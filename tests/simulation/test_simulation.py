"""A few seeds with every test run; `make simulate` runs many."""

import pytest

from tests.simulation.judging import Result
from tests.simulation.run import simulate


@pytest.mark.parametrize("seed", range(1, 13))
def test_nothing_is_lost_doubled_reordered_or_unanswered(seed: int) -> None:
    result = simulate(seed, requests=600)
    assert result.holds, f"replay it: make simulate ARGS='--seed {seed}'"
    assert result.faults.total() > 10


def test_the_seeds_have_loops_that_end_and_streams_that_split_and_merge_by_themselves() -> None:
    total = Result()
    for seed in (4, 5, 10):
        total.add(simulate(seed, requests=600))
    assert total.looped > 3
    assert total.faults["split"] + total.faults["merge"] > 20


def test_the_seeds_have_uploads_that_cannot_be_read_at_once() -> None:
    total = Result()
    for seed in (2, 7, 12):
        total.add(simulate(seed, requests=2_000))
    assert total.uploaded > 100
    assert sum(count for fault, count in total.faults.items() if "upload" in fault) > 10


@pytest.mark.parametrize("seed", [10, 20, 30])
def test_a_fleet_has_exactly_those_quarantined_that_cannot_be_told(seed: int) -> None:
    result = simulate(seed, requests=1_000)
    assert result.holds, f"replay it: make simulate ARGS='--seed {seed} --size 1000'"
    assert result.untold == result.untold_by_rule > 0
    assert result.asked > result.untold


def test_a_fleet_is_the_same_run_each_time() -> None:
    first, again = simulate(20, requests=300), simulate(20, requests=300)
    assert vars(first) == vars(again)


def test_a_seed_is_the_same_run_each_time() -> None:
    first, again = simulate(3, requests=300), simulate(3, requests=300)
    assert vars(first) == vars(again)


def test_the_seeds_have_objects_that_go_and_come_again() -> None:
    total = Result()
    for seed in (4, 6, 8):
        total.add(simulate(seed, requests=600))
    assert total.drawn > total.drawn_again > 10
    assert total.swept > 10
