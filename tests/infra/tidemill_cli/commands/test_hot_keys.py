"""`tidemill hot-keys` as an operator meets it: the real command over an emulator's stream."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest

from tidemill import Producer
from tidemill.contract import aggregation
from tidemill_cli.commands import hot_keys
from tidemill_cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill_local.emulator import Emulator


@pytest.fixture(autouse=True)
def _environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill hot-keys")
    hot_keys.add_arguments(parser)
    return hot_keys.run(parser.parse_args([str(argument) for argument in arguments]))


def test_the_hottest_keys_of_a_producers_aggregates_are_shown(
    emulator: Emulator, stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Producer(stream, kinesis=emulator.client("kinesis")) as producer:
        for number in range(300):
            producer.send("a.b", key="hot" if number % 3 else f"cold/{number}", data={"n": number})
        producer.send("a.b", key="large\x1b[2J", data={"x": "x" * 200_000})
    result = tmp_path / "out.json"
    assert run("--stream", stream, "--minutes", 1, "--json", result) == 0
    shown = capsys.readouterr().out
    assert "each shard is read once a second at most, of 5" in shown
    assert "hot 6" in shown
    assert "\x1b" not in shown
    told = json.loads(result.read_text())
    shards = [one for one in told["shards"] if one["requests_per_second"]]
    by_requests = [key for one in shards for key in one["by_requests"]]
    assert {"key": "hot", "at_least": 200, "at_most": 200}.items() <= by_requests[0].items() or any(
        key["key"] == "hot" and key["at_least"] == 200 for key in by_requests
    )
    assert sum(one["keys"] for one in shards) == 102
    assert max((key["at_least"], key["key"]) for one in shards for key in one["by_bytes"])[1] == "large\x1b[2J"
    assert told["advice"]["kind"] in ("enough", "half")
    assert result.stat().st_mode & 0o077 == 0, "keys may be people's"


def test_a_shard_that_one_key_fills_is_told(
    emulator: Emulator, stream: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_deploy.capacity.hot_keys.SHARD_BYTES", 1000)
    record = aggregation.pack([aggregation.UserRecord("hot", b"x" * 250_000) for _ in range(3)])
    kinesis = emulator.client("kinesis")
    for _ in range(2):
        kinesis.put_record(StreamName=stream, PartitionKey="lane-1", Data=record, ExplicitHashKey="0")
    assert run("--stream", stream, "--minutes", 1) == 0
    shown = capsys.readouterr().out
    assert "hot key: The key 'hot' alone has 100% of" in shown
    assert "More shards do not help" in shown


def test_the_command_that_is_advised_names_the_same_stream(
    emulator: Emulator, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kinesis = emulator.client("kinesis")
    kinesis.update_shard_count(StreamName=stream, TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    kinesis.put_record(StreamName=stream, PartitionKey="a", Data=b"{}")
    assert run("--stream", stream, "--minutes", 1) == 0
    assert f"Run: tidemill scale --shards 1 --stream {stream}\n" in capsys.readouterr().out


def test_a_stream_without_records_is_told(stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hot-keys", "--stream", stream, "--minutes", "1"]) == 0
    assert "no records arrived in that time" in capsys.readouterr().out
    assert main(["hot-keys", "--stack", "nobodys"]) == 1
    with pytest.raises(SystemExit):
        run("--minutes", "0")
