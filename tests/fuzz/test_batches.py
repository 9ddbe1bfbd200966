"""Some hostile batches with every test run; `make fuzz` has 100,000 records."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.fuzz import batches, hostile
from tests.fuzz.batches import Episode, Tally, Wrong, episodes, run_one
from tests.fuzz.hostile import LARGE, Hostile, Record
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.adapters.replies import Replies

SMALL = 64 * 1024
"""Bytes of the records that stand for those of 1 MiB here."""


@pytest.mark.parametrize("seed", range(6))
def test_hostile_batches_are_applied_and_lose_nothing(seed: int) -> None:
    tally = Episode(seed, 100, large=0).run()
    assert tally.requests > 200
    assert tally.largest_item > 1000


@pytest.mark.parametrize("kind", LARGE)
def test_records_that_cause_much_work_too(kind: Callable[[Hostile], Record], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile, "RECORD_BYTES", SMALL)
    monkeypatch.setattr(hostile, "LARGE", [kind])
    assert Episode(7, 3, large=0.7).run().deliveries > 0


def test_a_seed_is_the_same_run_each_time() -> None:
    def run(seed: int) -> tuple[int, ...]:
        tally = Episode(seed, 40, large=0).run()
        return tally.requests, tally.deliveries, tally.largest_item

    assert run(3) == run(3) != run(4)


def test_one_episode_repeats_what_was_wrong_in_a_run_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert episodes(600, 5) == [(5, 250), (6, 250), (7, 100)]
    monkeypatch.setattr(batches, "CPU_SECONDS", 0.0)
    found = run_one((6, 3))
    assert isinstance(found, str)
    assert found.startswith('ARGS="--records 3 --seed 6": a delivery of')


def forgetting(real: Any) -> Any:
    """Loses the last of what it is given."""
    return lambda self, given: real(self, list(given)[:-1])


def blind(real: Any) -> Any:
    """Every entity is new to it: what was applied is applied again."""
    return lambda self, keys: ({}, set())


@pytest.mark.parametrize(
    ("owner", "name", "bug"),
    [
        pytest.param(Quarantine, "store", forgetting, id="the quarantine loses one"),
        pytest.param(Replies, "send", forgetting, id="an answer is lost"),
        pytest.param(Entities, "save", forgetting, id="a save is lost"),
        pytest.param(Entities, "recall", blind, id="the table is not read"),
    ],
)
def test_it_would_notice(owner: type, name: str, bug: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, name, bug(getattr(owner, name)))
    with pytest.raises(Wrong):
        Episode(2, 100, large=0).run()


@pytest.mark.parametrize("limit", ["CPU_SECONDS", "ENDS_SECONDS", "DELIVERIES"])
def test_it_would_notice_what_takes_too_long(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, limit, 0)
    with pytest.raises(Wrong):
        Episode(2, 20, large=0).run()


def test_what_there_is_no_time_for_is_delivered_again_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BEGINS_SECONDS", 0.5)
    monkeypatch.setattr(hostile, "RECORD_BYTES", 4 * SMALL)
    monkeypatch.setattr(hostile, "LARGE", [hostile.keys])
    assert Episode(1, 2, large=1.0).run().most_deliveries > 1


def test_tallies_add_up() -> None:
    tally = Tally(records=1, slowest=2.0)
    tally.add(Tally(records=2, slowest=1.0, largest_item=7))
    assert tally == Tally(records=3, slowest=2.0, largest_item=7)
