"""The load test's result: what is written is what is read."""

from __future__ import annotations

import json
from html import unescape

import pytest

from tests.tree import ROOT
from tidemill_load.report import render
from tidemill_load.results.result import (
    EARLIER,
    Latency,
    Measurement,
    Result,
    UnreadableResult,
    Workload,
    from_json,
    to_json,
)

FIRST = ROOT / "tests" / "browser" / "result.json"

RESULT = Result(
    started="2026-11-25T10:00:00Z",
    target="local",
    workload=Workload(kind="poisson", parameters={"keys": 100, "zipf": 1.0}),
    seed=1,
    seconds=30.0,
    window=5.0,
    batch=1000,
    config_hash="0123456789ab",
    versions={"tidemill": "0.1.0"},
    measurements=(
        Measurement(mode="direct", rate=50.0, latency=Latency(count=3, p50=0.1, bounds=(0.1, 0.2), counts=(1, 1, 1))),
        Measurement(mode="analytics", rate=50.0, skipped="no Java"),
    ),
)


def test_what_is_written_is_what_is_read() -> None:
    assert from_json(to_json(RESULT)) == RESULT


def test_its_version_stands_in_it_and_unknown_is_null() -> None:
    written = json.loads(to_json(RESULT))
    assert written["schema_version"] == 2
    assert written["measurements"][0]["invocations"] is None


def test_fields_of_a_later_minor_form_are_passed_over() -> None:
    written = json.loads(to_json(RESULT)) | {"added": 1}
    assert from_json(json.dumps(written).encode()) == RESULT


def test_a_result_of_the_first_version_is_read_and_says_what_is_other_in_it() -> None:
    written = json.loads(FIRST.read_bytes())  # by the command as it was on 25 November 2026
    assert (written["schema_version"], "span" in written["measurements"][0]) == (1, False)
    found = from_json(FIRST.read_bytes())
    *kept, note = found.notes
    assert kept == written["notes"]
    assert note == EARLIER[1]
    again = json.loads(to_json(found))
    assert from_json(to_json(found)) == found, "the note is there once, however often it is written and read"
    for name in written.keys() - {"schema_version", "notes", "measurements", "workload"}:
        assert again[name] == written[name]
    for one, before in zip(again["measurements"], written["measurements"], strict=True):
        assert {name: one[name] for name in before} == before
    page = render(found)
    assert note in unescape(page)
    assert "time that is paid for" in page


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b'{"schema_version": 1}', b'{"schema_version": 2}'])
def test_what_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableResult, match="not a load test's result: "):
        from_json(text)


def test_a_result_of_a_later_version_is_refused_for_that() -> None:
    written = json.loads(to_json(RESULT)) | {"schema_version": 3}
    with pytest.raises(UnreadableResult, match="its schema_version is 3; this reads 1, 2"):
        from_json(json.dumps(written).encode())
