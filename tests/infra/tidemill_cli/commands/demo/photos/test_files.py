from pathlib import Path

import pytest

from tidemill_cli.commands.demo.photos.files import MOST_FILES, shots_in


def test_a_folders_files_are_uploaded_by_name_with_those_of_its_folders(tmp_path: Path) -> None:
    for name in ("b_photo.jpg", "a.png", "more/c.gif", ".hidden.jpg", ".git/d.jpg"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    (tmp_path / "link.jpg").symlink_to("/etc/passwd")
    assert [(one.name, one.title, one.data) for one in shots_in(tmp_path)] == [
        ("a.png", "a", b"a.png"),
        ("b_photo.jpg", "b photo", b"b_photo.jpg"),
        ("more/c.gif", "c", b"more/c.gif"),
    ]


def test_no_more_files_than_a_demo_takes(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.jpg").touch()
    assert len(list(shots_in(tmp_path))) == MOST_FILES


def test_a_folder_without_photos_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no files to upload"):
        list(shots_in(tmp_path))
    with pytest.raises(NotADirectoryError, match="is no folder with photos"):
        list(shots_in(tmp_path / "missing"))
