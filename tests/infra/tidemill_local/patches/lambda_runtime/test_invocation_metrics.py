"""Lambda's metrics in the emulator's CloudWatch: each invocation counts once, whoever invokes, and each refusal."""

from __future__ import annotations

import io
import json
import time
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidemill_local.emulator import Emulator

HANDLER = "def handler(event, context): return event['value']"


@pytest.fixture(scope="module")
def function(emulator: Emulator) -> str:
    """A function that fails unless its event has a value."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("counted.py", HANDLER)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = emulator.client("iam").create_role(RoleName="counted", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    emulator.client("lambda").create_function(
        FunctionName="counted",
        Runtime="python3.14",
        Handler="counted.handler",
        Role=role,
        Code={"ZipFile": buffer.getvalue()},
        PackageType="Zip",
    )
    return "counted"


def total(emulator: Emulator, function: str, name: str) -> float:
    found = emulator.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=name,
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=datetime.now(UTC) - timedelta(hours=1),
        EndTime=datetime.now(UTC) + timedelta(hours=1),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(one["Sum"] for one in found["Datapoints"]))


COUNTS = ("Invocations", "Errors", "Throttles")


def test_an_invocation_counts_once_and_a_throttled_request_as_no_invocation(emulator: Emulator, function: str) -> None:
    client = emulator.client("lambda")

    def counted(**event: Any) -> list[float]:
        before = [total(emulator, function, name) for name in COUNTS]
        try:
            client.invoke(FunctionName=function, Payload=json.dumps(event))
        except client.exceptions.TooManyRequestsException:
            assert "value" not in event
        return [total(emulator, function, name) - one for name, one in zip(COUNTS, before, strict=True)]

    assert counted(value=1) == [1, 0, 0]
    assert counted() == [1, 1, 0]
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    # The SDK asks again when it is told so: each of its requests was refused.
    invocations, errors, throttles = counted()
    assert (invocations, errors) == (0, 0)
    assert throttles >= 1
    client.delete_function_concurrency(FunctionName=function)
    assert 0 < total(emulator, function, "Duration") < 10_000


def test_an_event_counts_when_it_runs_and_has_an_age(emulator: Emulator, function: str) -> None:
    before = total(emulator, function, "Invocations")
    emulator.client("lambda").invoke(FunctionName=function, InvocationType="Event", Payload=b'{"value": 1}')
    deadline = time.monotonic() + 20
    while total(emulator, function, "AsyncEventAge") == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert total(emulator, function, "Invocations") - before == 1
