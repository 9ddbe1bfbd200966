import os
from pathlib import Path

import pytest

from tidemill_cli.commands.demo.photos.files import shots_in
from tidemill_consumers.media import RULES
from tidemill_consumers.testing import Trial


def test_a_folders_files_are_uploaded_by_name_with_those_of_its_folders(tmp_path: Path) -> None:
    for name in ("b_photo.jpg", "a.png", "more/c.gif", ".hidden.jpg", ".git/d.jpg"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    (tmp_path / "link.jpg").symlink_to("/etc/passwd")
    assert [(one.name, one.title, one.photo) for one in shots_in(tmp_path)] == [
        ("a.png", "a", tmp_path / "a.png"),
        ("b_photo.jpg", "b photo", tmp_path / "b_photo.jpg"),
        ("more/c.gif", "c", tmp_path / "more/c.gif"),
    ]


@pytest.mark.parametrize(
    ("name", "shown", "title"),
    [
        (b"d\xfcne.jpg", "d\N{REPLACEMENT CHARACTER}ne.jpg", "d\N{REPLACEMENT CHARACTER}ne"),
        ("düne 🌅.jpg".encode(), "düne 🌅.jpg", "düne 🌅"),
        (b"____.jpg", "____.jpg", "____.jpg"),
        (b"a" * 240 + b".jpg", "a" * 240 + ".jpg", "a" * 200),
    ],
)
def test_any_name_of_a_file_gives_a_title_that_the_rules_take(
    tmp_path: Path, name: bytes, shown: str, title: str
) -> None:
    (tmp_path / os.fsdecode(name)).touch()
    (shot,) = shots_in(tmp_path)
    assert (shot.name, shot.title) == (shown, title)
    published = Trial(RULES).send("content.publish", key="content/1", data={"title": shot.title}, client="ann")
    assert published.status == "accepted"


def test_a_folder_without_photos_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no files to upload"):
        list(shots_in(tmp_path))
    with pytest.raises(NotADirectoryError, match="is no folder with photos"):
        list(shots_in(tmp_path / "missing"))
