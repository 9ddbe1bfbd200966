"""The limits of a process that decodes a photo, kept by the system.

Room: imaging. They hold for the process that asks for them, and cannot be raised again.
"""

from __future__ import annotations

import ctypes
import resource
import signal
import sys
from contextlib import suppress

MIB = 1024 * 1024

MEMORY = 400 * MIB
"""Most bytes of data of its own. With the code that all processes share, it stays below 512 MB."""

ADDRESSES = 1024 * MIB
"""Most bytes of addresses: code, and what allocators reserve and never touch, count here too."""

CPU_SECONDS = 5
"""Most seconds of a core's time."""

WALL_SECONDS = 20.0
"""Most seconds on the clock. On a core of its own a process comes to CPU_SECONDS first; a function with little memory
has only a part of a core."""

PR_SET_PDEATHSIG = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""


def confine() -> None:
    """Limit this process. It opens no more files and sockets, writes into no file, and ends with its parent.

    It may start threads, for HEIC's decoder cannot do without, however few it is told to use. Linux alone holds a
    process to bytes of data; elsewhere its time alone is limited.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _limit(resource.RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 1)  # where both are equal, Linux sends SIGKILL at once
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_NOFILE, 0)
    if sys.platform == "linux":
        _limit(resource.RLIMIT_DATA, MEMORY)
        _limit(resource.RLIMIT_AS, ADDRESSES)


def _limit(what: int, most: int, last: int | None = None) -> None:
    """Lower a limit, and what it can be raised to again (`last`, or the same); one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    wanted = (most, most if last is None else last)
    resource.setrlimit(what, wanted if hard == resource.RLIM_INFINITY else (min(most, hard), min(wanted[1], hard)))
