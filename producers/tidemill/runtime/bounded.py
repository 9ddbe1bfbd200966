"""A time limit for a whole network call: the timeouts of botocore and urllib3 only limit single reads.

Room: SDK, I/O. A server that sends one byte now and then could hold a reader for ever. So another thread shuts down the
reader's socket. The read then ends as if the server had closed the connection, which is an ordinary error.

The socket is found on the reader's stack, because clients do not expose it. Only the call's own frames are searched:
the application's sockets are further up.
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
"""Longest call in seconds. 5 MiB at 0.5 Mbit/s take 84 s; after a call that takes longer, smaller ones follow."""

T = TypeVar("T")


def bounded(call: Callable[[], T]) -> T:
    """Returns the result of `call`. Whenever `CALL_SECONDS` pass, the read it waits for is ended."""
    caller, is_over, cutting = get_ident(), Event(), Lock()

    def watch() -> None:
        while not is_over.wait(CALL_SECONDS):
            with cutting:
                if not is_over.is_set():
                    cut(caller, bounded.__code__)

    with suppress(RuntimeError):  # no more threads can be started: the call has no limit
        start(watch, "tidemill-watch")
    try:
        return call()
    finally:
        is_over.set()
        with cutting:  # waits for `cut`: the next call may use the same connection
            pass


def cut(thread: int, within: CodeType) -> bool:
    """Shuts down the socket that a thread uses. Returns whether there was one.

    Args:
        thread: the thread's identifier. Threads that are not the operating system's, such as gevent's, are not found.
        within: the code of a function that the thread runs: only the frames below it are searched.
    """
    found, frame = None, sys._current_frames().get(thread)
    while frame is not None and frame.f_code is not within:
        found, frame = found or _socket_in(frame), frame.f_back
    if frame is None or found is None:
        return False
    with suppress(OSError):
        socket.socket.shutdown(found, socket.SHUT_RDWR)  # not SSLSocket's: it would take the session from its reader
    return True


def _socket_in(frame: FrameType) -> socket.socket | None:
    """The frame's socket: its `self`, or its local variable `sock`."""
    for name in ("self", "sock"):
        one = frame.f_locals.get(name)
        found = cast("Any", one)._sock if isinstance(one, socket.SocketIO) else one
        if isinstance(found, socket.socket):
            return found
    return None
