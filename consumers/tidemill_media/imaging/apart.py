"""Photos go in, thumbnails and metadata come out; the decoding is done in a process apart.

Room: imaging, on the caller's side. No decoder is imported here, so a function's own process never has one. Its process
apart is given neither the function's credentials nor its other variables.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tidemill.contract.photo_files import MAX_PHOTO_BYTES
from tidemill_media.imaging.frames import Closed, receive, send
from tidemill_media.imaging.limits import CPU_SECONDS, WALL_SECONDS
from tidemill_media.imaging.results import FORMATS, LARGEST_SIZE, Ending, Job, Made, Outcome, Unsupported

KEPT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
"""Variables that Python itself needs: Lambda's has libraries of its own."""

ATTEMPTS = 2
"""A server that is gone, ended by the system perhaps, is started again once."""


class Overdue(TimeoutError):
    """By the clock, a photo should have been decoded or have taken its seconds of a core: the machine is slow."""


class Server:
    """The process that decodes, started when there is something to decode. Threads take turns."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, job: Job, data: bytes) -> tuple[Ending, bytes]:
        """How the decoding ended, and the encoded outcome.

        Raises:
            OSError: no process can be started, or it ends at once.
        """
        with self._lock:
            for _ in range(ATTEMPTS):
                try:
                    return self._asked(job, data)
                except Closed:
                    self._end()
                except BaseException:  # an interrupt, say
                    self._end()  # its answer, which is yet to come, would be taken for the next photo's
                    raise
        raise OSError("the process that decodes photos ended twice")

    def process_id(self) -> int:
        """The process's id."""
        with self._lock:
            return self._running().pid

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def begin_again(self) -> None:
        """Begin anew in a copy of this process: no thread that had its turn is there to give it back."""
        self._lock = threading.Lock()

    def _asked(self, job: Job, data: bytes) -> tuple[Ending, bytes]:
        process = self._running()
        tell, hear = (pipe.fileno() for pipe in (process.stdin, process.stdout) if pipe)
        send(tell, msgspec.msgpack.encode(job))
        send(tell, data)
        return msgspec.msgpack.decode(receive(hear), type=Ending), receive(hear)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid():  # a fork's parent goes on with its own
            self._process = _started()
            self._owner = os.getpid()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        with process:
            process.kill()


SERVER = Server()
atexit.register(SERVER.close)
os.register_at_fork(after_in_child=SERVER.begin_again)


def work(data: bytes | Path, sizes: Sequence[int], formats: Sequence[str] = FORMATS) -> Outcome:
    """Thumbnails of a photo, and what its file says of itself; or why it is not supported.

    Whatever a file does to its decoder is the file's fate: it takes 5 seconds of a core and 512 MB at most. The same
    file gives the same outcome, so it need not be tried again.

    Args:
        data: the file, or where it lies.
        sizes: the longest sides of the thumbnails, in pixels, 2,048 at most.
        formats: `webp`, `jpeg` or both.

    Raises:
        ValueError: a size or a format that there is not.
        Overdue: the machine gave the decoder too little of a core's time; it can be tried again.
        OSError: the file cannot be read, or no process can be started.
    """
    job = _job(sizes, formats)
    if (data.stat().st_size if isinstance(data, Path) else len(data)) > MAX_PHOTO_BYTES:
        return Unsupported(f"the file is larger than {MAX_PHOTO_BYTES >> 20} MiB")
    ending, outcome = SERVER.ask(job, data.read_bytes() if isinstance(data, Path) else data)
    return judged(ending, outcome)


def judged(ending: Ending, outcome: bytes) -> Outcome:
    """The outcome of a photo, by how its process ended and by the bytes that it wrote.

    Raises:
        Overdue: the process was killed by the clock, and no limit of its own.
    """
    if ending.is_overdue:
        raise Overdue(f"a photo was given {ending.seconds:.1f} s of a core in {WALL_SECONDS:g} s")
    if ending.status == -signal.SIGXCPU:
        return Unsupported(f"it takes longer than {CPU_SECONDS} s to decode")
    if ending.status:
        return Unsupported(f"its decoder failed ({_name(ending.status)})")
    try:
        return msgspec.msgpack.decode(outcome, type=Made | Unsupported)
    except msgspec.DecodeError:
        return Unsupported("its decoder failed (its answer cannot be read)")


def _name(status: int) -> str:
    return signal.Signals(-status).name if -status in set(signal.Signals) else f"exit code {status}"


def _job(sizes: Sequence[int], formats: Sequence[str]) -> Job:
    if wrong := [one for one in sizes if not 1 <= one <= LARGEST_SIZE]:
        raise ValueError(f"a thumbnail has from 1 to {LARGEST_SIZE} pixels, not {wrong[0]}")
    if unknown := [one for one in formats if one not in FORMATS]:
        raise ValueError(f"thumbnails are {' or '.join(FORMATS)}, not {unknown[0]!r}")
    return Job(tuple(sizes), tuple(formats))


def _started() -> subprocess.Popen[bytes]:
    variables = {name: os.environ[name] for name in KEPT if name in os.environ}
    variables["PYTHONPATH"] = os.pathsep.join(part for part in sys.path if part)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "tidemill_media.imaging.serving"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env=variables,
    )
