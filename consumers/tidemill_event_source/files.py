"""Writing a file so that a reader sees the whole old one or the whole new one, even after a kill.

Room: event source, I/O. The local platform writes with it too.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REMEDIES = {
    errno.ENOSPC: "free some room on its disk",
    errno.EDQUOT: "free some room within the quota",
    errno.EROFS: "name a place that can be written to",
    errno.EACCES: "name a place that can be written to",
}


class NotWritten(OSError):
    """A file cannot be written; the message names it, the cause and what to do."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the file in the error of a write to it: the error of a full disk names none."""
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0)
        problem = f"{path} cannot be written: {error.strerror or error}"
        raise NotWritten(f"{problem}; {remedy}" if remedy else problem) from None


class UnreadableFile(Exception):
    """A file that was kept holds something else; the message names it and the remedy."""


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Put the content in the file's place. For one writer at a time.

    Args:
        path: the file.
        content: what it is to hold.
        mode: who may read it, as far as the umask allows; its owner only, unless another is given.

    Raises:
        NotWritten: it cannot be; the file is as it was.
    """
    fresh = path.with_name(f"{path.name}.new")
    with naming(path):
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - made with that mode
            file.write(content)
        fresh.replace(path)
