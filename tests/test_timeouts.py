"""A test that hangs fails by its name, and those after it run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tree import ROOT

PYPROJECT = ROOT / "pyproject.toml"
HANGING = """
import threading

def test_that_waits_for_itself():
    lock = threading.Lock()
    with lock, lock:
        pass

def test_after_it():
    pass
"""


def test_every_test_has_a_time_out(request: pytest.FixtureRequest) -> None:
    assert 0 < float(request.config.getini("timeout")) <= 120
    # What the former does not reach ends the process, later than any test's own.
    assert float(request.config.getini("faulthandler_timeout")) > 600
    assert request.config.getini("faulthandler_exit_on_timeout")


@pytest.mark.parametrize("how", [["-n0"], ["-n1", "--dist=loadfile"]])
def test_one_that_hangs_is_named(tmp_path: Path, how: list[str]) -> None:
    (tmp_path / "test_hanging.py").write_text(HANGING)
    command = [sys.executable, "-m", "pytest", f"-c{PYPROJECT}", f"--rootdir={tmp_path}", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-o", "timeout=1", *how, str(tmp_path)], capture_output=True, text=True, timeout=100, check=False
    )
    assert "test_hanging.py::test_that_waits_for_itself" in done.stdout
    assert "Timeout (>1.0s) from pytest-timeout" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
