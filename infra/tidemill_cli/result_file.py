"""Writing the file that a command's --json names.

Room: command line.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any


def check_writable(path: Path) -> None:
    """Raise OSError unless the file can be written, which is left as it is."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file to write to")
    if not path.absolute().parent.is_dir():
        raise NotADirectoryError(f"{path}: there is no such folder to write to")
    try:
        _refuse_link(path)
        if path.exists():
            path.open("ab").close()
        else:
            tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror}") from None


def json_text(result: Any) -> str:
    """A result as JSON, indented, with a newline at its end."""
    return json.dumps(result, indent=2) + "\n"


def write_result(path: Path, text: str) -> None:
    """Write a result.

    Raises:
        NotWritten: it cannot be; names the file, and why.
    """
    _write(path, text, 0o666)


def write_private(path: Path, text: str) -> None:
    """Write a result that may hold people's data: a new file is its owner's only; one that exists keeps its mode.

    Raises:
        NotWritten: it cannot be; names the file, and why.
    """
    _write(path, text, 0o600)


def _write(path: Path, text: str, mode: int) -> None:
    # Whoever may write to the folder could have put a link there, onto a file of the one who writes.
    link = 0 if _is_device(path) else getattr(os, "O_NOFOLLOW", 0)
    with _naming(path):
        _refuse_link(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | link, mode)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - made with that mode, behind no link
            file.write(text)


def _refuse_link(path: Path) -> None:
    if path.is_symlink() and not _is_device(path):
        raise OSError(errno.ELOOP, f"it is a link to {path.readlink()}; name the file itself")


def _is_device(path: Path) -> bool:
    """Whether it is one of the system's own, such as /dev/stdout, which is a link."""
    return Path("/dev") in path.parents


def _naming(path: Path) -> AbstractContextManager[None]:
    from tidemill_event_source.files import (
        naming,  # here: it takes a quarter of a second, which not all commands have to
    )

    return naming(path)
