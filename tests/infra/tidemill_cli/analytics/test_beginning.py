"""How a job begins: on from its checkpoint, or anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill_cli.analytics.beginning import Beginning, Kept, begin_of, beginning
from tidemill_stream import InvalidSettings

OLD, NEW, LATER = "20260101T000000Z-aaaaaa", "20260102T000000Z-bbbbbb", "20260103T000000Z-cccccc"
WANTED = {"begin": "100", "commands": '{"a": null}', "periods": "100-", "window.seconds": "10"}
KEPT = Kept({**WANTED, "begin": "50", "generation": OLD}, "file:///chk-7", 60.0)


def begins(kept: Kept | None, named: str | None = None, **wanted: str) -> Beginning:
    given = {**WANTED, **{name.replace("_", "."): value for name, value in wanted.items()}}
    return beginning(given, kept, named, NEW, 3600)


def test_the_first_job_is_a_new_generation() -> None:
    assert begins(None) == Beginning({**WANTED, "generation": NEW})
    assert begins(None, OLD).properties["generation"] == OLD


def test_a_checkpoint_is_gone_on_from_as_the_generation_that_it_was() -> None:
    assert begins(KEPT) == Beginning({**WANTED, "begin": "50", "generation": OLD}, "file:///chk-7")
    assert begins(KEPT, OLD).checkpoint == "file:///chk-7"


def test_periods_may_change_meanwhile() -> None:
    found = begins(KEPT, periods="100-900")
    assert (found.checkpoint, found.properties["periods"]) == ("file:///chk-7", "100-900")


@pytest.mark.parametrize(
    ("kept", "wanted", "why"),
    [
        (replace(KEPT, checkpoint=None), {}, "the last job left no checkpoint"),
        (replace(KEPT, age=3660.0), {}, "its checkpoint is 61 minutes old and has forgotten repeats"),
        (KEPT, {"window_seconds": "20"}, "it is another job now: window.seconds"),
        (KEPT, {"commands": "{}", "aws_endpoint": "x"}, "it is another job now: aws.endpoint, commands"),
    ],
)
def test_otherwise_it_counts_anew_and_says_why(kept: Kept, wanted: dict[str, str], why: str) -> None:
    found = begins(kept, **wanted)
    assert (found.checkpoint, found.why, found.properties["generation"]) == (None, why, NEW)
    assert found.properties["begin"] == "100"


def test_a_named_generation_is_later_than_the_last_one() -> None:
    found = begins(KEPT, LATER)
    assert (found.checkpoint, found.properties["generation"]) == (None, LATER)
    with pytest.raises(InvalidSettings, match="is earlier than the last one"):
        begins(KEPT, "20250101T000000Z-aaaaaa")
    with pytest.raises(InvalidSettings, match="cannot go on"):
        begins(replace(KEPT, checkpoint=None), OLD)


def test_the_first_window_is_the_one_in_which_the_first_period_begins() -> None:
    assert begin_of(((1764500007, 1764500100), (1764500200, None)), 10) == 1764500000
    assert begin_of(((1, None),), 10) == 0
