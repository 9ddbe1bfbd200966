"""A snapshot: a whole copy of the emulator's files of state, which the next one replaces as a whole.

Room: local platform, I/O. The emulator's own files lie in `state` (state_files.py), the copy in `snapshot`.
`snapshot.new` and `snapshot.old` exist during a replacement, and after a kill in the middle of one.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tidemill_local.patches.durability.state_files import unreadable

if TYPE_CHECKING:
    from pathlib import Path


class Snapshot:
    """The latest whole copy of the state.

    Args:
        folder: the folder with the subfolders `state` and `snapshot`.
    """

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self._current = folder / "snapshot"
        self._fresh = folder / "snapshot.new"
        self._earlier = folder / "snapshot.old"

    @property
    def number(self) -> int:
        """The number of snapshots so far, this one included; 0 before the first.

        Raises:
            StateUnusable: the snapshot's number cannot be read.
        """
        file = self._current / "generation"
        try:
            return int(file.read_text()) if self._current.exists() else 0
        except (OSError, ValueError) as error:
            raise unreadable(file, error) from error

    def restore(self) -> None:
        """Restore the emulator's files from the snapshot; without a snapshot, delete them."""
        if not self._current.exists() and self._earlier.exists():
            self._earlier.rename(self._current)
        for left_over in (self._earlier, self._fresh, self.state):
            shutil.rmtree(left_over, ignore_errors=True)
        if self._current.exists():
            shutil.copytree(self._current, self.state)

    def replace(self, number: int) -> None:
        """Copy the emulator's files as they are now; if that fails, the earlier copy stays.

        Args:
            number: the new snapshot's number.
        """
        for left_over in (self._fresh, self._earlier):
            if left_over.exists():
                shutil.rmtree(left_over)
        shutil.copytree(self.state, self._fresh)
        (self._fresh / "generation").write_text(str(number))
        try:
            if self._current.exists():
                self._current.rename(self._earlier)
            self._fresh.rename(self._current)
        except OSError:
            if not self._current.exists() and self._earlier.exists():
                self._earlier.rename(self._current)
            raise
        shutil.rmtree(self._earlier, ignore_errors=True)
