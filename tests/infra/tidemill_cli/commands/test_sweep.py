"""`tidemill sweep` as an operator meets it: the real command over an emulator's stack, days after its objects came."""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tidemill_cli.commands import sweep
from tidemill_consumers.core.batch import Blob, ref
from tidemill_consumers.operations.sweep import DAY, Sweep

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill_local.emulator import Emulator

STACK = "swept"
NAMED, ORPHAN = (ref(Blob(data))["object"] for data in (b"named", b"orphan"))
KEY = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
TEMPLATE = {
    "Resources": {
        "Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 1}},
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": KEY},
        "Content": {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}},
    },
    "Outputs": {
        "StreamName": {"Value": {"Ref": "Stream"}},
        "TableName": {"Value": {"Ref": "Table"}},
        "ContentBucketName": {"Value": {"Ref": "Content"}},
    },
}


@pytest.fixture
def bucket(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The bucket of a stack, with an object that its table names and one that it does not."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    s3 = emulator.client("s3")
    for name, data in ((NAMED, b"named"), (ORPHAN, b"orphan")):
        s3.put_object(Bucket=outputs["ContentBucketName"], Key=name, Body=data)
    item: Any = {"pk": {"S": "k"}, "doc": {"M": {"picture": {"S": NAMED}}}}
    emulator.client("dynamodb").put_item(TableName=outputs["TableName"], Item=item)
    return str(outputs["ContentBucketName"])


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill sweep")
    sweep.add_arguments(parser)
    return sweep.run(parser.parse_args([str(argument) for argument in (*arguments, "--stack", STACK)]))


def left(emulator: Emulator, bucket: str) -> set[str]:
    return {one["Key"] for one in emulator.client("s3").list_object_versions(Bucket=bucket).get("Versions", [])}


def test_it_shows_then_asks_then_deletes(
    emulator: Emulator,
    bucket: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run() == 0
    assert capsys.readouterr().out == f"0 objects in {bucket} are older than 2 days; of these no document names 0\n"
    later = partial(Sweep, clock=lambda: time.time() + 2 * DAY + 60.0)
    monkeypatch.setattr(sweep, "Sweep", later)
    assert run() == 0
    shown = f"2 objects in {bucket} are older than 2 days; of these no document names 1\n  {ORPHAN}  6 bytes\n"
    assert capsys.readouterr().out == shown
    assert run("--apply") == 1
    assert "add --yes to delete them" in capsys.readouterr().err
    assert left(emulator, bucket) == {NAMED, ORPHAN}
    assert run("--apply", "--yes", "--json", tmp_path / "out.json") == 0
    assert capsys.readouterr().out == f"{shown}1 deleted, 6 bytes\n"
    assert left(emulator, bucket) == {NAMED}
    result = json.loads((tmp_path / "out.json").read_text())
    (version,) = result.pop("versions")
    assert (version["name"], version["size"]) == (ORPHAN, 6)
    assert result == {"bucket": bucket, "old": 2, "unnamed": 1, "deleted": 1}
    emulator.client("cloudformation").delete_stack(StackName=STACK)


def test_a_stack_that_is_not_there_is_told(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    sweep.add_arguments(parser)
    assert sweep.run(parser.parse_args(["--stack", "nobodys"])) == 1
    assert "no stack 'nobodys' answers" in capsys.readouterr().err
