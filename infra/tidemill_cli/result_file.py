"""Where a command's result goes that --json names.

Room: command line.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path


def check_writable(path: Path) -> None:
    """Raise OSError unless the file can be written, which is left as it is."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file to write to")
    if not path.absolute().parent.is_dir():
        raise NotADirectoryError(f"{path}: there is no such folder to write to")
    try:
        if path.exists():
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from None


def write_result(path: Path, text: str) -> None:
    """Write a result.

    Raises:
        NotWritten: it cannot be; names the file, and why.
    """
    with _naming(path):
        path.write_text(text, encoding="utf-8")


def write_private(path: Path, text: str) -> None:
    """Write what may hold people's data: for the owner only, but where the file was there and has a mode of its own.

    Raises:
        NotWritten: it cannot be; names the file, and why.
    """
    with _naming(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - made for its owner only
            file.write(text)


def _naming(path: Path) -> AbstractContextManager[None]:
    from tidemill_local.files import naming  # here: it takes a quarter of a second, which not all commands have to

    return naming(path)
