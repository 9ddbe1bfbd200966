"""Figures from readings: rates over the last seconds, and the last minutes in steps."""

from __future__ import annotations

from dataclasses import replace

from tidemill_page.figures import History, QuarantinedObject, ShardFigures
from tidemill_page.reckoning import STEPS, Reading, Reckoning, ShardReading

NOON = 1_764_072_000.0


def reading(second: float, requests: int = 0, *, waiting: int = 0, done: int = 0, lag: float | None = None) -> Reading:
    shards = (ShardReading("shard-0", waiting, done),)
    return Reading(
        NOON + second, requests, invocations=requests // 10, write_calls=requests // 5, lag=lag, shards=shards
    )


def test_the_first_reading_has_totals_and_no_rates() -> None:
    figures = Reckoning(NOON).figures(reading(1, 100, waiting=7, lag=1.5))
    assert (figures.at, figures.since) == (NOON + 1, NOON)
    assert (figures.requests, figures.invocations, figures.waiting, figures.lag_ms) == (100, 10, 7, 1_500)
    assert figures.requests_per_second is None
    assert figures.shards == (ShardFigures("shard-0", 7, None),)
    assert set(figures.history.requests_per_second) == {None}


def test_rates_are_those_of_the_last_ten_seconds() -> None:
    reckoning = Reckoning(NOON)
    for second in range(30):
        figures = reckoning.figures(reading(second, requests=1_000 if second < 20 else 1_000 + 50 * (second - 19)))
    assert figures.requests_per_second == 50.0
    for second in range(30, 41):
        figures = reckoning.figures(reading(second, requests=1_500))
    assert figures.requests_per_second == 0.0


def test_a_rate_after_a_pause_is_taken_over_the_pause() -> None:
    reckoning = Reckoning(NOON)
    reckoning.figures(reading(0, 0, done=0))
    reckoning.figures(reading(1, 0, done=0))
    figures = reckoning.figures(reading(101, 1_000, done=200))
    assert figures.requests_per_second == 10.0
    assert figures.shards[0].records_per_second == 2.0


def test_a_shard_that_is_begun_again_has_no_negative_rate_and_a_new_one_its_own() -> None:
    reckoning = Reckoning(NOON)
    reckoning.figures(reading(0, done=500))
    now = replace(reading(10, done=20), shards=(ShardReading("shard-0", 0, 20), ShardReading("shard-1", 1, 30)))
    shards = reckoning.figures(now).shards
    assert shards == (ShardFigures("shard-0", 0, 0.0), ShardFigures("shard-1", 1, 3.0))


def test_the_history_has_a_step_for_every_five_seconds_of_the_last_five_minutes() -> None:
    reckoning = Reckoning(NOON)
    for second in range(12):
        figures = reckoning.figures(reading(second, second * 20, lag=second / 10))
    history, before = figures.history, (None,) * (STEPS - 2)
    assert history == History(5.0, (*before, 20.0, 20.0), (*before, 500, 1_000), (None,) * STEPS, (*before, 4.0, 4.0))
    for second in range(12, 1_000):
        figures = reckoning.figures(reading(second, second * 20))
    assert len(figures.history.lag_ms) == STEPS
    assert set(figures.history.requests_per_second) == {20.0}


def test_write_units_are_taken_for_writes_where_they_are_known() -> None:
    reckoning = Reckoning(NOON)
    reckoning.figures(replace(reading(0), write_units=0.0))
    figures = reckoning.figures(replace(reading(5, 100), write_units=300.0, p50_ms=10.4, p99_ms=99.6))
    assert figures.history.writes_per_second[-1] == 60.0
    assert figures.history.p99_ms[-1] == 100
    assert (figures.p50_ms, figures.p99_ms) == (10, 100)


def test_what_is_in_quarantine_is_handed_on() -> None:
    one = QuarantinedObject("quarantine/1", "", "r", None, "k", None, None)
    assert Reckoning(NOON).figures(reading(0), [one]).newest_quarantined == (one,)
