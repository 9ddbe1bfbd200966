"""Limits the time that a rule may take for one request, by the system's interval timer.

Room: isolation. A rule that takes longer is interrupted, and its request goes to the quarantine. The timer runs only
while a plan is made, and its handler reads the plan's watch: there is no cost per request.
"""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tidemill_consumers.core.calling.asking import TICKS, Stopped, Watch, ask

OF_INVOCATION = 6
"""A rule has at most this fraction (1/6) of an invocation's time: finding one apart takes three times that, and its
request must still be stored."""


class TimeLimit:
    """Limits rules' time on the main thread, where Lambda calls a handler, of a system that has the timer.

    Elsewhere (Windows, an invocation on another thread) there is no limit. Nowhere does the timer reach a rule in C
    that never checks for signals.

    Args:
        seconds: a rule's limit, checked five times within it. By default there is none.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self.seconds = self._wanted = seconds
        self._watch = Watch()
        self._spared = False

    @property
    def reason(self) -> str:
        """The reason in the quarantine of a request whose rule took longer."""
        return f"the rule took longer than {self.seconds:g} s"

    def within(self, seconds: float) -> None:
        """Lower the limit so that an invocation of `seconds` has time left after two rules that no signal reaches."""
        self.seconds = min(self._wanted, math.ceil(10 * seconds / OF_INVOCATION) / 10)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """The watch for a plan; the timer checks it until the context ends.

        A fork that a rule made exits here, so that only the parent goes on with the plan.
        """
        process = os.getpid()
        try:
            with self._watching() as watch:
                yield watch
        finally:
            if os.getpid() != process:
                os._exit(0)

    @contextmanager
    def _watching(self) -> Iterator[Watch]:
        watch = self._watch
        watch.at_work = None
        watch.tick()
        if self.seconds == math.inf or not is_possible():
            yield watch
            return
        before = signal.signal(signal.SIGALRM, self._tick)
        others = signal.setitimer(signal.ITIMER_REAL, self.seconds / TICKS, self.seconds / TICKS)
        try:
            yield watch
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
            signal.setitimer(signal.ITIMER_REAL, *others)  # a timer set before waits a little longer

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if not self._watch.tick():
            return
        # Never raise in the frame of `ask`, which may be recording how the rule ended. A rule in C has no frame of its
        # own, so `ask` is spared for one tick only.
        is_own = frame is not None and frame.f_code is ask.__code__
        self._spared = is_own and not self._spared
        if not self._spared:
            raise Stopped(self.reason)


def is_possible() -> bool:
    """Whether the system has the timer, and this thread receives its signal."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
