"""Notes which command's rule is running, in a file that outlives the process: the next process knows which ended it.

Room: isolation. For the direct function, whose invocations have no batch to deliver again. A note is a few bytes of
memory and no call. Lambda keeps /tmp when it restarts an environment's process after a crash or a timeout:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html. Each environment has its own notes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from mmap import mmap
from pathlib import Path

log = logging.getLogger(__name__)

NAME = "tidemill-at-work"

NOTE_BYTES = 16
NOTHING = bytes(NOTE_BYTES)

MOST = 255
"""Commands that are remembered; the oldest is dropped first."""


class Ended:
    """The commands whose rules ended a process."""

    def __init__(self, notes: list[bytes]) -> None:
        self.notes = notes

    def __contains__(self, cmd: str) -> bool:
        return bool(self.notes) and _note(cmd) in self.notes


class AtWork:
    """The file: first the command at work, then the commands that ended a process, the latest first.

    Args:
        folder: private to the environment, and kept when its process ends; without one, nothing is remembered.
    """

    def __init__(self, folder: Path | None = None) -> None:
        size = NOTE_BYTES * (1 + MOST)
        self._place = mmap(-1, size) if folder is None else _mapped(folder / NAME, size)
        content = self._place[:]
        notes = [content[at : at + NOTE_BYTES] for at in range(0, size, NOTE_BYTES)]
        known = [note for note in dict.fromkeys(notes) if note != NOTHING][:MOST]
        self._place[:] = (NOTHING + b"".join(known)).ljust(size, b"\0")
        self.ended = Ended(known)

    @contextmanager
    def noting(self, cmd: str) -> Iterator[None]:
        """Note that a command's rule is running, until the context ends."""
        self._place[:NOTE_BYTES] = _note(cmd)
        try:
            yield
        finally:
            self._place[:NOTE_BYTES] = NOTHING


def _note(cmd: str) -> bytes:
    return blake2b(cmd.encode(), digest_size=NOTE_BYTES).digest()


def _mapped(path: Path, size: int) -> mmap:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            os.truncate(descriptor, size)
            return mmap(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        log.warning("cannot note whose rule is at work: %s", error)
        return mmap(-1, size)
