"""A journal's entries, and what becomes of those that do not fit, are torn, or belong to another snapshot."""

from pathlib import Path
from typing import Any

import pytest

from tidemill_local.patches.durability.journal import Journal
from tidemill_local.patches.durability.state_files import StateUnusable


def opened(folder: Path, number: int = 0) -> Journal:
    journal = Journal(folder)
    journal.open(number)
    return journal


def close(journal: Journal) -> None:
    file: Any = journal._file
    file.close()


def test_an_entry_that_does_not_fit_leaves_the_journal_whole(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    kept.append({"n": 1})
    journal: Any = kept._file

    class Full:
        fileno, truncate = journal.fileno, journal.truncate

        def write(self, data: bytes) -> Any:
            return journal.write(data[:3])

    kept._file = Full()  # type: ignore[assignment] # a full disk
    with pytest.raises(OSError, match="the journal took 3 bytes"):
        kept.append({"n": 2})
    kept._file = journal
    kept.append({"n": 3})
    assert list(kept.entries(0)) == [{"n": 1}, {"n": 3}]
    close(kept)


def test_what_is_torn_off_at_the_end_goes_as_it_is_opened(tmp_path: Path) -> None:
    (tmp_path / "journal-0").write_bytes(b'{"n": 1}\n{"n"')
    journal = opened(tmp_path)
    journal.append({"n": 2})
    assert list(journal.entries(0)) == [{"n": 1}, {"n": 2}]
    close(journal)


def test_one_that_is_not_open_takes_nothing_in(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append({"n": 1})
    assert journal.size == 0
    assert list(journal.entries(0)) == []


def test_the_next_snapshot_begins_an_empty_one(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append({"n": 1})
    with journal.succeeded(1):
        assert journal.size > 0
    journal.append({"n": 2})
    assert list(journal.entries(1)) == [{"n": 2}]
    assert [path.name for path in tmp_path.iterdir()] == ["journal-1"]
    close(journal)


def test_a_snapshot_that_fails_leaves_the_journal(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append({"n": 1})
    with pytest.raises(OSError, match="full"), journal.succeeded(1):
        raise OSError("full")
    journal.append({"n": 2})
    assert list(journal.entries(0)) == [{"n": 1}, {"n": 2}]
    journal.discard_others(0)
    assert [path.name for path in tmp_path.iterdir()] == ["journal-0"]
    close(journal)


def test_a_line_that_is_whole_and_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal-2").write_bytes(b"{\n")
    with pytest.raises(StateUnusable, match="journal-2 cannot be read"):
        list(Journal(tmp_path).entries(2))
