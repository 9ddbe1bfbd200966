"""The whole pipe, as a user runs it."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import running
from tests.tree import NASA

pytestmark = pytest.mark.timeout(600)


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("tidemill")), "demo", *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, cwd=folder, env=env)


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A demo of requests; that of photos is in test_demo_photos.py."""
    return run_demo(folder, "--no-photos", *arguments)


def test_the_generated_workload_reconciles_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # With this seed a content is deleted, which its owner's count is told of.
    done = demo(tmp_path, "--requests", "800", "--seed", "5", "--speed", "max", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["reconciled"] is True
    assert (result["requests"], result["emitted"]) == (811, 1)
    assert result["accepted"] + result["rejected"] + result["quarantined"] == 811
    assert result["archived_rows"] == 811
    assert result["replies"] == 800
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert sum(line.endswith("tidemill demo --keep kept") for line in done.stdout.splitlines()) == 1
    assert " of 811 requests archived" in done.stdout, "it says how far it is while it waits"


@pytest.mark.slow
def test_many_producers_reconcile_in_the_order_of_the_stream(tmp_path: Path) -> None:
    done = demo(tmp_path, "--requests", "600", "--producers", "300", "--speed", "max", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["reconciled"] is True
    assert 200 < result["producers"] < result["producers_asked_for"] == 300, "some get no request"
    assert result["records"] > 500, "they share no records"
    assert f" requests of {result['producers']} of 300 producers -> " in done.stdout


@pytest.mark.slow
def test_what_is_kept_is_asked_by_the_lines_that_are_told(tmp_path: Path) -> None:
    done = demo(tmp_path, "--requests", "20", "--no-hostile", "--speed", "max", "--keep", "kept here")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stat.S_IMODE((tmp_path / "kept here").stat().st_mode) == 0o700
    query, up = (line for line in done.stdout.partition("\nnext: ")[2].splitlines()[1:])
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    pasted = f"{query} --format csv"
    asked = subprocess.run(pasted, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stderr) == (0, "")
    assert sum(int(row.split(",")[1]) for row in asked.stdout.splitlines()[1:]) == 20
    with running(["sh", "-c", f"exec {up} --port 0"], tmp_path, env) as process:
        assert process.stdout
        said = list(iter(process.stdout.readline, "running; Ctrl-C stops it\n"))
        process.terminate()
        process.wait(60)
    assert "as kept here/state was run last: ArchiveIntervalSeconds=5, BatchingWindowSeconds=5\n" in said


@pytest.mark.slow
def test_lines_that_are_no_requests_are_told_and_counted(tmp_path: Path) -> None:
    line = '192.0.2.1 - - [01/Aug/1995:00:00:01 -0400] "GET /{} HTTP/1.0" 200 1839\n'
    lines = [line.format("a"), "what is this?\n", line.format("b"), "\n", '- - - [now] "GET / HTTP/1.0" 200 1\n']
    (tmp_path / "access.log").write_text("".join(lines))
    done = demo(tmp_path, "--trace", "access.log", "--no-hostile", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "line 2 is not readable: not Common or Combined Log Format" in done.stdout
    assert "2 lines of the log were not readable" in done.stdout
    result = json.loads((tmp_path / "out.json").read_text())
    assert (result["requests"], result["accepted"], result["unreadable_lines"]) == (2, 2, 2)


@pytest.mark.slow
@pytest.mark.skipif(not NASA.exists(), reason="the NASA trace is not beside this checkout")
def test_a_real_trace_reconciles_within_its_budget(tmp_path: Path) -> None:
    done = demo(tmp_path, "--trace", str(NASA), "--speed", "max", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["reconciled"] is True
    assert result["requests"] == result["archived_rows"] == 30_979
    assert result["invocations"] <= result["requests"] / 100
    assert result["dynamodb_write_calls"] <= result["distinct_keys_written"] / 20 + result["invocations"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "missing.log"], "there is no file missing.log"),
        (["--trace", "."], "there is no file in the folder ."),
        (["--trace", sys.executable], "holds no request"),
        (["--speed", "fast"], "'fast' is neither a positive number nor max"),
        (["--requests", "0"], "'0' is not a positive number"),
        (["--requests", "all"], "'all' is not a positive number"),
        (["--json", "no/such/folder.json"], "no such folder"),
        (["--json", "."], ". is a folder; name a file to write to"),
        (["--json", "/proc/out.json"], "/proc/out.json"),
        (["--keep", "/proc/kept"], "/proc/kept cannot keep anything: "),
        (["--keep", "/proc"], "/proc is not empty; name a new folder to keep it in"),
        (["--verbose"], "unrecognized arguments: --verbose"),
    ],
)
def test_bad_arguments_are_named_before_anything_starts(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = demo(tmp_path, *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "starting" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_was_there_is_kept_until_there_is_another(tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("{}")
    assert demo(tmp_path, "--json", "out.json", "--trace", "missing.log").returncode == 1
    assert (tmp_path / "out.json").read_text() == "{}"
