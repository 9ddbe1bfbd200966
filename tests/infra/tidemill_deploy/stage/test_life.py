"""Which state a stage goes on with, and when it has counted all: no total is under two names, or begun twice."""

import pytest

from tidemill_deploy.stage.life import (
    BEGIN,
    BEGINS_ANEW,
    GENERATION,
    GOES_ON,
    RESTORE,
    SETTLED_SECONDS,
    SHAPING,
    Found,
    is_counting,
    life,
    unfinished,
)
from tidemill_stream import Settings
from tidemill_stream.retention import OUTAGE_SECONDS

NOW = 1_796_040_123.4
GIVEN = {
    "AnalyticsPeriods": "1796040007-",
    "RetentionHours": "24",
    "AnalyticsCommands": '{"content.view":null}',
    "AnalyticsStages": "coalesce",
    "RepeatHorizonSeconds": "3600",
}
SHAPE = tuple(GIVEN[one] for one in SHAPING.values())
FORMER = "20260101T000000Z-abcdef"
RUNS = Found("RUNNING", FORMER, "1796000000", SHAPE)
STOPPED = Found("READY", FORMER, "1796000000", SHAPE, NOW - 600, FORMER)
ANEW = {GENERATION: "20261130T120203Z-f00ba4", BEGIN: "1796040000", RESTORE: BEGINS_ANEW}


@pytest.mark.parametrize("found", [RUNS, STOPPED])
def test_a_state_goes_on_under_its_own_name(found: Found) -> None:
    kept = {GENERATION: FORMER, BEGIN: "1796000000", RESTORE: GOES_ON}
    assert life(found, GIVEN, NOW, "f00ba4", anew=False) == kept


@pytest.mark.parametrize(
    "found",
    [
        None,
        Found("READY"),  # of another version, which named none
        Found("READY", FORMER, "1796000000", SHAPE),  # it never ran, or was stopped by force
        Found("READY", FORMER, "1796000000", SHAPE, NOW - OUTAGE_SECONDS, FORMER),  # Flink has forgotten the repeats
        Found("READY", FORMER, "1796000000", SHAPE, NOW - 60, "20250101T000000Z-abcdef"),  # of the one before
        Found(
            "RUNNING", FORMER, "1796000000", ('{"content.view":null}', "coalesce,top_content", "3600")
        ),  # another job
    ],
)
def test_without_a_state_of_its_own_a_generation_begins(found: Found | None) -> None:
    assert life(found, GIVEN, NOW, "f00ba4", anew=False) == ANEW


@pytest.mark.parametrize("found", [RUNS, STOPPED])
def test_a_generation_begins_when_it_is_asked_for(found: Found) -> None:
    assert life(found, GIVEN, NOW, "f00ba4", anew=True) == ANEW


@pytest.mark.parametrize(
    ("first", "begin"), [(1_796_040_007, 1_796_040_000), (1_700_000_000, 1_795_953_720), (1_796_999_999, 1_796_999_990)]
)
def test_it_counts_from_the_first_period_on_or_from_what_the_stream_still_has(first: int, begin: int) -> None:
    given = {**GIVEN, "AnalyticsPeriods": f"{first}-"}
    found = life(None, given, NOW, "f00ba4", anew=False)
    assert int(found[BEGIN]) == begin
    Settings(found[GENERATION], int(found[BEGIN]), {"content.view": None}, ((first, None),))  # which checks both


END = 1_796_030_000
DONE = END + SETTLED_SECONDS


@pytest.mark.parametrize(
    ("found", "periods", "now", "why"),
    [
        (RUNS, "1796000000-", DONE, "has no end"),
        (RUNS, f"1796000000-{END}", END - 1, "wait for 302 seconds"),
        (RUNS, f"1796000000-{END}", DONE - 1, "wait for 2 seconds"),
        (RUNS, f"1796000000-{END},1797000000-", DONE, "has no end"),
        (Found("READY", FORMER), f"1796000000-{END}", DONE, "READY and does not run: start it"),
        (Found("READY", FORMER, "0", SHAPE, DONE - 1, FORMER), f"1796000000-{END}", DONE, "does not run"),
        (RUNS, f"1796000000-{END}", DONE, None),
        (
            Found("READY", FORMER, "0", SHAPE, DONE, FORMER),
            f"1796000000-{END}",
            DONE + 60,
            None,
        ),  # it was stopped after
    ],
)
def test_it_is_done_once_it_ran_for_a_while_after_the_last_period(
    found: Found, periods: str, now: float, why: str | None
) -> None:
    left = unfinished(found, periods, now)
    assert (left is None) == (why is None)
    assert why is None or why in str(left)


@pytest.mark.parametrize(
    ("now", "counts"), [(9, False), (10, True), (19, True), (20, False), (29, False), (30, True), (999, True)]
)
def test_a_time_is_in_a_period_from_its_begin_to_its_end(now: float, counts: bool) -> None:
    assert is_counting("10-20,30-", now) is counts
