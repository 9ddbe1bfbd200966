"""A snapshot: a whole copy of the emulator's files of state, which the next one replaces as a whole.

Room: local platform, I/O. The emulator's own files lie in `state` (state_files.py), the copy in `snapshot`; `.new` and
`.old` are there while one is exchanged for the other, and after a kill amid that.
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
        folder: of which `state` and `snapshot` are subfolders.
    """

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self._current = folder / "snapshot"
        self._fresh = folder / "snapshot.new"
        self._earlier = folder / "snapshot.old"

    @property
    def number(self) -> int:
        """How many there have been, this one included; 0 before the first.

        Raises:
            StateUnusable: the snapshot does not tell.
        """
        file = self._current / "generation"
        try:
            return int(file.read_text()) if self._current.exists() else 0
        except (OSError, ValueError) as error:
            raise unreadable(file, error) from error

    def restore(self) -> None:
        """Put the emulator's files back as the snapshot has them; none are left if there is no snapshot."""
        if not self._current.exists() and self._earlier.exists():
            self._earlier.rename(self._current)
        for left_over in (self._earlier, self._fresh, self.state):
            shutil.rmtree(left_over, ignore_errors=True)
        if self._current.exists():
            shutil.copytree(self._current, self.state)

    def replace(self, number: int) -> None:
        """Copy the emulator's files as they are now; if that fails, the earlier copy stays.

        Args:
            number: the new one's.
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
