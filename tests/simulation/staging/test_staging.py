"""A few seeds with every test run; `make simulate-stage` runs many."""

from __future__ import annotations

import pytest

from tests.simulation.judging import Result
from tests.simulation.staging.run import simulate


@pytest.mark.parametrize("seed", range(1, 7))
def test_no_total_is_off_by_one(seed: int) -> None:
    result = simulate(seed, requests=150)
    assert result.holds, f"{result.summary}; replay it: make simulate-stage ARGS='--seed {seed}'"
    assert result.faults["stage begun again"] > 2


def test_a_seed_is_the_same_run_each_time() -> None:
    first, again = simulate(3, requests=100), simulate(3, requests=100)
    assert vars(first) == vars(again)


def test_the_seeds_have_stages_that_begin_without_state_run_twice_and_overtake_themselves() -> None:
    total = Result()
    for seed in (1, 2, 5, 6):
        total.add(simulate(seed, requests=150))
    for fault in (
        "stage begun without its state",
        "two stages at once",
        "stage's put overtaken",
        "stage's answer lost",
    ):
        assert total.faults[fault] > 0, fault
    assert total.untold > 0
