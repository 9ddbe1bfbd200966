"""The process that decodes: it has the decoders loaded, and forks for each photo.

    python -m tidemill_media.imaging.serving  # reads jobs from standard input, writes outcomes to standard output

Room: imaging. This process never looks into a photo. The fork does, under its limits (limits.py), and whatever a photo
does to it ends with it. A fork costs 1 ms, a new Python with decoders 200 ms. Its test is
tests/consumers/tidemill_media/imaging/test_apart.py.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

import msgspec

from tidemill_media.imaging.frames import Closed, gather, receive, send
from tidemill_media.imaging.limits import WALL_SECONDS, confine
from tidemill_media.imaging.making import make
from tidemill_media.imaging.results import Ending, Job, Unsupported

encode = msgspec.msgpack.Encoder().encode


def serve(hear: int, tell: int) -> None:
    """Answer jobs until nobody is there any more. A job is two messages, as is its answer: an Ending and an Outcome."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    while True:
        try:
            job = msgspec.msgpack.decode(receive(hear), type=Job)
            ending, outcome = apart(job, receive(hear), nowhere)
            send(tell, encode(ending))
            send(tell, outcome)
        except Closed:
            return


def apart(job: Job, data: bytes, nowhere: int) -> tuple[Ending, bytes]:
    """Do the job in a fork of this process: how that ended, and what it wrote."""
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        _live(job, data, tell, nowhere)
    os.close(tell)
    written = gather(hear, WALL_SECONDS)
    os.close(hear)
    if written is None:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    seconds = usage.ru_utime + usage.ru_stime
    return Ending(os.waitstatus_to_exitcode(status), written is None, seconds, peak), written or b""


def _live(job: Job, data: bytes, tell: int, nowhere: int) -> NoReturn:
    """Run the fork. It always exits here."""
    code = 1
    try:
        for standard in range(3):  # it can neither speak for its parent nor write into the function's log
            os.dup2(nowhere, standard)
        confine()
        try:
            outcome = make(data, job)
        except MemoryError:
            outcome = Unsupported("it takes more memory to decode than a photo may")
        message = memoryview(encode(outcome))
        while message:
            message = message[os.write(tell, message) :]
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(sys.stdin.fileno(), sys.stdout.fileno())
