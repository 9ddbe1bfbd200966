"""The figures of a stack by the emulator's CloudWatch: put there, asked for, and shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.infra.tidemill_cli.commands.test_redrive import poison
from tidemill_cli.commands.up.quarantine import WatchedQuarantine
from tidemill_cli.commands.watch.stack_figures import StackFigures, failed
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.operations.redrive import Objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill_local.emulator import Emulator

STREAM, BUCKET = "watched-stream", "watched"
TOPIC = "arn:aws:sns:us-east-1:000000000000:watched"
OUTPUTS = {"ApplyFunctionName": "watched-apply", "StreamName": STREAM, "OperationsTopicArn": TOPIC}


class Counted:
    """A client that counts the calls by their names."""

    def __init__(self, client: Any, calls: list[str]) -> None:
        self._client, self._calls = client, calls
        client.meta.events.register("before-call", self._count, unique_id="counted")

    def _count(self, model: Any, **_: object) -> None:
        self._calls.append(model.name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def stack(emulator: Emulator) -> Iterator[Emulator]:
    kinesis, s3 = emulator.client("kinesis"), emulator.client("s3")
    kinesis.create_stream(StreamName=STREAM, ShardCount=2)
    s3.create_bucket(Bucket=BUCKET)
    Quarantine(s3, BUCKET).store([poison(1), poison(2)])
    yield emulator
    kinesis.delete_stream(StreamName=STREAM)
    for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=entry["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def put(emulator: Emulator, namespace: str, name: str, value: float, at: datetime, **dimensions: str) -> None:
    named = [{"Name": each, "Value": text} for each, text in (dimensions or {"FunctionName": "watched-apply"}).items()]
    datum = {"MetricName": name, "Dimensions": named, "Timestamp": at, "Value": value}
    emulator.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def taker(emulator: Emulator, now: datetime, cloudwatch: Any = None) -> StackFigures:
    s3, client = emulator.client("s3"), emulator.client
    quarantine = WatchedQuarantine(s3, BUCKET, Objects(s3, BUCKET), STREAM, lambda: None)
    clients = cloudwatch or client("cloudwatch"), client("kinesis"), client("lambda")
    return StackFigures(OUTPUTS, *clients, quarantine, now.timestamp)


def test_what_cloudwatch_knows_is_shown_and_other_functions_and_hours_are_not(stack: Emulator) -> None:
    now = datetime.now(UTC).replace(second=30, microsecond=0)
    minute = now.replace(second=0) - timedelta(minutes=1)
    for name, value in {"Applied": 540.0, "Rejected": 60.0, "WriteUnits": 700.0, "ReplyLatency": 4_000.0}.items():
        put(stack, "Tidemill", name, value, minute)
    put(stack, "Tidemill", "Applied", 60.0, minute - timedelta(minutes=10))
    put(stack, "Tidemill", "Applied", 7_000.0, minute - timedelta(hours=2))
    put(stack, "Tidemill", "Applied", 9_000.0, minute, FunctionName="another")
    put(stack, "AWS/Lambda", "Invocations", 6.0, minute)
    put(stack, "AWS/Lambda", "IteratorAge", 5_250.0, minute)
    asked = taker(stack, now)
    found = asked.take()
    assert (found.requests, found.applied, found.rejected, found.invocations) == (660, 600, 60, 6)
    assert (found.requests_per_second, found.lag_ms, found.p50_ms, found.write_units) == (10.0, 5_250, 4_000, 700.0)
    assert [one.shard for one in found.shards] == ["shardId-000000000000", "shardId-000000000001"]
    assert {one.key for one in found.newest_quarantined} == {"k/1", "k/2"}
    assert asked.count == 12


def test_a_look_makes_few_calls(stack: Emulator) -> None:
    calls: list[str] = []
    Counted(stack.client("cloudwatch"), calls)
    try:
        taker(stack, datetime.now(UTC)).take()
    finally:
        stack.client("cloudwatch").meta.events.unregister("before-call", unique_id="counted")
    assert calls == ["GetMetricData", "DescribeAlarms"]


def test_the_stacks_alarms_that_are_on_are_told_by_their_names_in_the_template(stack: Emulator) -> None:
    cloudwatch = stack.client("cloudwatch")
    metric = {"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    comparison = {"Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
    alarms = {
        "shop-eu-ApplyFails-1X2Y": (TOPIC, "ALARM"),
        "shop-eu-EmitsLoop-3Z": (TOPIC, "OK"),
        "other-ApplyLags-4A": (f"{TOPIC}-of-another", "ALARM"),
    }
    for name, (topic, state) in alarms.items():
        cloudwatch.put_metric_alarm(AlarmName=name, AlarmActions=[topic], **metric, **comparison)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="tried")
    try:
        assert taker(stack, datetime.now(UTC)).take().alarms == ("ApplyFails",)
    finally:
        cloudwatch.delete_alarms(AlarmNames=list(alarms))


def test_an_error_keeps_the_last_figures_and_says_so(stack: Emulator) -> None:
    last = taker(stack, datetime.now(UTC)).take()
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetMetricData")
    found = failed(last, error)
    assert found.problem
    assert found.problem.startswith("AWS is not heard: ")
    assert "AccessDenied" in found.problem
    assert found.shards == last.shards
