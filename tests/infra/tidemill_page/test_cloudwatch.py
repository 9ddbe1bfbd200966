"""Figures from CloudWatch's metrics: totals of the last hour, and minutes that may yet come."""

from __future__ import annotations

import pytest

from tidemill_page.cloudwatch import LATE_MINUTES, MINUTES, MOST_SHARDS, dollars_an_hour, figures, metrics, minutes
from tidemill_page.figures import QuarantinedObject, ShardFigures

NOW = 1_764_072_042.5
LAST = 1_764_072_000
"""The minute that has begun last."""


def ago(count: int) -> int:
    """The start of the minute so many before the last whole one."""
    return LAST - 60 * (count + 1)


def test_the_last_whole_hour_is_asked_for() -> None:
    asked = minutes(NOW)
    assert (asked.start, asked.stop, len(asked)) == (LAST - 3_600, LAST, MINUTES)
    assert asked[-1] == ago(0)


def test_each_metric_is_asked_for_once_and_shards_up_to_a_bound() -> None:
    asked = metrics("apply", "requests", [f"shard-{number}" for number in range(MOST_SHARDS + 5)])
    assert len(asked) == 12 + MOST_SHARDS
    queries = [one.query(number) for number, one in enumerate(asked.values())]
    assert len({str(one["MetricStat"]) for one in queries}) == len(queries)
    assert asked["p99"].query(7) == {
        "Id": "m7",
        "MetricStat": {
            "Metric": {
                "Namespace": "Tidemill",
                "MetricName": "ReplyLatency",
                "Dimensions": [{"Name": "FunctionName", "Value": "apply"}],
            },
            "Period": 60,
            "Stat": "p99",
        },
    }
    assert asked["shard-0"].dimensions == {"StreamName": "requests", "ShardId": "shard-0"}


def test_totals_are_those_of_the_hour_and_a_request_counts_once() -> None:
    series = {
        "applied": {ago(9): 900.0, ago(1): 600.0},
        "rejected": {ago(1): 60.0},
        "repeats": {ago(9): 5.0},
        "quarantined": {ago(9): 1.0},
        "invocations": {ago(9): 12.0, ago(1): 12.0},
        "errors": {ago(9): 2.0},
        "write_calls": {ago(1): 30.0},
        "write_units": {ago(9): 1_000.0, ago(1): 500.5},
    }
    one = QuarantinedObject("quarantine/1", "", "r", None, "k", None, None)
    found = figures(series, NOW, newest=[one], problem="PROBLEM: x")
    assert (found.source, found.at, found.since) == ("cloudwatch", NOW, LAST - 3_600)
    assert (found.requests, found.invocations, found.saved, found.saved_share) == (1_566, 24, 1_542, 0.9847)
    assert (found.applied, found.rejected, found.repeats, found.quarantined) == (1_500, 60, 5, 1)
    assert (found.errors, found.throttles, found.write_calls, found.write_units) == (2, 0, 30, 1_500.0)
    assert (found.newest_quarantined, found.problem) == ((one,), "PROBLEM: x")


def test_the_rate_is_that_of_the_newest_minute_that_is_known() -> None:
    found = figures({"applied": {ago(5): 600.0, ago(1): 60.0}}, NOW)
    assert found.requests_per_second == 1.0
    assert found.history.requests_per_second[-6:] == (10.0, 0.0, 0.0, None, 1.0, None)
    assert figures({"applied": {ago(5): 600.0}}, NOW).requests_per_second == 0.0
    assert figures({}, NOW).requests_per_second == 0.0


def test_lag_and_latency_are_the_newest_ones_that_are_not_old() -> None:
    series = {"lag": {ago(1): 5_300.4}, "p50": {ago(2): 10.0}, "p99": {ago(0): 99.6}}
    found = figures(series, NOW)
    assert (found.lag_ms, found.p50_ms, found.p99_ms) == (5_300, 10, 100)
    assert found.history.lag_ms[-3:] == (None, 5_300, None)
    assert figures({"lag": {ago(LATE_MINUTES + 1): 5_300.0}}, NOW).lag_ms is None


def test_a_shard_has_a_rate_where_it_has_metrics() -> None:
    found = figures({"shard-0": {ago(0): 120.0}}, NOW, ["shard-0", "shard-1"])
    assert found.shards == (ShardFigures("shard-0", None, 2.0), ShardFigures("shard-1", None, None))


def test_asking_has_its_price() -> None:
    assert dollars_an_hour(12) == pytest.approx(0.0072)
