"""The time that a rule may take for one request, by the system's interval timer.

Room: isolation. A rule that takes longer is stopped where it stands, and its request goes to the quarantine. The timer
runs only while a plan is made, and its handler looks at the plan's watch: a request costs nothing.
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
"""Of an invocation's time a rule has this part at most: one that has to be found apart takes three such, and is then
stored."""


class TimeLimit:
    """Limits rules' time, where that can be: on the main thread, as Lambda calls a handler, of a system with the timer.

    Elsewhere (Windows, an invocation on another thread) a rule takes as long as it does. What the timer does not reach
    anywhere is a rule in C that never looks for signals.

    Args:
        seconds: what a rule may take; it is looked at five times in these. By default there is no limit.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self.seconds = self._wanted = seconds
        self._watch = Watch()
        self._spared = False

    @property
    def reason(self) -> str:
        """Why a request goes to the quarantine."""
        return f"the rule took longer than {self.seconds:g} s"

    def within(self, seconds: float) -> None:
        """Have the limit leave time in an invocation that has so many seconds, for two rules that no signal reaches."""
        self.seconds = min(self._wanted, math.ceil(10 * seconds / OF_INVOCATION) / 10)

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """The watch for a plan, which is looked at until this ends.

        A copy of the process that a rule made and let go ends here: whatever is done with the plan is done once.
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
            signal.setitimer(signal.ITIMER_REAL, *others)  # whoever had set it waits a little longer

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if not self._watch.tick():
            return
        # Not into `ask` itself, which is about to say how the rule ended. A rule that is a function in C has no frame
        # of its own: then it is there at the next tick too.
        is_own = frame is not None and frame.f_code is ask.__code__
        self._spared = is_own and not self._spared
        if not self._spared:
            raise Stopped(self.reason)


def is_possible() -> bool:
    """Whether there is a timer, and this thread hears of it."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
