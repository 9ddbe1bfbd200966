"""A folder's files as photos to upload.

Room: command line, I/O. Tests: tests/infra/tidemill_cli/commands/demo/photos/test_files.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tidemill_cli.commands.demo.photos.generated import Shot

MOST_FILES = 200
"""Files of a folder that are uploaded: a demo ends within minutes."""


def shots_in(folder: Path) -> Iterator[Shot]:
    """The folder's files and those of its folders, by name; hidden ones and links to elsewhere are left out.

    Raises:
        OSError: the folder or a file cannot be read; or there is nothing to upload. Says which.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder with photos")
    files = [one for one in sorted(folder.rglob("*")) if _is_photo(one, folder)][:MOST_FILES]
    if not files:
        raise FileNotFoundError(f"{folder} has no files to upload")
    for file in files:
        yield Shot(file.relative_to(folder).as_posix(), file.stem.replace("_", " "), file.read_bytes())


def _is_photo(file: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not is_hidden and file.is_file() and not file.is_symlink()
