"""`tidemill up`: what it prints and keeps of itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tidemill import Producer
from tidemill_local.emulator import EmulatorSession
from tidemill_local.hooks import state_files

pytestmark = pytest.mark.timeout(600)


@contextmanager
def up(folder: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    command = [str(Path(sys.executable).with_name("tidemill")), "up", "--port", "0", "--json", "up.json", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)} | variables
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def tried(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One that does not come to stand."""
    command = [str(Path(sys.executable).with_name("tidemill")), "up", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def state(folder: Path, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What stands in the file once something holds."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / "up.json").exists():
            found: dict[str, Any] = json.loads((folder / "up.json").read_text())
            if holds(found):
                return found
        time.sleep(0.1)
    raise AssertionError("it did not come to hold")


def send(found: dict[str, Any]) -> None:
    kinesis = EmulatorSession(found["endpoint"], "test", "test").client("kinesis")
    with Producer(found["outputs"]["StreamName"], kinesis=kinesis) as producer:
        producer.send("content.view", key="content/1", data={}).result(20)


def test_the_mappings_state_is_shown_and_a_folder_keeps_everything(tmp_path: Path) -> None:
    with up(tmp_path, "--state", "kept") as process:
        found = state(tmp_path, lambda one: bool(one["mappings"]))
        assert found["mappings"][0]["last_result"] == "No records processed"
        send(found)
        found = state(tmp_path, lambda one: one["mappings"][0]["records"] == 1)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    assert f"export AWS_ENDPOINT_URL={found['endpoint']}" in said
    assert said.endswith("stopped\n")
    assert process.returncode == 0
    (mapping,) = found["mappings"]
    assert (mapping["invocations"], mapping["errors"], mapping["last_result"]) == (1, 0, "OK")
    assert mapping["iterator_age_ms"] > 0
    assert mapping["waiting"] == 0
    (tmp_path / "up.json").unlink()
    with up(tmp_path, "--state", "kept"):
        again = state(tmp_path, lambda one: bool(one["mappings"]))
        assert again["outputs"] == found["outputs"]
        send(again)
        state(tmp_path, lambda one: one["mappings"][0]["records"] == 1)
        table = EmulatorSession(again["endpoint"], "test", "test").client("dynamodb")
        item = table.get_item(TableName=again["outputs"]["TableName"], Key={"pk": {"S": "content/1"}})["Item"]
    assert item["doc"]["M"]["views"] == {"N": "2"}


def test_a_parameter_of_the_template_is_taken_and_may_change(tmp_path: Path) -> None:
    window = ["--parameter", "BatchingWindowSeconds=1"]
    with up(tmp_path, "--state", "kept", *window) as process:
        found = state(tmp_path, lambda one: bool(one["mappings"]))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert "DirectUrl" not in found["outputs"]
    (tmp_path / "up.json").unlink()
    with up(tmp_path, "--state", "kept", *window, "--parameter", "DirectEndpoint=on"):
        again = state(tmp_path, lambda one: bool(one["mappings"]))
        mappings = EmulatorSession(again["endpoint"], "test", "test").client("lambda").list_event_source_mappings()
    assert again["outputs"].items() > found["outputs"].items()
    assert again["outputs"]["DirectUrl"].endswith("/requests")
    assert [one["MaximumBatchingWindowInSeconds"] for one in mappings["EventSourceMappings"]] == [1]


def test_one_that_is_killed_as_soon_as_it_stands_starts_again(tmp_path: Path) -> None:
    for _ in range(2):  # what S3 holds is on disk by then, and what else there is may not be
        with up(tmp_path, "--state", "kept"):
            send(state(tmp_path, lambda one: bool(one["mappings"])))
        (tmp_path / "up.json").unlink()


@pytest.mark.parametrize(
    ("parameter", "status", "complaint"),
    [
        ("DirectEndpoint", 2, "'DirectEndpoint' is not NAME=VALUE"),
        ("Rules=shop", 2, "Rules is filled in: use --rules"),
        ("CodeKey=a.zip", 2, "CodeKey is filled in"),
        ("DirectEndpoint=yes", 1, "'DirectEndpoint' value 'yes' is not in AllowedValues: ['on', 'off']"),
        ("BatchSize=0", 1, "'BatchSize' must be a number not less than 1"),
        ("Window=1", 1, "tidemill up: the template has no parameter Window; it has "),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(tmp_path: Path, parameter: str, status: int, complaint: str) -> None:
    done = tried(tmp_path, "--port=0", "--parameter", parameter)
    assert done.returncode == status
    assert complaint in done.stderr.splitlines()[-1]


SECRET = "s" * 43


@pytest.mark.parametrize("way", ["file", "environment"])
def test_a_secret_is_nobody_elses_to_read(way: str, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o755)  # as an earlier release has made it
    (tmp_path / "secret").write_text(SECRET + "\n")
    given = ["--parameter", "ApplicationSecret=@secret"] if way == "file" else []
    before = os.umask(0)
    try:
        with up(
            tmp_path, "--state", "kept", *given, **({} if given else {"TIDEMILL_APPLICATION_SECRET": SECRET})
        ) as one:
            found = state(tmp_path, lambda one: bool(one["mappings"]))
            send(found)
            functions = EmulatorSession(found["endpoint"], "test", "test").client("lambda")
            settings = functions.get_function_configuration(FunctionName=found["outputs"]["ApplyFunctionName"])
            assert SECRET not in Path(f"/proc/{one.pid}/cmdline").read_text()
            one.send_signal(signal.SIGINT)
            said, _ = one.communicate(timeout=30)
    finally:
        os.umask(before)
    assert settings["Environment"]["Variables"]["TIDEMILL_APPLICATION_SECRET"] == SECRET
    assert SECRET not in said + (tmp_path / "up.json").read_text()
    assert (tmp_path / "up.json").stat().st_mode & 0o777 == 0o600
    every = [tmp_path / "kept", *(tmp_path / "kept").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in every if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in every if path.is_file()} == {0o600}
    assert len(every) > 5


@pytest.mark.parametrize(
    ("parameter", "complaint"),
    [
        (f"ApplicationSecret={SECRET}", "others can read ApplicationSecret in the list of processes; use"),
        ("ApplicationSecret=@nowhere", "nowhere cannot be read: No such file or directory"),
        ("ApplicationSecret=@.", ". cannot be read: Is a directory"),
    ],
)
def test_a_secret_on_the_command_line_is_refused(parameter: str, complaint: str, tmp_path: Path) -> None:
    done = tried(tmp_path, "--port=0", "--parameter", parameter)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_is_none_is_named(tmp_path: Path, port: str) -> None:
    done = tried(tmp_path, f"--port={port}")
    assert done.returncode == 2
    assert f"'{port}' is not a port" in done.stderr


@pytest.mark.parametrize("folder", ["file", "file/folder", "taken"])
def test_a_folder_that_cannot_hold_the_state_is_named_in_one_line(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with state_files.lock(tmp_path / "taken"):
        done = tried(tmp_path, "--port=0", "--state", folder)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert folder in line
