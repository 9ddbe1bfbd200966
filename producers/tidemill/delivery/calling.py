"""The call on its way: made by one thread, given up if it takes too long, and then by another thread.

Room: SDK, I/O by the wire that it is given. The keeper's alone.
Tests: tests/producers/tidemill/runtime/test_bounded.py.

    idle ─ make ─▶ on its way ─ end ─▶ idle
                       └─ give_up: its thread hangs, and another one makes the calls from now on
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from tidemill.delivery.caller import Caller
from tidemill.runtime import bounded

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Thread

    from tidemill.sending.records import Call

MOST_HUNG = 4
"""Calls at most that were given up and have not come back: with so many, another one is waited for."""


class Calling:
    """Has calls made, one at a time, each for a bounded time.

    Args:
        new_caller: makes what makes calls.

    Attributes:
        call: the call on its way, if there is one.
        ends_by: when it is given up; `inf` while there is none.
        hung: callers whose call has been given up.
    """

    def __init__(self, new_caller: Callable[[], Caller]) -> None:
        self._new_caller = new_caller
        self._caller = new_caller()
        self.call: Call | None = None
        self.ends_by = inf
        self.hung: list[Caller] = []

    def start(self) -> None:
        """Starts the thread that makes calls.

        Raises:
            RuntimeError: there can be no more.
        """
        self._caller.start()

    @property
    def thread(self) -> Thread | None:
        """The thread that makes calls, once that has begun."""
        return self._caller.thread

    @property
    def is_hanging(self) -> bool:
        """Whether a call that was given up has not come back."""
        return any(one.is_alive for one in self.hung)

    def make(self, call: Call, now: float) -> None:
        """Has a call made."""
        self.call, self.ends_by = call, now + bounded.CALL_SECONDS
        self._caller.make(call)

    def end(self) -> None:
        """The call on its way has ended."""
        self.call, self.ends_by = None, inf

    def give_up(self, now: float) -> bool:
        """Waits no more for a call that takes too long, if another caller can be had; else it is waited for again."""
        self._cut()
        if self._replace_caller():
            return True
        self.ends_by = now + bounded.CALL_SECONDS
        return False

    def close(self) -> None:
        """Nobody waits for a call any more, so that its thread need not either."""
        self._caller.end()
        self._cut()

    def _cut(self) -> None:
        for one in (*self.hung, self._caller):
            one.cut()

    def _replace_caller(self) -> bool:
        """Has another caller make the calls from now on, unless too many hang or there can be no more threads."""
        self.hung = [one for one in self.hung if one.is_alive]
        if len(self.hung) >= MOST_HUNG:
            return False
        caller = self._new_caller()
        try:
            caller.start()
        except RuntimeError:
            return False
        self._caller.end()
        self.hung.append(self._caller)
        self._caller = caller
        return True
