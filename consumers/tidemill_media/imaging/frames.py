"""Messages over pipes: a length, then the bytes.

Room: imaging. Pipes are all that it takes: Lambda has no /dev/shm, and so none of multiprocessing's queues and locks.
"""

from __future__ import annotations

import os
import select
import time

LENGTH_BYTES = 8
MOST_BYTES = 128 * 1024 * 1024
"""Longest message. A longer length was not written by this module."""

PIECE = 1 << 20


class Closed(Exception):
    """The other side is gone, or writes something else."""


def send(pipe: int, message: bytes) -> None:
    """Write a message.

    Raises:
        Closed: nobody reads.
    """
    try:
        for part in (len(message).to_bytes(LENGTH_BYTES, "big"), message):
            view = memoryview(part)
            while view:
                view = view[os.write(pipe, view) :]
    except OSError as error:
        raise Closed(str(error)) from error


def receive(pipe: int) -> bytes:
    """Read a message, however long it takes to come.

    Raises:
        Closed: the other side is gone, or no message comes from it.
    """
    length = int.from_bytes(_exactly(pipe, LENGTH_BYTES), "big")
    if length > MOST_BYTES:
        raise Closed(f"a message of {length} bytes")
    return _exactly(pipe, length)


def gather(pipe: int, seconds: float) -> bytes | None:
    """All that is written until the other side closes; None if that takes longer, or it is too long."""
    end = time.monotonic() + seconds
    parts: list[bytes] = []
    length = 0
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while length <= MOST_BYTES and poll.poll(max(0, end - time.monotonic()) * 1000):
        part = os.read(pipe, PIECE)
        if not part:
            return b"".join(parts)
        parts.append(part)
        length += len(part)
    return None


def _exactly(pipe: int, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = os.read(pipe, min(length - len(data), PIECE))
        if not part:
            raise Closed("the other side is gone")
        data += part
    return bytes(data)
