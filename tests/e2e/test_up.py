"""`tidemill up`: what it prints and keeps of itself."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.processes import running
from tidemill import Producer
from tidemill_local.clients import EmulatorSession
from tidemill_local.patches.durability import state_files

pytestmark = pytest.mark.timeout(600)


def up(folder: Path, *arguments: str, **variables: str) -> AbstractContextManager[subprocess.Popen[str]]:
    command = [str(Path(sys.executable).with_name("tidemill")), "up", "--port", "0", "--json", "up.json", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)} | variables
    return running(command, folder, environment)


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


@pytest.mark.slow
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
        ("ApplyCodeKey=a.zip", 2, "ApplyCodeKey is filled in"),
        ("Architecture=arm64", 2, "Architecture is filled in"),
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
            session = EmulatorSession(found["endpoint"], "test", "test")
            settings = session.client("lambda").get_function(FunctionName=found["outputs"]["ApplyFunctionName"])
            stored = session.client("secretsmanager").get_secret_value(
                SecretId=found["outputs"]["ApplicationSecretArn"]
            )
            assert SECRET not in Path(f"/proc/{one.pid}/cmdline").read_text()
            one.send_signal(signal.SIGINT)
            said, _ = one.communicate(timeout=30)
    finally:
        os.umask(before)
    assert stored["SecretString"] == SECRET
    assert SECRET not in str(settings)
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


def test_photos_without_a_secret_are_refused_with_what_makes_one(tmp_path: Path) -> None:
    done = tried(tmp_path, "--port=0", "--parameter=Photos=on")
    assert done.returncode == 1
    assert "Photos=on needs an ApplicationSecret" in done.stderr
    assert "; make one by: export TIDEMILL_APPLICATION_SECRET=$(python3 -c" in done.stderr


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


def reserve(found: dict[str, Any]) -> None:
    kinesis = EmulatorSession(found["endpoint"], "test", "test").client("kinesis")
    with Producer(found["outputs"]["StreamName"], kinesis=kinesis) as producer:
        producer.send("seat.reserve", key="seat/1", data={}, id="1").result(20)


def functions(found: dict[str, Any]) -> Any:
    return EmulatorSession(found["endpoint"], "test", "test").client("lambda")


def code_of(found: dict[str, Any]) -> str:
    name = found["outputs"]["ApplyFunctionName"]
    return str(functions(found).get_function_configuration(FunctionName=name)["CodeSha256"])


def document(found: dict[str, Any], key: str) -> Any:
    table = EmulatorSession(found["endpoint"], "test", "test").client("dynamodb")
    return table.get_item(TableName=found["outputs"]["TableName"], Key={"pk": {"S": key}})["Item"]["doc"]["M"]


def until_said(process: subprocess.Popen[str], *what: str) -> str:
    """All that it says until it has said each of these, in whatever order."""
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if all(one in said for one in what):
            return said
    raise AssertionError(f"it ended and did not say {what}: {said}")


RULES = """\
from tidemill_consumers.core.batch import Accepted


def reserve(state, request):
    print("asked")
    return Accepted({"seats": request.data["count"]})


RULES = {"seat.reserve": reserve}
"""


@pytest.mark.slow
def test_rules_are_developed_with_their_log_at_hand_and_kept_with_the_folder(tmp_path: Path) -> None:
    (tmp_path / "seats.py").write_text(RULES)
    window = ["--parameter", "BatchingWindowSeconds=0"]
    with up(tmp_path, "--state", "kept", "--rules", "seats", "--reload", *window) as process:
        found = state(tmp_path, lambda one: bool(one["mappings"]))
        reserve(found)
        said = until_said(
            process,
            "1 quarantined since the start; tidemill redrive lists what is there",
            "alarm QuarantineGrows: Requests were quarantined",
        )
        state(tmp_path, lambda one: one["quarantined"] == 1)
        code = code_of(found)
        (tmp_path / "seats.py").write_text("RULES = {")
        # The log is asked for before the quarantine is counted, so its lines may come behind that one.
        said += until_said(
            process, "seats is not loaded again, and runs on as it was: the module seats has no rules to run: Synt"
        )
        assert code_of(found) == code
        (tmp_path / "seats.py").write_text(RULES.replace('request.data["count"]', "7"))
        said += until_said(process, "seats is loaded again")
        assert code_of(found) != code
        reserve(found)
        state(tmp_path, lambda one: one["mappings"][0]["records"] == 2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert "apply: asked\n" in said
    assert "(seat.reserve, id 1, key seat/1): the rule raised KeyError: 'count' (seats.py:6, in reserve)\n" in said
    assert re.search(r'apply:     File "seats.py", line 6, in reserve\napply:       return Accepted', said)
    (tmp_path / "up.json").unlink()
    with up(tmp_path, "--state", "kept", "--parameter", "RuleSeconds=2") as process:
        again = state(tmp_path, lambda one: bool(one["mappings"]))
        settings = functions(again).get_function_configuration(FunctionName=again["outputs"]["ApplyFunctionName"])
        assert settings["Environment"]["Variables"]["TIDEMILL_RULES"] == "seats"
        assert settings["Environment"]["Variables"]["TIDEMILL_RULE_SECONDS"] == "2"
        assert document(again, "seat/1") == {"seats": {"N": "7"}}
        (tmp_path / "seats.py").write_text(RULES)
        said = until_said(process, "the files of seats have changed; what runs has not: start again, or use --reload")
    assert "as kept was run last: BatchingWindowSeconds=0, Rules=seats" in said
