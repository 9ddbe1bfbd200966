"""`tidemill scale` as an operator meets it: the real command over an emulator's stream."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import pytest

from tidemill_cli.commands import scale

if TYPE_CHECKING:
    from pathlib import Path

    from tidemill_local.emulator import Emulator


@pytest.fixture(autouse=True)
def _environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill scale")
    scale.add_arguments(parser)
    return scale.run(parser.parse_args([str(argument) for argument in arguments]))


def open_shards(emulator: Emulator, stream: str) -> int:
    summary: Any = emulator.client("kinesis").describe_stream_summary(StreamName=stream)
    count: int = summary["StreamDescriptionSummary"]["OpenShardCount"]
    return count


def test_a_stream_is_changed_in_steps(
    emulator: Emulator, stream: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = open_shards(emulator, stream)
    assert run("--stream", stream, "--shards", 5 * first, "--json", tmp_path / "out.json") == 0
    assert open_shards(emulator, stream) == 5 * first
    shown = capsys.readouterr()
    steps = [first, 2 * first, 4 * first, 5 * first]
    assert shown.out == f"{stream} has {5 * first} shards, by {' -> '.join(map(str, steps))}\n"
    assert f"step 3 of 3: to {5 * first} shards" in shown.err
    assert json.loads((tmp_path / "out.json").read_text()) == {"stream": stream, "shards": 5 * first, "steps": steps}
    assert run("--stream", stream, "--shards", 5 * first) == 0
    assert "as before" in capsys.readouterr().out


def test_what_cannot_be_is_refused_before_anything_is_changed(
    emulator: Emulator, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = open_shards(emulator, stream)
    assert run("--stream", stream, "--shards", 9_000) == 1
    assert "are allowed in 24 hours: go to" in capsys.readouterr().err
    assert open_shards(emulator, stream) == first


def test_an_on_demand_stream_is_refused(emulator: Emulator, stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    kinesis = emulator.client("kinesis")
    arn = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert run("--stream", stream, "--shards", 8) == 1
    assert "on-demand stream" in capsys.readouterr().err


def test_a_stack_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--stack", "nobodys", "--shards", 2) == 1
    assert "no stack 'nobodys' answers" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("--shards", 0)
