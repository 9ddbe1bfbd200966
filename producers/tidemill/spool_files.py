"""The spool's folder: its lock, who writes there, and the segments of the log.

Room: SDK, I/O. It decides nothing, and raises what the operating system says.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from tidemill.frames import FORMAT
from tidemill.log import log

if TYPE_CHECKING:
    from pathlib import Path

KEPT_DAMAGED = 4
"""Damaged segments that are kept beside, for whoever wants to look into them: the newest."""

_SEGMENT = re.compile(r"([0-9]{12,})-([0-9a-f]{8})\.spool")
_DAMAGED = ".damaged"


class SpoolInUse(OSError):
    """Another spool, of this process or of another, has the folder."""


class Identity(msgspec.Struct, frozen=True):
    """Who writes in the folder.

    Attributes:
        writer: the writer id.
        counter: no request of it has a higher one.
        version: of the files.
        checksum: of all the above.
    """

    writer: str
    counter: int
    version: int = FORMAT
    checksum: int = 0

    def sealed(self) -> Identity:
        """The same with its checksum."""
        bare = msgspec.structs.replace(self, checksum=0)
        return msgspec.structs.replace(bare, checksum=crc32(msgspec.json.encode(bare)))


class Segment:
    """A file of the log.

    Attributes:
        path: its name is its ordinal and its seed.
        ordinal: its place in the log.
        seed: what its checksums begin with; random.
        size: bytes in it.
        live: bytes of the pending requests in it, with their frames.
        is_suspect: whether nothing may be added, and what is pending in it has to be written anew.
        has_gaps: whether some of it could not be read.
    """

    __slots__ = ("_descriptor", "has_gaps", "is_suspect", "live", "ordinal", "path", "seed", "size")

    def __init__(self, folder: Path, ordinal: int, seed: int) -> None:
        self.path = folder / f"{ordinal:012d}-{seed:08x}.spool"
        self.ordinal = ordinal
        self.seed = seed
        self.size = self.live = 0
        self.is_suspect = self.has_gaps = False
        self._descriptor = -1

    def open(self, flags: int = 0) -> None:
        """Opens it, for frames to be added."""
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)

    def append(self, frame: bytes) -> int:
        """Adds a frame, whole or not at all: where it starts."""
        start = self.size
        self.size = start + len(frame)  # before it is written: an interrupt between the two does no harm
        try:
            _write_all(self._descriptor, frame)
        except OSError:
            self.cut(start)
            raise
        return start

    def cut(self, start: int) -> None:
        """Takes back what has been added from there on, for the next frame to follow a whole one."""
        self.size = start
        try:
            os.ftruncate(self._descriptor, start)
        except OSError:
            self.is_suspect = True

    def force(self) -> None:
        """Forces to the disk what has been added."""
        try:
            _force(self._descriptor)
        except OSError:
            # The system forgets what it could not write, and the next fsync would succeed without it.
            self.is_suspect = True
            raise

    def load(self) -> bytes:
        """What is in it."""
        return self.path.read_bytes()

    def close(self) -> None:
        """Ends adding to it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SpoolFiles:
    """A folder, and the lock on it.

    Args:
        path: the folder; made, for its owner only, if there is none.

    Raises:
        SpoolInUse: another one has the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take_lock()
        except BaseException:
            self.close()
            raise

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 20, 0).decode(errors="replace").strip()
            raise SpoolInUse(
                f"process {holder} has the spool {self.path}; end it, or give each process a folder of its own"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def load_identity(self) -> Identity | None:
        """Who writes there; None, with a warning if there is one, when it cannot be read."""
        path = self.path / "writer"
        with suppress(FileNotFoundError):
            try:
                kept = msgspec.json.decode(path.read_bytes(), type=Identity)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("%s cannot be read: %s", path, error)
            else:
                if kept == kept.sealed():
                    return kept
                log.warning("%s cannot be read: its checksum is wrong", path)
        return None

    def keep_identity(self, identity: Identity) -> None:
        """Keeps who writes there, on the disk and at once, or what was kept before."""
        path = self.path / "writer"
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, msgspec.json.encode(identity.sealed()))
            _force(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(path)
        self.force()

    def segments(self) -> list[Segment]:
        """The log, oldest first."""
        names = map(_SEGMENT.fullmatch, sorted(path.name for path in self.path.iterdir()))
        return [Segment(self.path, int(name[1]), int(name[2], 16)) for name in names if name]

    def begin(self, ordinal: int, seed: int, data: bytes, force: bool) -> Segment:
        """Makes a segment, whole or not at all, and opens it.

        Args:
            ordinal: its place in the log.
            seed: what its checksums begin with.
            data: what it begins with.
            force: whether it is on the disk when this returns.
        """
        segment = Segment(self.path, ordinal, seed)
        segment.open(os.O_CREAT | os.O_EXCL)
        try:
            segment.append(data)
            if force:
                segment.force()
                self.force()
        except OSError:
            segment.close()
            segment.path.unlink(missing_ok=True)
            raise
        return segment

    def remove(self, segment: Segment) -> None:
        """Removes a segment, or keeps it beside if some of it cannot be read."""
        segment.close()
        try:
            if segment.has_gaps:
                segment.path.replace(segment.path.with_suffix(_DAMAGED))
                for old in sorted(self.path.glob(f"*{_DAMAGED}"))[:-KEPT_DAMAGED]:
                    old.unlink()
            else:
                segment.path.unlink()
        except OSError as error:
            log.warning("%s cannot be removed: %s", segment.path, error)

    def force(self) -> None:
        """Makes durable which files there are."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Frees the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _write_all(descriptor: int, data: bytes) -> None:
    while data:  # nearly always once; what is left of a short write fails, with the reason
        data = data[os.write(descriptor, data) :]


def _force(descriptor: int) -> None:
    if sys.platform == "darwin":  # fsync(2) there leaves it in the drive's cache
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)
