"""The load test's result: what is written is what is read."""

from __future__ import annotations

import json

import pytest

from tidemill_load.result import Latency, Measurement, Result, UnreadableResult, Workload, from_json, to_json

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
    assert written["schema_version"] == 1
    assert written["measurements"][0]["invocations"] is None


def test_fields_of_a_later_minor_form_are_passed_over() -> None:
    written = json.loads(to_json(RESULT)) | {"added": 1}
    assert from_json(json.dumps(written).encode()) == RESULT


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b'{"schema_version": 1}', b'{"schema_version": 2}'])
def test_what_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(UnreadableResult):
        from_json(text)
