"""`tidemill near` as a user meets it: the real command over an emulator's stack with places."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.contract.geohash import Point, geohash_of
from tidemill_cli.commands import near
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Entity

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill_local.emulator import Emulator

STACK = "near"
KEYS = [{"AttributeName": "cell", "KeyType": "HASH"}, {"AttributeName": "geohash", "KeyType": "RANGE"}]
TABLE = {
    "AttributeDefinitions": [{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "cell", "geohash")],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "GlobalSecondaryIndexes": [
        {"IndexName": "places", "KeySchema": KEYS, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
TEMPLATE = {
    "Resources": {
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": TABLE},
        "Content": {"Type": "AWS::S3::Bucket"},
    },
    "Outputs": {"TableName": {"Value": {"Ref": "Table"}}, "ContentBucketName": {"Value": {"Ref": "Content"}}},
}


@pytest.fixture(scope="module")
def table(emulator: Emulator) -> str:
    """The table of a stack, with contents at Sydney and at longitude 180."""
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps(TEMPLATE))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    name = next(one["OutputValue"] for one in stack["Outputs"] if one["OutputKey"] == "TableName")
    put(emulator, name, "content/far", Point(-33.86, 151.24), "Bondi")
    put(emulator, name, "content/near", Point(-33.86, 151.211), "Har\x1b[2Jbour\nBridge")
    for number in range(60):
        put(emulator, name, f"content/{number}", Point(0.0, 179.99999 - 0.0001 * number), f"Sea {number}")
    return str(name)


def put(emulator: Emulator, table: str, key: str, point: Point, title: str) -> None:
    item = to_item(Entity(key, 1, {"title": title, "geohash": geohash_of(point)}))
    emulator.client("dynamodb").put_item(TableName=table, Item=item)


@pytest.fixture(autouse=True)
def at_emulator(emulator: Emulator, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill near")
    near.add_arguments(parser)
    return near.run(parser.parse_args([*map(str, arguments), "--stack", STACK]))


def test_the_nearest_come_first_with_their_distance_and_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-33.86", "151.21") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "     0.092 km  content/near  Har\\x1b[2Jbour Bridge",
        "     2.770 km  content/far  Bondi",
    ]
    assert run("-33.86", "151.21", "--within", 0.5) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()] == ["content/near"]
    assert run("52.52,", "13.405") == 0, "as maps write it"
    assert capsys.readouterr().out == "nothing within 5 km of 52.52, 13.405\n"


def test_more_than_a_screen_are_counted_and_written_whole(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "near.json"
    assert run("0", "-180", "--within", 1, "--json", path) == 0
    shown = capsys.readouterr().out.splitlines()
    assert (len(shown), shown[0], shown[-1]) == (51, "     0.001 km  content/0  Sea 0", "and 10 more, with --json")
    result: dict[str, Any] = json.loads(path.read_text())
    assert [one["key"] for one in result["found"]] == [f"content/{number}" for number in range(60)]
    assert result["found"][59]["title"] == "Sea 59"
    assert result["found"][0]["longitude"] == pytest.approx(179.99999, abs=1e-5)
    assert (result["latitude"], result["longitude"], result["kilometres"]) == (0, -180, 1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("91", "0"), "tidemill near: 91.0, 0.0 is no place: latitudes go to 90, longitudes to 180"),
        (("nan", "0"), "nan, 0.0 is no place"),
        (("0", "0", "--within", "20000"), "20000 km around 0, 0 are too many to search at once"),
        (("0", "0", "--json", "/nowhere/near.json"), "there is no such folder to write to"),
    ],
)
def test_what_cannot_be_searched_is_told(
    arguments: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 1
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("north", "0"), ("52,52", "0"), ("0", "0", "--within", "0"), ("0", "0", "--within", "inf")]
)
def test_what_is_no_number_is_misuse(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
    wrong = arguments[-1 if arguments[0] == "0" else 0]
    assert f"'{wrong}' is no number of " in capsys.readouterr().err


def test_the_library_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pygeohash", None)
    assert run("0", "0") == 1
    assert capsys.readouterr().err == (
        "tidemill near: places need the library pygeohash: pip install 'tidemill[geo]'\n"
    )


def test_a_stack_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    near.add_arguments(parser)
    assert near.run(parser.parse_args(["1", "2", "--stack", "nobodys"])) == 1
    assert "no stack 'nobodys' answers" in capsys.readouterr().err
