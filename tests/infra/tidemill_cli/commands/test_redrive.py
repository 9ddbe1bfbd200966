"""`tidemill redrive` as an operator meets it: the real command over an emulator's bucket."""

from __future__ import annotations

import argparse
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.contract.request import Request, encode
from tidemill_cli.commands import redrive
from tidemill_consumers.adapters.quarantine import Quarantine, object_key
from tidemill_consumers.core.batch import Arrival, Position, Quarantined, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidemill_local.emulator import Emulator

NOON = 1_764_072_000.0  # 2025-11-25, UTC


def poison(number: int, reason: str = "unknown command x") -> Quarantined:
    request = Request(id=f"id-{number}", cmd="x", key=f"k/{number}", client="c", writer="w", counter=1, data={"n": 1})
    at = Arrival("s", Position(number, 0), NOON + number, f"k/{number}", request, encode(request))
    return Quarantined(at, reason)


@pytest.fixture
def environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(emulator: Emulator, environment: None) -> Iterator[str]:
    """A quarantine of three, for which a stream is missing."""
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="redriving")
    Quarantine(s3, "redriving").store([poison(1), poison(2, "the rule raised \x1b[2J"), poison(3)])
    yield "redriving"
    for entry in s3.list_objects_v2(Bucket="redriving").get("Contents", []):
        s3.delete_object(Bucket="redriving", Key=entry["Key"])
    s3.delete_bucket(Bucket="redriving")


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill redrive")
    redrive.add_arguments(parser)
    return redrive.run(parser.parse_args([str(argument) for argument in arguments]))


def test_a_list_has_the_newest_last(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--bucket", bucket) == 0
    shown = capsys.readouterr().out
    assert shown.index("id-1") < shown.index("id-2") < shown.index("id-3")
    assert "2025-11-25T12:00:01.000Z" in shown
    assert "\x1b" not in shown, "what clients sent does not steer the terminal"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--reason", "raised"], ["id-2"]),
        (["--since", "2025-11-25T12:00:02Z"], ["id-2", "id-3"]),
        (["--until", "2025-11-25T13:00:02+01:00"], ["id-1"]),
        (["--key", "k/3"], ["id-3"]),
        (["--limit", "2"], ["id-1", "id-2"]),
        (["--since", "2026-01-01"], []),
    ],
)
def test_filters(bucket: str, tmp_path: Path, arguments: list[str], expected: list[str]) -> None:
    out = tmp_path / "out.json"
    assert run("--bucket", bucket, "--json", out, *arguments) == 0
    result = json.loads(out.read_text())
    assert [one["id"] for one in result["objects"]] == expected
    assert result["bucket"] == bucket


@pytest.mark.parametrize("name", ["id-2", object_key(poison(2))])
def test_one_is_shown_whole(bucket: str, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run("--bucket", bucket, "--show", name) == 0
    shown = capsys.readouterr().out
    assert object_key(poison(2)) in shown
    assert '"n": 1' in shown
    assert "id-1" not in shown


def test_parts_of_a_record_are_shown_and_counted(
    bucket: str, emulator: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [Unreadable("s", Position(9, n), NOON, f"k{n}", b"\xffpart %d" % n, "not UTF-8") for n in range(3)]
    Quarantine(emulator.client("s3"), bucket).store([Quarantined(one, one.reason) for one in wrong])
    out = tmp_path / "out.json"
    assert run("--bucket", bucket, "--stream", "nowhere", "--reason", "UTF-8", "--json", out, "--apply", "--yes") == 0
    assert "0 to be put back on the stream nowhere; 3 cannot be and stay" in capsys.readouterr().out
    assert [(one["parts"], one["id"]) for one in json.loads(out.read_text())["objects"]] == [(3, None)]
    name = object_key(Quarantined(wrong[0], ""))
    assert run("--bucket", bucket, "--show", name) == 0
    shown = capsys.readouterr().out
    assert all(f"part {n}, key k{n}: not UTF-8" in shown and f"xffpart {n}" in shown for n in range(3))


def test_a_stream_that_is_not_there_leaves_all_as_it_was(
    bucket: str, emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--bucket", bucket, "--stream", "nowhere", "--apply", "--yes") == 1
    printed = capsys.readouterr()
    assert "3 to be put back on the stream nowhere" in printed.out
    assert "compare the stream's name" in printed.err
    assert len(emulator.client("s3").list_objects_v2(Bucket=bucket, Prefix="quarantine/")["Contents"]) == 3


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_asks(
    bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert run("--bucket", bucket, "--stream", "nowhere", "--apply") == 1
    printed = capsys.readouterr()
    assert "put them back? [y/N]" in printed.out
    assert "nothing was put back" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--show", "id-9"], "nothing in the quarantine has the id or is the object id-9"),
        (["--show", "id-1", "--apply"], "not both"),
        (["--json", "/nowhere/out.json"], "no such folder"),
        (["--bucket", "nowhere"], "NoSuchBucket"),
        (["--apply"], "no terminal to ask on; add --yes"),
    ],
)
def test_an_error_is_a_message_and_an_exit_code(
    bucket: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("--bucket", bucket, "--stream", "nowhere", *arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("tidemill redrive: ")
    assert message in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize(("option", "value"), [("--since", "yesterday"), ("--until", "25.11."), ("--limit", "0")])
def test_bad_arguments_are_named(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(option, value)
    assert value in capsys.readouterr().err


def test_where_nothing_runs_it_names_the_command_that_starts_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert run() == 1
    assert "tidemill up" in capsys.readouterr().err


def test_another_stack_can_be_named(emulator: Emulator, environment: None, capsys: pytest.CaptureFixture[str]) -> None:
    template: dict[str, Any] = {
        "Resources": {"Quarantine": {"Type": "AWS::S3::Bucket"}},
        "Outputs": {"QuarantineBucketName": {"Value": {"Ref": "Quarantine"}}, "StreamName": {"Value": "requests"}},
    }
    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName="shop", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="shop")
    try:
        assert run("--stack", "shop") == 0
        assert "holds nothing that matches" in capsys.readouterr().out
        assert run("--stack", "shoop") == 1
        assert "no stack 'shoop' answers" in capsys.readouterr().err
    finally:
        cloudformation.delete_stack(StackName="shop")
