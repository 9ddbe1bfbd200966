"""Figures in words and lines; hostile text made safe to look at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill_page.figures import Figures, History, QuarantinedObject, ShardFigures
from tidemill_page.wording import LONGEST, MOST_SHARDS, UNKNOWN, area, duration, path, percent, safe, shown, texts

FIGURES = Figures("local", 1_764_072_060.0, 1_764_072_000.0, 12_345, 67, History(5))


def test_the_headline_says_what_was_saved() -> None:
    assert texts(FIGURES)["headline"] == "12,345 requests in 67 invocations: 99.46% of the invocations saved"
    assert texts(replace(FIGURES, requests=0, invocations=0))["headline"] == "No requests yet"
    assert texts(replace(FIGURES, requests=None))["headline"] == "67 invocations"


def test_what_is_not_known_is_a_dash_and_no_zero() -> None:
    told = texts(FIGURES)
    assert [told[name] for name in ("requests_per_second", "lag", "p99", "applied", "waiting")] == [UNKNOWN] * 5
    assert texts(replace(FIGURES, lag_ms=0, applied=0))["lag"] == "0 ms"


def test_writes_are_units_where_those_are_known_and_calls_else() -> None:
    told = texts(replace(FIGURES, write_calls=12))
    assert (told["writes_name"], told["writes"]) == ("Write calls", "12")
    told = texts(replace(FIGURES, write_calls=12, write_units=3_400.0))
    assert (told["writes_name"], told["writes"], told["write_calls"]) == ("Write units", "3,400", "12")


def test_the_state_is_the_problem_the_alarms_or_what_is_quarantined() -> None:
    since = "since 2025-11-25 12:00:00"
    assert texts(FIGURES)["state"] == "Nothing is known to be wrong."
    there = replace(FIGURES, newest_quarantined=(QuarantinedObject("o", "", "", None, "k", None, None),))
    assert texts(there)["state"] == "Requests from before are in quarantine."
    assert texts(replace(there, quarantined=3))["state"] == f"3 requests were quarantined {since}."
    gone = replace(FIGURES, quarantined=1)
    assert texts(gone)["state"] == f"1 request was quarantined {since}; nothing is in quarantine now."
    alarmed = replace(FIGURES, quarantined=3, alarms=("ApplyFails", "EmitsLoop"))
    assert texts(alarmed)["state"] == "Alarms that are on: ApplyFails, EmitsLoop."
    assert texts(replace(alarmed, problem="no"))["state"] == "Alarms that are on: ApplyFails, EmitsLoop. no"
    assert texts(replace(FIGURES, alarms=()))["state"] == "Nothing is known to be wrong."
    assert texts(replace(FIGURES, quarantined=3, problem="PROBLEM: \x1b no"))["state"] == "PROBLEM: \\x1b no"


@pytest.mark.parametrize(
    ("share", "said"),
    [(None, UNKNOWN), (0.0, "0.0%"), (0.5, "50.0%"), (0.9946, "99.46%"), (0.99999, "99.99%"), (1.0, "100.0%")],
)
def test_a_share_is_never_rounded_up_to_the_whole(share: float | None, said: str) -> None:
    assert percent(share) == said


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [
        (None, UNKNOWN),
        (999, "999 ms"),
        (1_500, "1.5 s"),
        (119_999, "120.0 s"),
        (600_000, "10 min"),
        (9_000_000, "2.5 h"),
    ],
)
def test_a_time_has_the_unit_that_fits(milliseconds: int | None, said: str) -> None:
    assert duration(milliseconds) == said


def test_a_line_goes_from_left_to_right_and_is_broken_where_nothing_is_known() -> None:
    assert path([]) == path([None, None]) == ""
    assert path([0.0, 5.0, 10.0]) == "M0.0 23.0L50.0 12.0L100.0 1.0"
    assert path([10.0, None, 10.0]) == "M0.0 1.0h0M100.0 1.0h0"
    assert path([0.0, 0.0]) == "M0.0 23.0L100.0 23.0"
    assert area([None, 5.0, 10.0]) == "M50.0 24L50.0 12.0L100.0 1.0V24Z"
    assert area([None]) == ""


def test_a_line_says_in_words_what_it_shows() -> None:
    history = History(5.0, requests_per_second=(None, 12.5, 100.0, *[50.0] * 57))
    lines = shown(replace(FIGURES, history=history))["lines"]
    assert lines["requests_line"]["label"] == "requests a second in the last 5 minutes: 12.5 to 100, at last 50"
    assert lines["p99_line"] == {"path": "", "area": "", "label": "slowest hundredth in milliseconds: nothing yet"}


HOSTILE = [
    "</script><script>alert(1)</script>",
    "\u202egnp.exe",
    "\u2066isolate\u2069 \u200b\ufeff",
    "nul\x00 esc\x1b[2J\r\n\u2028",
    "\ud800",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_a_text_and_nothing_in_it_steers(text: str) -> None:
    one = QuarantinedObject("quarantine/1", text, text, text, text, text, text)
    (row,) = shown(replace(FIGURES, newest_quarantined=(one,)))["quarantined"]
    for cell in [*row["cells"], row["problem"], row["name"]]:
        assert cell.isprintable()
        cell.encode()


def test_a_long_text_is_cut_before_what_is_hidden_in_it_is_written_out() -> None:
    assert safe("a" * LONGEST) == "a" * LONGEST
    assert safe("a" * 1_000_000) == "a" * (LONGEST - 1) + "…"
    assert len(safe("\U000e0001" * 1_000_000)) <= LONGEST * len("\\U000e0001")


def test_of_many_shards_the_first_are_shown_and_the_others_counted() -> None:
    shards = tuple(ShardFigures(f"shard-{number}", 0, 1.25) for number in range(MOST_SHARDS + 2))
    told = shown(replace(FIGURES, shards=shards))
    assert (len(told["shards"]), told["texts"]["more_shards"]) == (MOST_SHARDS, "and 2 more")
    assert told["shards"][0] == ["shard-0", "0", "1.2"]
