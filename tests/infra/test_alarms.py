"""Each alarm of the template has an action and a place in the runbook; what it and the dashboard watch exists."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.tree import ROOT
from tidemill_consumers.codec.metrics import METRICS, NAMESPACE
from tidemill_deploy.template import load, template_path

RUNBOOK = (ROOT / "docs/runbook.md").read_text()
RESOURCES: dict[str, Any] = load(template_path())["Resources"]
ALARMS = {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] == "AWS::CloudWatch::Alarm"}

# The metrics' names, as the services' pages list them:
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html
# https://docs.aws.amazon.com/managed-flink/latest/java/metrics-dimensions.html
KNOWN = {
    NAMESPACE: ({"FunctionName"}, set(METRICS)),
    "AWS/Lambda": (
        {"FunctionName"},
        {"IteratorAge", "Invocations", "Errors", "Throttles", "Duration", "AsyncEventAge"},
    ),
    "AWS/Kinesis": (
        {"StreamName"},
        {"IncomingRecords", "WriteProvisionedThroughputExceeded", "GetRecords.IteratorAgeMilliseconds"},
    ),
    "AWS/KinesisAnalytics": (  # of Flink 2.2, which has no fullRestarts any more
        {"Application"},
        {
            "numRestarts",
            "numberOfFailedCheckpoints",
            "numLateRecordsDropped",
            "lastCheckpointDuration",
            "lastCheckpointSize",
        },
    ),
    "AWS/DynamoDB": ({"TableName"}, {"WriteThrottleEvents", "ReadThrottleEvents"}),
    "AWS/SQS": ({"QueueName"}, {"ApproximateNumberOfMessagesVisible"}),
    "AWS/Firehose": ({"DeliveryStreamName"}, {"DeliveryToS3.DataFreshness", "DeliveryToS3.Success"}),
}


def watched(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The metrics of an alarm."""
    if "Metrics" not in alarm:
        yield alarm
    for one in alarm.get("Metrics", []):
        if "MetricStat" in one:
            yield one["MetricStat"]["Metric"]


def resource_of(dimension: dict[str, Any]) -> str:
    """The resource that a dimension names."""
    ((function, argument),) = dimension["Value"].items()
    return str(argument if function == "Ref" else argument[0])


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_has_an_action_and_a_place_in_the_runbook_with_a_command(name: str) -> None:
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Operations"}]
    assert alarm["AlarmDescription"].endswith(f" docs/runbook.md#{name.lower()}")
    section = RUNBOOK.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert re.search(r"^    (aws|tidemill) ", section, re.MULTILINE)


def test_the_runbook_has_no_other_alarm() -> None:
    assert re.findall(r"^## (.*)$", RUNBOOK, re.MULTILINE) == list(ALARMS)


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_watches_metrics_that_exist_of_resources_that_exist(name: str) -> None:
    metrics = list(watched(ALARMS[name]))
    assert metrics
    for metric in metrics:
        dimensions, names = KNOWN[metric["Namespace"]]
        assert metric["MetricName"] in names
        assert {one["Name"] for one in metric["Dimensions"]} == dimensions
        assert all(resource_of(one) in RESOURCES for one in metric["Dimensions"])


@pytest.mark.parametrize("name", [name for name, alarm in ALARMS.items() if "Metrics" in alarm])
def test_an_alarm_of_several_metrics_has_one_period_and_one_result(name: str) -> None:
    metrics = ALARMS[name]["Metrics"]
    assert [one["Id"] for one in metrics if one.get("ReturnData", True)] == ["result"]
    assert len({one["MetricStat"]["Period"] for one in metrics if "MetricStat" in one}) == 1


def test_a_batch_is_slow_at_four_fifths_of_the_functions_time_out() -> None:
    assert int(ALARMS["ApplyIsSlow"]["Threshold"]) == 800 * int(RESOURCES["Apply"]["Properties"]["Timeout"])


def test_the_dashboard_shows_metrics_that_exist_and_all_alarms() -> None:
    shown: list[str] = []
    for name in ("Dashboard", "PhotosDashboard", "StageDashboard"):
        widgets = json.loads(RESOURCES[name]["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]
        shown += widgets[0]["properties"]["alarms"]
        check_metrics(widgets[1:])
    assert shown == [f"${{{name}.Arn}}" for name in ALARMS]


@pytest.mark.parametrize("name", ALARMS)
def test_what_is_there_with_an_option_alone_is_watched_then_alone(name: str) -> None:
    conditions = {
        RESOURCES[resource_of(one)].get("Condition") for of in watched(ALARMS[name]) for one in of["Dimensions"]
    }
    if name.startswith("Stage"):  # beside what is always there; the stage is there only where its stream is
        assert RESOURCES[name]["Condition"] == "HasStage"
        assert conditions <= {None, "HasAnalytics", "HasStage"}
    else:
        assert conditions == {RESOURCES[name].get("Condition")}


def check_metrics(widgets: list[dict[str, Any]]) -> None:
    """What the widgets show exists."""
    for row in [row for one in widgets for row in one["properties"]["metrics"]]:
        if isinstance(row[0], str):
            namespace, metric, dimension, value = row[:4]
            dimensions, names = KNOWN[namespace]
            assert metric in names
            assert {dimension} == dimensions
            assert value[2:-1].partition(".")[0] in RESOURCES
