"""Lets threads wait for news, without a shared lock that an interrupt or a signal handler could find held.

Room: SDK. Every step is one call of a deque, or of a lock that only the waiting thread uses.
Tests: tests/producers/tidemill/test_producer.py.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import Lock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 3600.0
"""Longest wait in seconds of one call: locks cannot wait forever."""


class Released(Protocol):
    """A waiter, such as a lock."""

    def release(self) -> None:
        """Wakes the waiter. Does not block and raises nothing."""


class News:
    """Wakes all waiting threads when something has happened.

    Any thread may tell and wait. A signal handler may wait too while the code that it interrupts waits.
    """

    def __init__(self) -> None:
        self._waiting: deque[Released] = deque()
        self._busy: set[int] = set()
        self.told = 0
        """Number of times that `tell` was called."""

    def forbid(self) -> None:
        """Forbids this thread to wait, because it is one that tells."""
        self._busy.add(get_ident())

    def permit(self) -> None:
        """Lifts the ban as this thread ends: a later thread may get its identifier."""
        self._busy.discard(get_ident())

    @property
    def must_not_wait(self) -> bool:
        """Whether this thread is forbidden to wait."""
        return get_ident() in self._busy

    def check(self) -> None:
        """Checks that this thread may wait.

        Raises:
            RuntimeError: it may not, because it is one that tells.
        """
        if self.must_not_wait:
            raise RuntimeError("a producer's own threads cannot wait for it: send from there, and wait elsewhere")

    def add(self, one: Released) -> None:
        """Adds a waiter, to be woken once by the next `tell`."""
        self._waiting.append(one)

    def tell(self) -> None:
        """Wakes all waiters: something has happened."""
        self.told += 1
        with suppress(IndexError):
            while True:
                self._waiting.popleft().release()

    def wait_for(self, holds: Callable[[], object], timeout: float | None = None) -> bool:
        """Waits until `holds` returns true, `timeout` seconds at most. Returns whether it does.

        Raises:
            RuntimeError: this thread may not wait, because it is one that tells.
        """
        end = None if timeout is None else monotonic() + timeout
        while not holds():
            self.check()
            left = LONGEST if end is None else min(LONGEST, end - monotonic())
            if left <= 0:
                return False
            self._wait(holds, left)
        return True

    def _wait(self, holds: Callable[[], object], timeout: float) -> None:
        told = Lock()
        told.acquire()
        self._waiting.append(told)
        if not holds():  # it may have become true before the lock was added
            told.acquire(timeout=timeout)
        with suppress(ValueError, IndexError):  # `tell` has removed it, or another thread changes the deque
            self._waiting.remove(told)
