"""A bound for a whole call over the network: what botocore and urllib3 bound is each read alone.

Room: SDK, I/O. Whoever sends one byte now and then keeps a thread that reads for ever. Its socket is shut down from
another thread, so that the read ends as if the other side had closed: an error of the client's, as any other.
"""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager, suppress
from threading import Event, get_ident
from time import sleep
from typing import TYPE_CHECKING, Any, cast

from tidemill.threads import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

CALL_SECONDS = 120.0
"""Seconds that a call takes at most. 5 MiB at 0.5 Mbit/s are 84; where it is too short, smaller calls follow."""


@contextmanager
def bounded() -> Iterator[None]:
    """Bounds the calls that this thread makes within, each try of them: none takes longer than `CALL_SECONDS`."""
    caller, over, cutting = get_ident(), Event(), Event()

    def watch() -> None:
        while not over.wait(CALL_SECONDS):
            cutting.set()
            if not over.is_set():
                cut(caller)
            cutting.clear()

    with suppress(RuntimeError):  # there can be no more threads: then it is not bounded
        start(watch, "tidemill-watch")
    try:
        yield
    finally:
        over.set()
        while cutting.is_set():  # what this thread reads next is not to be cut off
            sleep(0.001)


def cut(thread: int) -> bool:
    """Shuts down the socket that a thread is at work with; says whether there was one.

    Args:
        thread: its identifier. Threads that are none of the system's, such as gevent's, are not found.
    """
    frame = sys._current_frames().get(thread)
    found = None
    while frame is not None and found is None:
        found, frame = _socket_in(frame), frame.f_back
    if found is None:
        return False
    with suppress(OSError):
        socket.socket.shutdown(found, socket.SHUT_RDWR)  # not TLS's own, which would take the session from its reader
    return True


def _socket_in(frame: FrameType) -> socket.socket | None:
    """The socket that a function is a method of, or has made."""
    for name in ("self", "sock"):
        one = frame.f_locals.get(name)
        found = cast("Any", one)._sock if isinstance(one, socket.SocketIO) else one
        if isinstance(found, socket.socket):
            return found
    return None
