"""A folder's files as photos to upload.

Room: command line, I/O. Tests: tests/infra/tidemill_cli/commands/demo/photos/test_files.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tidemill_cli.commands.demo.photos.generated import Shot
from tidemill_consumers.media.content import MAX_TITLE


def shots_in(folder: Path) -> Iterator[Shot]:
    """The folder's files and those of its folders, by name; hidden ones and links to elsewhere are left out.

    They are not read here: a folder of photos may be larger than the memory, and have files that nobody may read.

    Raises:
        OSError: the folder cannot be read, or there is nothing to upload. Says which.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder with photos")
    files = [one for one in sorted(folder.rglob("*")) if _is_photo(one, folder)]
    if not files:
        raise FileNotFoundError(f"{folder} has no files to upload")
    for file in files:
        yield Shot(_text(file.relative_to(folder).as_posix()), _title(file), file)


def _is_photo(file: Path, folder: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not is_hidden and file.is_file() and not file.is_symlink()


def _title(file: Path) -> str:
    """As the application's rules take it."""
    return _text(file.stem).replace("_", " ").strip()[:MAX_TITLE] or _text(file.name)


def _text(name: str) -> str:
    """The name without the bytes of it that are not UTF-8, which Python has as surrogates."""
    return os.fsencode(name).decode(errors="replace")
