"""A snapshot is the new one or the old one, whatever happens in between."""

from pathlib import Path

import pytest

from tidemill_local.patches.durability.snapshot import Snapshot
from tidemill_local.patches.durability.state_files import StateUnusable


def taken(folder: Path, text: str, number: int = 1) -> Snapshot:
    snapshot = Snapshot(folder)
    snapshot.state.mkdir(exist_ok=True)
    (snapshot.state / "sqs.json").write_text(text)
    snapshot.replace(number)
    return snapshot


def restored(folder: Path) -> tuple[str, int]:
    snapshot = Snapshot(folder)
    snapshot.restore()
    return (snapshot.state / "sqs.json").read_text(), snapshot.number


def test_the_files_are_restored_as_they_were(tmp_path: Path) -> None:
    snapshot = taken(tmp_path, "one")
    (snapshot.state / "sqs.json").write_text("two")
    assert restored(tmp_path) == ("one", 1)


def test_the_next_one_replaces_it(tmp_path: Path) -> None:
    taken(tmp_path, "one")
    taken(tmp_path, "two", 2)
    assert restored(tmp_path) == ("two", 2)


def test_before_the_first_there_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    snapshot = Snapshot(tmp_path)
    snapshot.restore()
    assert snapshot.number == 0
    assert not snapshot.state.exists()


def test_one_that_was_put_aside_and_not_replaced_comes_back(tmp_path: Path) -> None:
    taken(tmp_path, "one")
    (tmp_path / "snapshot").rename(tmp_path / "snapshot.old")
    (tmp_path / "snapshot.new").mkdir()
    assert restored(tmp_path) == ("one", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snapshot", "state"]


def test_one_that_cannot_be_put_in_place_leaves_the_earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = taken(tmp_path, "one")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "snapshot.new":
            raise OSError("not now")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="not now"):
        snapshot.replace(2)
    assert restored(tmp_path) == ("one", 1)


def test_one_without_its_number_is_named(tmp_path: Path) -> None:
    snapshot = taken(tmp_path, "one")
    (tmp_path / "snapshot" / "generation").write_text("?")
    with pytest.raises(StateUnusable, match="snapshot/generation cannot be read"):
        assert snapshot.number
