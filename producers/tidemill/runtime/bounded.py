"""A bound for a whole call over the network: botocore and urllib3 bound each read alone.

Room: SDK, I/O. A server that sends one byte now and then keeps its reader for ever. The reader's socket is shut down
from another thread, so that the read ends as if the server had closed: an error of the client's, as any other.

The socket is found on the reader's stack, for no client hands it out. Only the frames of the call itself are looked at:
an application's own sockets are further up.
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from threading import Event, Lock, get_ident
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tidemill.runtime.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

CALL_SECONDS = 120.0
"""Seconds that a call takes at most. 5 MiB at 0.5 Mbit/s are 84; where it is too short, smaller calls follow."""

T = TypeVar("T")


def bounded(call: Callable[[], T]) -> T:
    """What a function gives or raises, each of whose reads and tries ends after `CALL_SECONDS`."""
    caller, is_over, cutting = get_ident(), Event(), Lock()

    def watch() -> None:
        while not is_over.wait(CALL_SECONDS):
            with cutting:
                if not is_over.is_set():
                    cut(caller, bounded.__code__)

    with suppress(RuntimeError):  # there can be no more threads: then it is not bounded
        start(watch, "tidemill-watch")
    try:
        return call()
    finally:
        is_over.set()
        with cutting:  # the next call may have the same connection, which is not to be cut off
            pass


def cut(thread: int, within: CodeType) -> bool:
    """Shuts down the socket that a thread is at work with; says whether there was one.

    Args:
        thread: its identifier. Threads that are none of the system's, such as gevent's, are not found.
        within: the code of a function that the thread runs: what it calls is looked at, and nothing else.
    """
    found, frame = None, sys._current_frames().get(thread)
    while frame is not None and frame.f_code is not within:
        found, frame = found or _socket_in(frame), frame.f_back
    if frame is None or found is None:
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
