"""A trace's beginning, at another speed and in turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tidemill_load.workloads.scheduled_request import ScheduledRequest
from tidemill_load.workloads.trace_slices import slices_of


def scheduled(at: float) -> ScheduledRequest:
    return ScheduledRequest(at, "content.view", f"content/{at}", "c", {})


def test_each_turn_has_its_part_from_its_own_beginning() -> None:
    cut = slices_of([scheduled(at) for at in (0.0, 30.0, 60.0, 90.0, 119.0, 120.0)], speed=60, seconds=2, turns=2)
    assert [[one.at for one in turn] for turn in cut] == [[0.0, 0.5], [0.0, 0.5, pytest.approx(119 / 60 - 1)]]
    assert [one.key for one in cut[1]] == ["content/60.0", "content/90.0", "content/119.0"]


def test_a_trace_that_ends_early_leaves_turns_empty() -> None:
    assert [len(turn) for turn in slices_of([scheduled(0.0), scheduled(1.0)], speed=1, seconds=9, turns=3)] == [2, 0, 0]


def test_what_comes_later_is_not_read() -> None:
    def trace() -> Iterator[ScheduledRequest]:
        yield scheduled(0.0)
        yield scheduled(5.0)
        raise AssertionError("it was read on")

    assert len(slices_of(trace(), speed=1, seconds=5, turns=1)[0]) == 1
