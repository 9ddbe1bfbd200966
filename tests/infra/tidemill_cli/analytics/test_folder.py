"""The folder of a job's state: what the next job finds in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill_cli.analytics.folder import StateFolder
from tidemill_cli.errors import CommandError

PROPERTIES = {"generation": "20260101T000000Z-aaaaaa", "begin": "100"}


def checkpoint(folder: StateFolder, name: str, at: float, *, whole: bool = True) -> Path:
    made = folder.checkpoints / name
    made.mkdir(parents=True)
    if whole:
        (made / "_metadata").touch()
        os.utime(made / "_metadata", (at, at))
    return made


def test_the_newest_whole_checkpoint_is_found_by_its_age(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "new")
    assert folder.kept(1000.0) is None
    folder.keep(PROPERTIES)
    found = folder.kept(1000.0)
    assert found is not None
    assert (found.properties, found.checkpoint) == (PROPERTIES, None)
    newest = checkpoint(folder, "b/chk-2", 900.0)
    checkpoint(folder, "a/chk-9", 800.0)
    checkpoint(folder, "b/chk-3", 950.0, whole=False)
    found = folder.kept(1000.0)
    assert found is not None
    assert (found.checkpoint, found.age) == (newest.as_uri(), 100.0)
    folder.forget_checkpoints()
    found = folder.kept(1000.0)
    assert found is not None
    assert found.checkpoint is None
    folder.close()


def test_two_jobs_do_not_share_a_folder(tmp_path: Path) -> None:
    first = StateFolder(tmp_path)
    with pytest.raises(CommandError, match="a job runs on"):
        StateFolder(tmp_path)
    first.close()
    StateFolder(tmp_path).close()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"begin": "1"}', "\0"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    folder = StateFolder(tmp_path)
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(CommandError, match=r"job\.json cannot be read"):
        folder.kept(0.0)
    folder.close()


def test_what_a_killed_job_left_in_its_temporary_folder_goes(tmp_path: Path) -> None:
    left = tmp_path / "tmp" / "left"
    left.mkdir(parents=True)
    folder = StateFolder(tmp_path)
    assert not left.exists()
    assert folder.temporary.exists()
    folder.close()
