"""The errors of a spool, and the remedies that their messages name.

Room: SDK. Tests: tests/producers/tidemill/spool/test_spool.py and test_folder.py, where each is raised.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_REMEDIES = {
    errno.EACCES: "compare the owner and the permissions of the folder and of what is in it",
    errno.EDQUOT: "free some room",
    errno.EINVAL: "remove it, or use another folder",
    errno.ENOTSUP: "use a spool on Linux or macOS, or a producer without one",
    errno.EPERM: "use a folder of this user's alone, of mode 700",
    errno.EFBIG: "raise the process's limit on the size of files",
    errno.EMFILE: "raise the process's limit on open files",
    errno.ENOENT: "make a new spool, and let nobody else remove its files",
    errno.ENOSPC: "free some room",
    errno.EROFS: "use a folder that can be written",
}


class SpoolFull(Exception):
    """The spool has no room for the request until others have been settled.

    Attributes:
        size: bytes that the request needs.
        limit: most bytes of all pending requests.
    """

    def __init__(self, size: int, pending: int, limit: int) -> None:
        super().__init__(
            f"the spool has no room for {size} bytes: {pending} of {limit} are pending; "
            "wait until some are acknowledged, or raise max_bytes"
        )
        self.size = size
        self.limit = limit


class SpoolBroken(OSError):
    """The folder, or a file in it, cannot be used; names the reason and the remedy. `errno` is the system's."""


class SpoolInUse(OSError):
    """Another spool, of this process or of another, has the folder."""


def broken(folder: Path, error: OSError) -> OSError:
    """The spool's error for an error of the operating system."""
    if isinstance(error, SpoolInUse | SpoolBroken):
        return error
    remedy = _REMEDIES.get(error.errno or 0, "look after the disk")
    found = SpoolBroken(f"the spool {folder} cannot be used: {error.strerror or error}; {remedy}")
    found.errno = error.errno
    return found
