"""`tidemill reindex` as an operator meets it: the real command over an emulator's stack."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest

from tests.consumers.tidemill_media.contents import document, image
from tidemill_cli.commands import reindex

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill_local.emulator import Emulator

KEY = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}
TEMPLATE = {
    "Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": KEY}, "Content": {"Type": "AWS::S3::Bucket"}},
}
OUTPUTS = {"TableName": {"Value": {"Ref": "Table"}}, "ContentBucketName": {"Value": {"Ref": "Content"}}}
INDEX = {"IndexFunctionName": {"Value": "index"}}


@pytest.fixture(autouse=True)
def at_emulator(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)


def made(emulator: Emulator, stack: str, more: dict[str, dict[str, str]]) -> dict[str, str]:
    """A stack's outputs."""
    cloudformation = emulator.client("cloudformation")
    body = json.dumps({**TEMPLATE, "Outputs": {**OUTPUTS, **more}})
    cloudformation.create_stack(StackName=stack, TemplateBody=body)
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill reindex")
    reindex.add_arguments(parser)
    return reindex.run(parser.parse_args([str(argument) for argument in arguments]))


def test_it_makes_the_index_and_says_what_was_damaged(
    emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = made(emulator, "indexed", INDEX)
    for number in range(3):
        emulator.client("dynamodb").put_item(
            TableName=outputs["TableName"], Item=image(f"content/{number}", document(owner=f"../{number}"))
        )
    path = tmp_path / "out.json"
    assert run("--stack", "indexed", "--json", path) == 0
    assert capsys.readouterr().out == "3 contents in 4 indexes; 3 were listed anew\n"
    assert json.loads(path.read_text()) == {"contents": 3, "indexes": 4, "damaged": 0, "relisted": 3}
    file = {"Bucket": outputs["ContentBucketName"], "Key": "index/all/manifest.json"}
    emulator.client("s3").put_object(**file, Body=b"<html>")
    assert run("--stack", "indexed") == 0
    shown = capsys.readouterr().out
    assert shown.endswith("3 were listed anew\n1 files of the index were lost or damaged, and are made anew\n")
    assert run("--stack", "indexed") == 0
    assert capsys.readouterr().out == "3 contents in 4 indexes; 0 were listed anew\n"


def test_a_stack_without_an_index_is_told(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    made(emulator, "unindexed", {})
    assert run("--stack", "unindexed") == 1
    assert "the stack 'unindexed' keeps no index: it has not the parameter Photos=on" in capsys.readouterr().err
    assert run("--stack", "nobodys") == 1
    assert "no stack 'nobodys' answers" in capsys.readouterr().err
