"""A question: a function that another thread calls, while whoever asks waits for what it gives or raises.

Room: SDK. No threads of its own; it waits for a lock that nobody else knows.
Tests: tests/producers/tidemill/test_once.py.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Question(Generic[T]):
    """What somebody waits for another thread to do.

    Args:
        work: what is to be done.
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
        """Does it."""
        try:
            self._answer.append(self._work())
        except BaseException as error:  # a signer's, for the one who asks
            self._error = error
        self._end()

    def refuse(self, error: BaseException) -> None:
        """Says why it is not done."""
        self._error = error
        self._end()

    def _end(self) -> None:
        self._has_ended = True  # for whoever asks again: the lock is released once
        self._answered.release()

    def is_answered(self, timeout: float) -> bool:
        """Whether it has been, as often as that is asked; waits for it."""
        return self._has_ended or self._answered.acquire(timeout=timeout)

    def take(self) -> T:
        """What it gave, or raised."""
        if self._error is not None:
            raise self._error
        return self._answer[0]
