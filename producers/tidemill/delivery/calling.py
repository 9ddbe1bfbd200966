"""The call in flight: one thread makes it. If it takes too long it is given up, and another thread makes the next ones.

Room: SDK, I/O by the wire that it is given. Used by the keeper only.
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
"""Most calls that were given up and still hang: with as many, a slow call is waited for."""


class Calling:
    """Has calls made, one at a time, each for a limited time.

    Args:
        new_caller: makes a caller.

    Attributes:
        call: the call in flight, if there is one.
        ends_by: when the call is given up; `inf` while there is none.
        hung: callers whose call was given up.
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
            RuntimeError: no more threads can be started.
        """
        self._caller.start()

    @property
    def thread(self) -> Thread | None:
        """The thread that makes calls; None until it runs."""
        return self._caller.thread

    @property
    def is_hanging(self) -> bool:
        """Whether a call that was given up still hangs."""
        return any(one.is_alive for one in self.hung)

    def make(self, call: Call, now: float) -> None:
        """Has a call made."""
        self.call, self.ends_by = call, now + bounded.CALL_SECONDS
        self._caller.make(call)

    def end(self) -> None:
        """Notes that the call in flight has ended."""
        self.call, self.ends_by = None, inf

    def give_up(self, now: float) -> bool:
        """Gives up a slow call if another caller can be started, else waits on. Returns whether it gave the call up."""
        self._cut()
        if self._replace_caller():
            return True
        self.ends_by = now + bounded.CALL_SECONDS
        return False

    def close(self) -> None:
        """Ends the threads, and the call in flight, which nobody awaits any more."""
        self._caller.end()
        self._cut()

    def _cut(self) -> None:
        for one in (*self.hung, self._caller):
            one.cut()

    def _replace_caller(self) -> bool:
        """Starts another caller for the next calls, unless too many hang or no more threads can be started."""
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
