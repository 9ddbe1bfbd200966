"""A journal: a file of JSON lines that is only appended to, and holds an entry whole or not at all.

Room: local platform, I/O. The writers define the meaning of entries (streams.py, tables.py, queues.py, calls.py).
Each snapshot (snapshot.py) begins a journal of its own, named by the snapshot's number.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tidemill_event_source.files import naming
from tidemill_local.patches.durability.state_files import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path


class Journal:
    """The entries since a snapshot. Before it is opened, appends are ignored: its entries are being replayed.

    Args:
        folder: the folder of the files; `journal-3` belongs to the third snapshot.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: FileIO | None = None
        self._path = folder

    @property
    def size(self) -> int:
        """Bytes of entries; 0 before it is opened."""
        return os.fstat(self._file.fileno()).st_size if self._file else 0

    def entries(self, number: int) -> Iterator[dict[str, Any]]:
        """The entries of a snapshot's journal.

        Raises:
            StateUnusable: the journal cannot be read.
        """
        path = self._path_of(number)
        # Bytes behind the last newline are an incomplete entry, whose caller was never answered.
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError as error:
                raise unreadable(path, error) from error

    def open(self, number: int) -> None:
        """Open a snapshot's journal for appending, and cut off an incomplete entry at its end."""
        self._path = self._path_of(number)
        self._file = self._path.open("ab", buffering=0)
        if size := self._file.tell():
            whole = self._path.read_bytes().rfind(b"\n") + 1
            if whole < size:
                self._file.truncate(whole)

    def append(self, entry: dict[str, Any]) -> None:
        """Hand an entry to the operating system.

        Raises:
            OSError: the entry did not fit; no part of it is written.
        """
        if not self._file:
            return
        line = json.dumps(entry).encode() + b"\n"
        before = self.size
        try:
            with naming(self._path):
                written = self._file.write(line)
                if written != len(line):
                    raise OSError(f"the journal took {written} bytes of {len(line)}; is the disk full?")
        except OSError:
            self._file.truncate(before)
            raise

    @contextmanager
    def succeeded(self, number: int) -> Iterator[None]:
        """In the block, the snapshot of that number is made. If it succeeds, a new empty journal replaces this one."""
        path = self._path_of(number)
        fresh = path.open("wb", buffering=0)
        try:
            yield
        except BaseException:
            fresh.close()
            raise
        earlier, earlier_path = self._file, self._path
        self._file, self._path = fresh, path
        if earlier:
            earlier.close()
            with suppress(OSError):
                earlier_path.unlink()

    def discard_others(self, number: int) -> None:
        """Delete the journals of other snapshots, left by an interrupted replacement."""
        for path in self._folder.glob("journal-*"):
            if path != self._path_of(number):
                path.unlink()

    def _path_of(self, number: int) -> Path:
        return self._folder / f"journal-{number}"
