"""The stage's application by a stub of its service, which the emulator has not: the calls are those of AWS's own model.

What the service makes of them is unproven until the stack has been on AWS.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from tidemill_deploy.stage.application import Application, StageError
from tidemill_deploy.stage.life import GOES_ON, Found

NAME = {"ApplicationName": "shop-Stage"}
GENERATION = "20260101T000000Z-abcdef"


@pytest.fixture
def stubbed() -> Iterator[tuple[Application, Stubber, list[float]]]:
    client = boto3.client(
        "kinesisanalyticsv2", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    slept: list[float] = []
    with Stubber(client) as stub:
        yield Application(client, "shop-Stage", slept.append), stub, slept
        stub.assert_no_pending_responses()


def detail(status: str, generation: str = GENERATION, version: int = 3) -> dict[str, Any]:
    group = {"PropertyGroupId": "tidemill.analytics", "PropertyMap": {"generation": generation, "begin": "1796000000"}}
    other = {"PropertyGroupId": "kinesis.analytics.flink.run.options", "PropertyMap": {"python": "main.py"}}
    return {
        "ApplicationARN": "arn:aws:kinesisanalytics:eu-west-1:123456789012:application/shop-Stage",
        "ApplicationName": "shop-Stage",
        "RuntimeEnvironment": "FLINK-2_2",
        "ApplicationStatus": status,
        "ApplicationVersionId": version,
        "ApplicationConfigurationDescription": {
            "EnvironmentPropertyDescriptions": {"PropertyGroupDescriptions": [other, group]}
        },
    }


def has(stub: Stubber, *statuses: str, generation: str = GENERATION) -> None:
    for status in statuses:
        stub.add_response("describe_application", {"ApplicationDetail": detail(status, generation)}, NAME)


def has_snapshots(stub: Stubber, *snapshots: tuple[int, int, str]) -> None:
    found = [
        {
            "SnapshotName": f"s{hour}",
            "SnapshotStatus": status,
            "ApplicationVersionId": version,
            "SnapshotCreationTimestamp": datetime(2026, 11, 30, hour, tzinfo=UTC),
        }
        for hour, version, status in snapshots
    ]
    stub.add_response("list_application_snapshots", {"SnapshotSummaries": found}, NAME)


def test_it_tells_the_generation_of_the_latest_snapshot_that_is_whole(
    stubbed: tuple[Application, Stubber, list[float]],
) -> None:
    application, stub, _ = stubbed
    has(stub, "READY")
    has_snapshots(stub, (9, 1, "READY"), (11, 2, "READY"), (10, 1, "READY"), (12, 3, "FAILED"))
    stub.add_response(
        "describe_application_version",
        {"ApplicationVersionDetail": detail("READY", "20250101T000000Z-abcdef", 2)},
        {**NAME, "ApplicationVersionId": 2},
    )
    at = datetime(2026, 11, 30, 11, tzinfo=UTC).timestamp()
    assert application.found() == Found("READY", GENERATION, "1796000000", ("", "", ""), at, "20250101T000000Z-abcdef")


@pytest.mark.parametrize("status", ["UPDATING", "STARTING", "STOPPING", "AUTOSCALING", "ROLLING_BACK"])
def test_while_it_is_changed_nothing_is_done(stubbed: tuple[Application, Stubber, list[float]], status: str) -> None:
    application, stub, _ = stubbed
    has(stub, status)
    with pytest.raises(StageError, match=f"shop-Stage is {status}: wait until that is done"):
        application.found()


def test_one_that_is_made_is_started_and_waited_for(stubbed: tuple[Application, Stubber, list[float]]) -> None:
    application, stub, slept = stubbed
    has(stub, "READY")
    has_snapshots(stub)
    run = {
        "FlinkRunConfiguration": {"AllowNonRestoredState": False},
        "ApplicationRestoreConfiguration": {"ApplicationRestoreType": GOES_ON},
    }
    stub.add_response("start_application", {}, {**NAME, "RunConfiguration": run})
    has(stub, "READY", "STARTING", "STARTING", "RUNNING")
    said: list[str] = []
    application.start(GENERATION, GOES_ON, said.append)
    assert said == ["starting the stage shop-Stage"]
    assert len(slept) == 3


def test_one_that_runs_is_left_alone(stubbed: tuple[Application, Stubber, list[float]]) -> None:
    application, stub, _ = stubbed
    has(stub, "RUNNING")
    has_snapshots(stub)
    application.start(GENERATION, GOES_ON, print)


def test_one_that_does_not_start_is_told(stubbed: tuple[Application, Stubber, list[float]]) -> None:
    application, stub, _ = stubbed
    has(stub, "READY")
    has_snapshots(stub)
    stub.add_response("start_application", {})
    has(stub, "STARTING", "READY")
    with pytest.raises(StageError, match="is READY and not RUNNING"):
        application.start(GENERATION, GOES_ON, print)


def test_an_update_that_was_rolled_back_is_told_and_not_taken_for_done(
    stubbed: tuple[Application, Stubber, list[float]],
) -> None:
    application, stub, _ = stubbed
    has(stub, "RUNNING", generation="20250101T000000Z-abcdef")
    has_snapshots(stub)
    with pytest.raises(StageError, match="has rolled its update back"):
        application.start(GENERATION, GOES_ON, print)


def test_it_is_stopped_with_a_snapshot(stubbed: tuple[Application, Stubber, list[float]]) -> None:
    application, stub, _ = stubbed
    has(stub, "RUNNING")
    has_snapshots(stub)
    stub.add_response("stop_application", {}, {**NAME, "Force": False})
    has(stub, "STOPPING", "READY")
    application.stop(lambda _: None)


def test_one_that_has_stopped_is_left_alone(stubbed: tuple[Application, Stubber, list[float]]) -> None:
    application, stub, _ = stubbed
    has(stub, "READY")
    has_snapshots(stub)
    application.stop(lambda _: None)
