"""CloudWatch's counts: in minutes of their own, and not before they stand still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from tidemill_bench.cloudwatch import ALIKE, LATE_SECONDS, PATIENCE, CloudWatchCounting

START = 1_764_000_030.0
"""Half a minute past."""


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = START

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cloudwatch() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    with Stubber(client) as stubber:
        yield client, stubber
    client.close()


@pytest.fixture
def counting(cloudwatch: tuple[Any, Stubber], time: Time) -> CloudWatchCounting:
    functions = {"stack-apply": 1769, "stack-direct": 256}
    return CloudWatchCounting(
        cloudwatch[0],
        functions,
        "entities",
        "deliveries",
        "forgotten",
        "requests",
        lambda _: None,
        lambda: time.now,
        time.sleep,
    )


METRICS = [
    ("AWS/Kinesis", "IncomingRecords", {"StreamName": "requests"}, "Sum"),
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits", {"TableName": "entities"}, "Sum"),
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", {"TableName": "entities"}, "Sum"),
    ("AWS/DynamoDB", "SuccessfulRequestLatency", {"TableName": "entities", "Operation": "BatchGetItem"}, "SampleCount"),
    (
        "AWS/DynamoDB",
        "SuccessfulRequestLatency",
        {"TableName": "entities", "Operation": "BatchExecuteStatement"},
        "SampleCount",
    ),
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", {"TableName": "deliveries"}, "Sum"),
    ("AWS/DynamoDB", "SuccessfulRequestLatency", {"TableName": "deliveries", "Operation": "PutItem"}, "SampleCount"),
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", {"TableName": "forgotten"}, "Sum"),
    ("AWS/DynamoDB", "SuccessfulRequestLatency", {"TableName": "forgotten", "Operation": "PutItem"}, "SampleCount"),
    ("AWS/Lambda", "Invocations", {"FunctionName": "stack-apply"}, "Sum"),
    ("AWS/Lambda", "Duration", {"FunctionName": "stack-apply"}, "Sum"),
    ("AWS/Lambda", "Invocations", {"FunctionName": "stack-direct"}, "Sum"),
    ("AWS/Lambda", "Duration", {"FunctionName": "stack-direct"}, "Sum"),
]


def asked(begin: float, end: float) -> dict[str, Any]:
    queries = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": name,
                    "Dimensions": [{"Name": one, "Value": value} for one, value in dimensions.items()],
                },
                "Period": 60,
                "Stat": statistic,
            },
        }
        for number, (namespace, name, dimensions, statistic) in enumerate(METRICS)
    ]
    times = {"StartTime": datetime.fromtimestamp(begin, UTC), "EndTime": datetime.fromtimestamp(end, UTC)}
    return {"MetricDataQueries": queries, **times}


def series(number: int, values: Sequence[float]) -> dict[str, Any]:
    minutes = [datetime.fromtimestamp(60 * minute, UTC) for minute in range(len(values))]
    return {"Id": f"m{number}", "Timestamps": minutes, "Values": list(values), "StatusCode": "Complete"}


def test_a_part_has_whole_minutes_of_its_own(
    counting: CloudWatchCounting, cloudwatch: tuple[Any, Stubber], time: Time
) -> None:
    counting.begin()
    assert time.now == START + 30
    time.sleep(70)
    begin, end = START + 30, START + 150
    _, stubber = cloudwatch
    whole = [series(number, [number, 10.0]) for number in range(len(METRICS))]
    for _ in range(ALIKE):
        # In pages, and a metric that never was has no series.
        more = {"MetricDataResults": whole[:4], "NextToken": "more"}
        stubber.add_response("get_metric_data", more, asked(begin, end))
        stubber.add_response(
            "get_metric_data", {"MetricDataResults": whole[4:]}, {**asked(begin, end), "NextToken": "more"}
        )
    found = counting.end("direct")
    stubber.assert_no_pending_responses()
    assert time.now == end + ALIKE * LATE_SECONDS
    assert (found.records, found.read_units, found.write_units) == (10, 11.0, 12.0 + 15.0 + 17.0)
    assert found.forgotten_units == 17.0
    assert (found.read_calls, found.write_calls) == (13, 14 + 16 + 18)
    assert (found.invocations, found.billed_ms) == (19 + 21, 20.0 + 22.0)
    assert found.gb_seconds == pytest.approx(0.020 * 1769 / 1024 + 0.022 * 256 / 1024)
    assert found.cold_starts is None, "CloudWatch does not know"


def test_it_is_read_until_it_changes_no_more(counting: CloudWatchCounting, cloudwatch: tuple[Any, Stubber]) -> None:
    counting.begin()
    _, stubber = cloudwatch
    looks = [[], [series(9, [3])], [series(9, [3])], [series(9, [3, 4])], [series(9, [3, 4])], [series(9, [3, 4])]]
    for results in looks:
        stubber.add_response("get_metric_data", {"MetricDataResults": results}, ANY_TIMES)
    assert counting.end("aggregated").invocations == 7
    stubber.assert_no_pending_responses()


def test_what_never_comes_is_not_waited_for_for_ever(
    counting: CloudWatchCounting, cloudwatch: tuple[Any, Stubber], time: Time
) -> None:
    counting.begin()
    _, stubber = cloudwatch
    for _ in range(round(PATIENCE / LATE_SECONDS)):
        stubber.add_response("get_metric_data", {"MetricDataResults": []}, ANY_TIMES)
    assert counting.end("aggregated").invocations == 0
    assert time.now == START + 30 + PATIENCE


ANY_TIMES = {"MetricDataQueries": ANY, "StartTime": ANY, "EndTime": ANY}
