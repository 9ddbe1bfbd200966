"""Writing a file so that whoever reads sees the old one whole or the new one whole, even after a kill.

Room: local platform, I/O.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class UnreadableFile(Exception):
    """A file that was kept holds something else; the message names it and the remedy."""


def write_whole(path: Path, content: bytes) -> None:
    """Put the content in the file's place, for its owner only. For one writer at a time."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - made for its owner only
        file.write(content)
    fresh.replace(path)
