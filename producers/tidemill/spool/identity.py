"""Who writes in a spool's folder: the writer id, and the counters that it has used.

Room: SDK, I/O by the folder. Tests: tests/producers/tidemill/spool/test_spool.py.

The file `writer` keeps the writer id and reserves counters, a million at a time: when power fails, requests that have
been sent may be missing in the log, and their counters must not be used again.
"""

from __future__ import annotations

from secrets import token_urlsafe
from typing import TYPE_CHECKING

from tidemill.spool.errors import SpoolBroken
from tidemill.spool.frames import WriterFile

if TYPE_CHECKING:
    from tidemill.spool.folder import SpoolFiles
    from tidemill.spool.recovery import Recovered

RESERVED = 1 << 20
"""Counters that are reserved at a time."""


class Identity:
    """The writer of a folder.

    Args:
        files: the folder.
        writer: the writer id; None takes the folder's, or makes one of 12 characters.
        found: what the folder's log holds.

    Attributes:
        writer: the writer id.
        counter: the highest that a request has had. Whoever uses a higher one raises it, after reserving it.
        reserved: the highest that may be used before more are reserved.

    Raises:
        ValueError: the folder is another writer's.
        SpoolBroken: the folder is damaged, so that the counters which `writer` has used are not known.
        OSError: the file cannot be read or written.
    """

    __slots__ = ("_files", "counter", "reserved", "writer")

    def __init__(self, files: SpoolFiles, writer: str | None, found: Recovered) -> None:
        self._files = files
        kept = files.load_identity()
        heads = [head for head in found.heads if head]
        known = kept.writer if kept else heads[-1].writer if heads else None
        if writer and known and writer != known:
            raise ValueError(f"{files.path} is the spool of the writer {known!r}, not {writer!r}; use another folder")
        if writer and found.segments and not known:
            raise SpoolBroken(
                f"{files.path} is damaged: the counters that {writer!r} has used are not known; use a new writer id"
            )
        self.writer = known or writer or token_urlsafe(9)
        self.counter = found.counter
        if kept:
            self.counter = max(self.counter, kept.counter)
        else:
            if found.segments:
                self.counter += 2 * RESERVED  # how many were reserved is not known, but fewer
            self.reserve(self.counter)
        self.reserved = self.counter

    def reserve(self, counter: int) -> None:
        """Keeps on the disk that no counter is higher."""
        self._files.keep_identity(WriterFile(self.writer, counter))
        self.reserved = counter

    def release(self) -> None:
        """Gives back the counters that were reserved and not used."""
        if self.reserved > self.counter:
            self.reserve(self.counter)
