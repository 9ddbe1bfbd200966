"""Waiting for what the demo set going, with lines that say how far it is.

Room: command line. Tests: tests/infra/tidemill_cli/commands/demo/test_waiting.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

PATIENCE = 30.0
"""Seconds without any progress after which the demo gives up waiting and reports what is missing."""

CHANGED_SECONDS, SAME_SECONDS = 1.0, 10.0
"""How often a line is told at most, and how often one that says the same as the last."""

LOOK_SECONDS = 0.5

Seen = TypeVar("Seen")


class Progress:
    """Says how far it is, when that has changed.

    Args:
        check: raises EmulatorDied when there is nothing to wait for any more.
        say: shows a line.
        clock: seconds.
        sleep: passes seconds.
    """

    def __init__(
        self,
        check: Callable[[], None],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._check = check
        self._say = say
        self._clock = clock
        self._sleep = sleep
        self._told, self._at, self._looked = "", clock(), clock()

    def tick(self, text: Callable[[], str]) -> None:
        """Check the emulator, and say how far it is, once a second at most; if it is as before, every 10 s."""
        self._check()
        if self._clock() - self._looked < CHANGED_SECONDS:
            return
        self._looked = self._clock()
        line = text()
        if line != self._told or self._looked - self._at >= SAME_SECONDS:
            self._told, self._at = line, self._looked
            self._say(f"  {line}")

    def until(
        self,
        look: Callable[[], Seen],
        is_done: Callable[[Seen], bool],
        text: Callable[[Seen], str],
        pause: float = LOOK_SECONDS,
    ) -> Seen:
        """Look until that is done, or nothing has moved for PATIENCE seconds, which is said.

        Args:
            look: what is there now.
            is_done: whether that is all.
            text: how far that is, for a line.
            pause: seconds between two looks.

        Returns:
            What was seen last.
        """
        now = look()
        moved = self._clock()
        while not is_done(now):
            if self._clock() - moved >= PATIENCE:
                self._say(f"nothing has moved for {PATIENCE:.0f} s: {text(now)}; going on with what there is")
                break
            self.tick(partial(text, now))
            self._sleep(pause)
            before, now = now, look()
            if now != before:
                moved = self._clock()
        return now
