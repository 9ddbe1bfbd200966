"""A photo that is to be uploaded: bytes, or a file that is read piece by piece and must not change meanwhile.

Room: SDK, I/O: files.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from tidemill.contract.photo_files import FIRST_BYTES, MAX_PHOTO_BYTES, PHOTO_TYPES, PhotoType, type_of
from tidemill.errors import UnfitFile

Photo: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview

NO_FILES = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
"""The other kinds of file that a path may lead to, in words; a device otherwise."""

CONVERTED = f"use {', '.join(one.name for one in PHOTO_TYPES[:-1])} or {PHOTO_TYPES[-1].name}"


class PhotoSource:
    """An opened photo that fits. Several threads may read it.

    Args:
        photo: the bytes, or the file's path.
        content_type: the type that it is expected to have; None expects none.

    Attributes:
        size: in bytes.
        type: its format, by its first bytes.

    Raises:
        UnfitFile: it is no file, is too large, or no photo, or another one than expected.
        OSError: the file cannot be opened or read.
    """

    def __init__(self, photo: Photo, content_type: str | None = None) -> None:
        self._bytes = bytes(photo) if isinstance(photo, (bytes, bytearray, memoryview)) else None
        self._path = "" if isinstance(photo, (bytes, bytearray, memoryview)) else os.fsdecode(photo)
        self._lock = Lock()
        self._file = -1 if self._bytes is not None else _opened(self._path)
        try:
            self._stamp = self._stamped()
            self.size = self._stamp[0]
            self.type = self._checked(content_type)
        except BaseException:
            self.close()
            raise

    def read(self, at: int, count: int) -> bytes:
        """The bytes from a position on.

        Raises:
            UnfitFile: the file is no longer what it was when it was opened.
            OSError: it cannot be read.
        """
        if self._bytes is not None:
            return self._bytes[at : at + count]
        with self._lock:
            os.lseek(self._file, at, os.SEEK_SET)
            pieces = []
            while count and (piece := os.read(self._file, count)):
                pieces.append(piece)
                count -= len(piece)
        self.check()
        return b"".join(pieces)

    def check(self) -> None:
        """Checks that the file is what it was when it was opened.

        Raises:
            UnfitFile: its size or its time of change is another one.
        """
        if self._stamped() != self._stamp:
            raise UnfitFile("file", f"{self._path} changed while it was read", "upload it once it is written")

    def close(self) -> None:
        """Closes the file."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _stamped(self) -> tuple[int, int]:
        if self._bytes is not None:
            return len(self._bytes), 0
        status = os.fstat(self._file)
        return status.st_size, status.st_mtime_ns

    def _checked(self, content_type: str | None) -> PhotoType:
        check_photo_size(self.size)
        found = type_of(self.read(0, FIRST_BYTES))
        if isinstance(found, str):
            raise UnfitFile("type", f"it is {found}, of which no thumbnails are made", CONVERTED)
        if content_type is not None and content_type != found.content_type:
            problem = f"it is {found.content_type}, and not {content_type!r}"
            raise UnfitFile("content_type", problem, "leave content_type out, and it is what the file is")
        return found


def check_photo_size(size: int) -> None:
    """Checks that a photo of so many bytes is not too large.

    Raises:
        UnfitFile: it is.
    """
    if size > MAX_PHOTO_BYTES:
        most = f"{MAX_PHOTO_BYTES >> 20} MiB"
        raise UnfitFile("size", f"it has {size} bytes, and thumbnails are made of {most} at most", "make it smaller")


def _opened(path: str) -> int:
    # Without O_NONBLOCK a pipe is waited for until somebody writes to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    mode = Path(path).stat().st_mode  # first, for to open a device may do something, and Windows opens no directory
    if stat.S_ISREG(mode):
        file = os.open(path, flags)
        mode = os.fstat(file).st_mode
        if stat.S_ISREG(mode):
            return file
        os.close(file)
    what = NO_FILES.get(stat.S_IFMT(mode), "a device")
    raise UnfitFile("file", f"{path} is {what}", "name a file, or give its bytes")
