"""Waiting for something to have happened, with no lock that an interrupt or a signal handler could find held.

Room: SDK. Every step is one call of a deque or of a lock that nobody else knows.
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
    """Whoever waits."""

    def release(self) -> None:
        """Something has happened. It waits for nothing and raises nothing."""


class News:
    """Wakes all who wait for something to have happened.

    Any thread may tell and wait, also amid a wait of its own: a signal handler that waits while the code that it
    interrupts does so too.
    """

    def __init__(self) -> None:
        self._waiting: deque[Released] = deque()
        self._busy: set[int] = set()
        self.told = 0
        """Changes with all that happens."""

    def forbid(self) -> None:
        """This thread must not wait from now on, for it is the one that has something to tell."""
        self._busy.add(get_ident())

    def permit(self) -> None:
        """This thread ends: another one may get its identifier, and may wait."""
        self._busy.discard(get_ident())

    @property
    def must_not_wait(self) -> bool:
        """Whether this thread is such a one."""
        return get_ident() in self._busy

    def check(self) -> None:
        """Looks whether this thread may wait.

        Raises:
            RuntimeError: it is the one that has something to tell.
        """
        if self.must_not_wait:
            raise RuntimeError("a producer's own threads cannot wait for it: send from there, and wait elsewhere")

    def add(self, one: Released) -> None:
        """Has somebody told when the next happens, once."""
        self._waiting.append(one)

    def tell(self) -> None:
        """Something has happened."""
        self.told += 1
        with suppress(IndexError):
            while True:
                self._waiting.popleft().release()

    def wait_for(self, holds: Callable[[], object], timeout: float | None = None) -> bool:
        """Waits until something holds; says whether it does.

        Raises:
            RuntimeError: this thread is the one that has something to tell.
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
        if not holds():  # it may have come to hold before somebody was waiting
            told.acquire(timeout=timeout)
        with suppress(ValueError, IndexError):  # it has been told, or another was amid this
            self._waiting.remove(told)
