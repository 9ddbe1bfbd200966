"""A question: a function that another thread calls, while the asking thread waits for its result or exception.

Room: SDK. It has no threads. Each question has a lock of its own to wait for.
Tests: tests/producers/tidemill/test_once.py.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Question(Generic[T]):
    """A function call that one thread requests and another thread makes.

    Args:
        work: the function.
    """

    __slots__ = ("_answer", "_answered", "_error", "_has_ended", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._answer: list[T] = []
        self._error: BaseException | None = None
        self._has_ended = False
        self._answered = Lock()
        self._answered.acquire()

    def answer(self) -> None:
        """Calls the function and stores its result or exception."""
        try:
            self._answer.append(self._work())
        except BaseException as error:  # a signer's too; the asking thread gets it
            self._error = error
        self._end()

    def refuse(self, error: BaseException) -> None:
        """Ends the question with an error, without calling the function."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self._has_ended = True  # for later checks: the lock is released only once
        self._answered.release()

    def is_answered(self, timeout: float) -> bool:
        """Waits for the end, `timeout` seconds at most. Returns whether it has come; may be called again."""
        return self._has_ended or self._answered.acquire(timeout=timeout)

    def take(self) -> T:
        """Returns the function's result, or raises its exception."""
        if self._error is not None:
            raise self._error
        return self._answer[0]
