"""How the program is called in lines to be pasted."""

import sys
from pathlib import Path

import pytest

from tidemill_cli.next_steps import after_demo, program


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program, in a folder that no shell looks into."""
    path = tmp_path / "my venv/bin/tidemill"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(path), "demo"])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    return path


def test_a_program_that_no_shell_finds_is_called_by_its_path(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert program() == "'my venv/bin/tidemill'"
    monkeypatch.chdir("/")
    assert program() in (f"'{own}'", f"'{str(own)[1:]}'")


def test_one_that_a_shell_finds_is_called_by_its_name(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(own.parent))
    assert program() == "tidemill"


def test_another_of_that_name_is_not_called(own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tidemill").write_text("#!/bin/sh\n")
    (tmp_path / "tidemill").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "'my venv/bin/tidemill'"


def test_a_kept_folder_is_quoted(own: Path) -> None:
    assert after_demo(Path("a b"))[1:] == [
        "  'my venv/bin/tidemill' query commands --archive 'a b'/archive",
        "  'my venv/bin/tidemill' up --state 'a b'/state",
    ]
