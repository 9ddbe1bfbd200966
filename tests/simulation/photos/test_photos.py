"""A few seeds and a few orders with every test run; `make simulate` runs many."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.simulation.photos.orders import cases, run, run_with_crashes
from tests.simulation.photos.run import simulate

STEP = 3
"""A crash follows one call of so many here; `make simulate` tries all of them."""


@pytest.mark.parametrize("seed", [5, 25, 35])
def test_bucket_thumbnails_documents_and_index_agree(seed: int) -> None:
    verdict = simulate(seed)
    assert verdict.problems == [], f"replay it: make simulate-photos ARGS='--seed {seed}'"
    assert verdict.faults.total() > 10


def test_a_seed_is_the_same_run_each_time() -> None:
    first, again = simulate(4), simulate(4)
    assert vars(first) == vars(again)
    assert first.listed > 0
    assert first.thumbnails > 0


@pytest.mark.parametrize(
    "acts",
    [
        ("upload", "delete"),
        ("other's upload", "publish"),
        ("publish", "content.delete", "upload"),
    ],
    ids=", ".join,
)
def test_crashes_in_every_order(acts: tuple[str, ...]) -> None:
    every = list(cases(acts))
    assert len(every) == (6 if len(acts) == 3 else 4)
    for case in every:
        runs, problems = run_with_crashes(case, step=STEP)
        assert runs > 1
        assert problems == []


def test_orders_keep_a_producers_requests_in_order() -> None:
    orders = {case.order for case in cases(("publish", "upload", "content.delete"))}
    assert orders == {(0, 1, 2), (0, 2, 1), (1, 0, 2)}


def test_what_a_run_leaves_is_judged_whatever_the_order() -> None:
    for case in islice(cases(("upload", "publish")), 4):
        _, verdict = run(case)
        assert (verdict.listed, verdict.thumbnails, verdict.decoded) == (1, 5, 1)
