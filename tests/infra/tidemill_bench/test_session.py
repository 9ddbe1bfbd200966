"""The course of a load test: modes in turns, and what was measured stays when it is stopped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from tidemill_bench.driver import Driver
from tidemill_bench.session import Course, Session, priced
from tidemill_load.assessment.aggregate import Part
from tidemill_load.cost_model.prices import list_prices
from tidemill_load.results.result import Mode
from tidemill_load.workloads.scheduled_request import ScheduledRequest

MODES: tuple[Mode, ...] = ("direct", "aggregated")


def scheduled(rate: float, turn: int) -> list[ScheduledRequest]:
    return [ScheduledRequest(0.0, "content.view", f"content/{turn}", "c", {})] * round(rate)


class FakeDriver:
    """Sends nothing; is stopped after so many parts."""

    shards = 2

    def __init__(self, stops_after: int = 100) -> None:
        self.ran: list[tuple[Mode, int, str]] = []
        self._stops_after = stops_after

    @property
    def stopped(self) -> bool:
        return len(self.ran) >= self._stops_after

    def memory_mb(self, mode: Mode) -> int:
        return {"direct": 256}.get(mode, 1769)

    def run(self, mode: Mode, requests: Iterable[ScheduledRequest], tag: str) -> Part:
        count = len(list(requests))
        self.ran.append((mode, count, tag))
        return Part(
            requests=count,
            bytes=0,
            seconds=1.0,
            sending_seconds=1.0,
            drain_seconds=0.0,
            statuses={},
            latencies=[],
            entities=1,
            faults=None,
            errors=0,
            retries=0,
        )


def run(driver: FakeDriver, course: Course) -> Session:
    session = Session(cast("Driver", driver), "tag", lambda _: None)
    session.run(course)
    return session


def test_modes_take_turns_and_each_turn_the_other_way_round_with_keys_of_their_own() -> None:
    driver = FakeDriver()
    run(driver, Course(MODES, (10.0, 2.0), 2, scheduled, 20.0))
    assert [(mode, count) for mode, count, _ in driver.ran] == [
        ("direct", 10),
        ("aggregated", 10),
        ("aggregated", 10),
        ("direct", 10),
        ("direct", 2),
        ("aggregated", 2),
        ("aggregated", 2),
        ("direct", 2),
    ]
    assert len({tag for _, _, tag in driver.ran}) == 8


def test_parts_of_one_mode_and_rate_are_one_measurement() -> None:
    found = priced(run(FakeDriver(), Course(MODES, (2.0, 10.0), 2, scheduled, 20.0)).measurements(), list_prices())
    assert [(one.rate, one.mode, one.requests, one.slices) for one in found] == [
        (2.0, "direct", 4, 2),
        (2.0, "aggregated", 4, 2),
        (10.0, "direct", 20, 2),
        (10.0, "aggregated", 20, 2),
    ]
    assert [(one.shards, one.memory_mb) for one in found[:2]] == [(0, 256), (2, 1769)]
    assert set(found[1].bill) == {"shard_hours"}


def test_when_it_is_stopped_what_was_measured_stays() -> None:
    found = run(FakeDriver(stops_after=3), Course(MODES, (10.0,), 2, scheduled, 20.0)).measurements()
    assert [(one.mode, one.requests) for one in found] == [("direct", 10), ("aggregated", 20)]
    assert run(FakeDriver(stops_after=0), Course(MODES, (10.0,), 2, scheduled, 20.0)).measurements() == []
