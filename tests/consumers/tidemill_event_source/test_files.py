"""A file that cannot be written is named, with the cause and the remedy; what was there stays."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tidemill_cli.result_file import write_private, write_result
from tidemill_event_source.files import NotWritten, naming, write_whole

FULL = Path("/dev/full")


@contextmanager
def short_files(size: int) -> Iterator[None]:
    """Files of this process can have so many bytes, as on a disk that is full then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_does_not_fit_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "up.json"
    write_whole(path, b"before")
    with short_files(10), pytest.raises(NotWritten, match=r"/up\.json cannot be written: File too large$"):
        write_whole(path, b"x" * 100)
    assert path.read_bytes() == b"before"
    write_whole(path, b"x" * 100)
    assert path.read_bytes() == b"x" * 100


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("write", [write_result, write_private])
def test_a_full_disk_is_told_with_what_to_do(write: object) -> None:
    with pytest.raises(NotWritten) as told:
        write(FULL, "text")  # type: ignore[operator] # both are functions of a path and a text
    assert str(told.value) == "/dev/full cannot be written: No space left on device; free some room on its disk"


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match=r"/nowhere/x cannot be written: No such file or directory"):
        write_whole(tmp_path / "nowhere/x", b"")


def test_what_is_named_already_is_not_named_twice(tmp_path: Path) -> None:
    with pytest.raises(NotWritten, match=r"^inner$"), naming(tmp_path):
        raise NotWritten("inner")
