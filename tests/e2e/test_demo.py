"""The whole pipe, as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TRACE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "trace" / "nasa_19950801.tsv"


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("tidemill")), "demo", *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
    return subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, cwd=folder, env=env)


def test_the_generated_workload_reconciles_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = demo(tmp_path, "--requests", "800", "--speed", "max", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["reconciled"] is True
    assert result["requests"] == 810
    assert result["accepted"] + result["rejected"] + result["quarantined"] == 810
    assert result["archived_rows"] == 810
    assert result["replies"] == 800
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.skipif(not TRACE.exists(), reason="the NASA trace is not beside this checkout")
def test_a_real_trace_reconciles_within_its_budget(tmp_path: Path) -> None:
    done = demo(tmp_path, "--trace", str(TRACE), "--speed", "max", "--json", "out.json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["reconciled"] is True
    assert result["requests"] == result["archived_rows"] == 30_979
    assert result["invocations"] <= result["requests"] / 100
    assert result["dynamodb_write_calls"] <= result["distinct_keys_written"] / 20 + result["invocations"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trace", "missing.log"], "missing.log"),
        (["--speed", "fast"], "neither a positive number nor max"),
        (["--requests", "0"], "not a positive number"),
        (["--json", "no/such/folder.json"], "no such folder"),
    ],
)
def test_bad_arguments_are_named_without_a_traceback(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = demo(tmp_path, *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
