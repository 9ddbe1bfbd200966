"""Where a command's result goes that --json names.

Room: command line.
"""

from __future__ import annotations

import tempfile
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
