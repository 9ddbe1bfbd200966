"""The outcomes of `tidemill smoke`, as lines and as a document."""

from __future__ import annotations

from tidemill_cli.commands.smoke.result import Outcome, as_json, has_passed

PASSED = Outcome("sdk", "pass", "answered", 2.34567)
SKIPPED = Outcome("direct", "skip", "none", 0.0)
FAILED = Outcome("archive", "fail", "no file", 180.0)


def test_a_line_has_the_verdict_the_step_its_time_and_what_was_seen() -> None:
    assert PASSED.line.split() == ["pass", "sdk", "2.3", "s", "answered"]
    assert len({one.line.index(" s  ") for one in (PASSED, SKIPPED, FAILED)}) == 1, "they stand below one another"


def test_what_is_skipped_has_not_failed() -> None:
    assert has_passed([PASSED, SKIPPED])
    assert not has_passed([PASSED, FAILED, SKIPPED])


def test_the_document_has_all_of_it() -> None:
    told = as_json("shop", "eu-west-1", "smoke/1", [PASSED, FAILED])
    assert (told["stack"], told["region"], told["run"], told["passed"]) == ("shop", "eu-west-1", "smoke/1", False)
    assert told["steps"][0] == {"step": "sdk", "verdict": "pass", "detail": "answered", "seconds": 2.346}
