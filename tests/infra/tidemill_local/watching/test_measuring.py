"""Values for alarms, of answers of CloudWatch and of queues since the last look. test_alarms.py has real faults."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tidemill_local.watching.alarm import Metric, metric
from tidemill_local.watching.datapoints import Datapoints
from tidemill_local.watching.measuring import FunctionCounts, Queue, counted, named

ERRORS = metric("AWS/Lambda", "Errors", FunctionName="f")
AGE = metric("AWS/Lambda", "AsyncEventAge", FunctionName="f")
NOW = 1_764_000_000


class CloudWatch:
    """Answers from the values that were added, second by second."""

    def __init__(self) -> None:
        self.values: list[tuple[str, int, float]] = []

    def get_paginator(self, _: str) -> CloudWatch:
        return self

    def paginate(self, MetricDataQueries: Sequence[Any], StartTime: datetime, EndTime: datetime) -> list[Any]:
        return [{"MetricDataResults": [self._result(one, StartTime, EndTime) for one in MetricDataQueries]}]

    def _result(self, query: Any, start: datetime, end: datetime) -> Any:
        of, stat = query["MetricStat"]["Metric"], query["MetricStat"]["Stat"]
        assert (of["Dimensions"], query["MetricStat"]["Period"]) == ([{"Name": "FunctionName", "Value": "f"}], 1)
        by_second: dict[int, list[float]] = {}
        for name, at, value in self.values:
            if name == of["MetricName"] and start.timestamp() <= at < end.timestamp():
                by_second.setdefault(at, []).append(value)
        values = [sum(several) if stat == "Sum" else max(several) for several in by_second.values()]
        return {
            "Id": query["Id"],
            "Timestamps": [datetime.fromtimestamp(at, UTC) for at in by_second],
            "Values": values,
        }


class Clock:
    def __init__(self) -> None:
        self.now = NOW + 0.5

    def __call__(self) -> float:
        return self.now


def test_each_value_counts_once_also_of_the_second_of_the_last_look() -> None:
    cloudwatch, clock, points = CloudWatch(), Clock(), Datapoints()
    cloudwatch.values = [("Errors", NOW, 1.0)]
    counts = FunctionCounts(cloudwatch, [ERRORS, AGE], clock)
    counts.measure(points, 0)
    assert points.of(ERRORS) == (), "it was before"
    cloudwatch.values += [("Errors", NOW, 1.0), ("AsyncEventAge", NOW, 30.0)]
    counts.measure(points, 60)
    cloudwatch.values += [("Errors", NOW, 1.0), ("Errors", NOW + 1, 1.0), ("AsyncEventAge", NOW, 20.0)]
    clock.now += 1
    counts.measure(points, 120)
    clock.now += 5
    cloudwatch.values += [("Errors", NOW + 4, 0.0), ("AsyncEventAge", NOW + 6, 40.0)]
    counts.measure(points, 180)
    counts.measure(points, 240)
    assert points.of(ERRORS) == [(60, 1.0), (120, 1.0), (120, 1.0), (180, 0.0)]
    assert points.of(AGE) == [(60, 30.0), (180, 40.0)]


class Sqs:
    def get_queue_url(self, QueueName: str) -> Any:
        return {"QueueUrl": f"http://here/{QueueName}"}

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: Sequence[str]) -> Any:
        assert (QueueUrl, AttributeNames) == ("http://here/missed", ["ApproximateNumberOfMessages"])
        return {"Attributes": {"ApproximateNumberOfMessages": "3"}}


def test_a_queue_has_a_length_at_each_look() -> None:
    points = Datapoints()
    Queue(Sqs(), "missed").measure(points, 60)
    wanted = metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName="missed")
    assert points.of(wanted) == [(60, 3.0)]


def test_only_what_alarms_watch_is_asked_for() -> None:
    lag = metric("AWS/Lambda", "IteratorAge", FunctionName="g")
    other = Metric("Tidemill", "Errors", frozenset())
    assert counted([ERRORS, lag, other, AGE]) == [ERRORS, AGE]
    assert named([ERRORS, lag], "IteratorAge") == ["g"]
