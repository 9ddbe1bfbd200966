"""Writing a file so that whoever reads sees the old one whole or the new one whole, even after a kill.

Room: local platform, I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Put the content in the file's place. For one writer at a time."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
