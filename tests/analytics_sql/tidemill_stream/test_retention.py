"""Repeats are forgotten after a time, and nothing else is."""

from __future__ import annotations

import json

import pytest

from tidemill_stream.retention import with_retention

PLAN = {
    "flinkVersion": "2.2",
    "nodes": [
        {"id": 1, "type": "stream-exec-table-source-scan_2"},
        {
            "id": 2,
            "type": "stream-exec-deduplicate_1",
            "state": [{"index": 0, "ttl": "0 ms", "name": "deduplicateState"}],
        },
        {"id": 3, "type": "stream-exec-over-aggregate_1", "state": [{"index": 0, "ttl": "0 ms", "name": "overState"}]},
    ],
}


def test_repeats_are_known_for_an_hour_longer_than_the_horizon() -> None:
    found = json.loads(with_retention(json.dumps(PLAN), 3600))
    assert [node.get("state", [{}])[0].get("ttl") for node in found["nodes"]] == [None, "7200000 ms", "0 ms"]
    assert found["flinkVersion"] == "2.2"


def test_a_plan_that_looks_for_no_repeats_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing in the plan"):
        with_retention(json.dumps({"nodes": PLAN["nodes"][2:]}), 3600)
