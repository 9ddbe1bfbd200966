"""The spool's folder: its lock, who writes there, and the segments of the log.

Room: SDK, I/O. It decides nothing, and raises what the operating system says.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from tidemill.runtime.log import log
from tidemill.spool.errors import SpoolInUse
from tidemill.spool.frames import WriterFile

try:
    import fcntl
except ImportError:  # Windows: all of the SDK but the spool is there
    fcntl = None  # type: ignore[assignment] # looked at before it is used

if TYPE_CHECKING:
    from pathlib import Path

KEPT_DAMAGED = 4
"""Damaged segments that are kept beside, for whoever wants to look into them: the newest."""

_SEGMENT = re.compile(r"([0-9]{12,})-([0-9a-f]{8})\.spool")
_DAMAGED = ".damaged"

# A name in the folder that is no plain file, such as a link or a FIFO, is not followed and not waited for.
_SAFELY = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


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
        opening: bytes that it begins with, before any request; 0 while that is not known.
    """

    __slots__ = ("_descriptor", "has_gaps", "is_suspect", "live", "opening", "ordinal", "path", "seed", "size")

    def __init__(self, folder: Path, ordinal: int, seed: int) -> None:
        self.path = folder / f"{ordinal:012d}-{seed:08x}.spool"
        self.ordinal = ordinal
        self.seed = seed
        self.size = self.live = self.opening = 0
        self.is_suspect = self.has_gaps = False
        self._descriptor = -1

    def open(self, flags: int = 0) -> None:
        """Opens it, for frames to be added."""
        self._descriptor = _open(self.path, os.O_WRONLY | os.O_APPEND | flags)

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
        """The segment's bytes."""
        return _load(self.path)

    def __del__(self) -> None:
        self.close()

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
        OSError: it is none of this user's alone, or the system has no locks of files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1
        if fcntl is None:
            raise OSError(errno.ENOTSUP, f"it needs locks of files, which {sys.platform} does not have")
        _make_folder(path)
        self._lock = _open(path / "lock", os.O_RDWR | os.O_CREAT)
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

    def load_identity(self) -> WriterFile | None:
        """Who writes there; None, with a warning if there is one, when it cannot be read."""
        path = self.path / "writer"
        with suppress(FileNotFoundError):
            try:
                kept = msgspec.json.decode(_load(path), type=WriterFile)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                log.warning("%s cannot be read: %s", path, error)
            else:
                if kept == kept.sealed():
                    return kept
                log.warning("%s cannot be read: its checksum is wrong", path)
        return None

    def keep_identity(self, identity: WriterFile) -> None:
        """Replaces the file `writer`, durably and whole; if that fails, the earlier one stays."""
        path = self.path / "writer"
        fresh = path.with_suffix(".new")
        descriptor = _open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            _write_all(descriptor, msgspec.json.encode(identity.sealed()))
            _force(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(path)
        self.force()

    @property
    def notes_attempts(self) -> bool:
        """Whether the log names every attempt. The file `attempts` says so: even a full disk lets it be removed."""
        return (self.path / "attempts").is_file()

    def note_attempts(self, are_whole: bool) -> None:
        """Makes that file, durably, or removes it."""
        path = self.path / "attempts"
        if are_whole:
            os.close(_open(path, os.O_WRONLY | os.O_CREAT))
            self.force()
            return
        path.unlink(missing_ok=True)
        with suppress(OSError):  # of a power failure alone
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
        descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()  # one that nobody has any more holds nobody up

    def close(self) -> None:
        """Frees the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _make_folder(path: Path) -> None:
    """Makes the folder for its owner only, or checks that it is.

    Raises:
        OSError: it is another user's, or others may write there: they could put what they like in a file's place.
    """
    try:
        path.mkdir(mode=0o700, parents=True)
        path.chmod(0o700)  # whatever the umask
    except FileExistsError:
        us = (os.geteuid(), 0)
        for found in (path.lstat(), path.stat()):  # of a link, and of where it leads
            if found.st_uid not in us:
                raise OSError(errno.EPERM, f"it belongs to the user {found.st_uid}") from None
        if not stat.S_ISDIR(found.st_mode):
            raise
        if stat.S_IMODE(found.st_mode) & 0o022:
            raise OSError(errno.EPERM, f"others may write there, by its mode {stat.S_IMODE(found.st_mode):o}") from None


def _open(path: Path, flags: int) -> int:
    """A plain file of the folder, for its owner only.

    Raises:
        OSError: it is something else.
    """
    try:
        descriptor = os.open(path, flags | _SAFELY, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):  # a link, a FIFO or socket, a folder
            raise OSError(errno.EINVAL, f"{path.name} is no plain file") from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, f"{path.name} is no plain file")
        if flags & os.O_CREAT:
            os.fchmod(descriptor, 0o600)  # whatever the umask
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _load(path: Path) -> bytes:
    with open(_open(path, os.O_RDONLY), "rb") as file:
        return file.read()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:  # nearly always once; what is left of a short write fails, with the reason
        data = data[os.write(descriptor, data) :]


def _force(descriptor: int) -> None:
    if sys.platform == "darwin":  # fsync(2) there leaves it in the drive's cache
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)
