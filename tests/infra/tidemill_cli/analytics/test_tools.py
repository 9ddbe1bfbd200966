"""A tool that the analytics stage lacks is named with the command that makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill_cli.analytics.tools import java_of, tools
from tidemill_cli.errors import CommandError


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `java`, the only one, that tells it is Java 17."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "java"
    program.write_text("#!/bin/sh\necho 'openjdk version \"17.0.15\" 2025-04-15' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return program


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError) as told:
        tools(tmp_path / "python", tmp_path / "jar")
    for remedy in ("apt-get install openjdk-17-jre-headless", "make analytics-env", "make connector"):
        assert remedy in str(told.value)


def test_what_is_there_is_taken(tmp_path: Path, java: Path) -> None:
    (tmp_path / "python").touch()
    (tmp_path / "jar").touch()
    assert java.exists()
    assert tools(tmp_path / "python", tmp_path / "jar").jar == tmp_path / "jar"


def test_a_java_that_is_too_old_is_named(tmp_path: Path, java: Path) -> None:
    java.write_text("#!/bin/sh\necho 'java version \"1.8.0_402\"' >&2\n")
    with pytest.raises(CommandError, match="is Java 8, and Flink needs 17"):
        tools(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("told", "release"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "21" 2023', 21),
        ("", None),
    ],
)
def test_the_release_of_java(told: str, release: int | None) -> None:
    assert java_of(told) == release
