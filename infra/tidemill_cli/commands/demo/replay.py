"""Sending the demo's requests at their times, with a line of progress a second.

Room: command line. tests/e2e/test_demo.py holds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill_cli.commands.demo.senders import Sender
    from tidemill_load.workloads.scheduled_request import ScheduledRequest
    from tidemill_local.emulator import Emulator

REPLAY_SECONDS = 10.0
"""How long the generated workload takes unless --speed says otherwise."""

PATIENCE = 30.0
"""Seconds without any progress after which the demo gives up waiting and reports what is missing."""


class Progress:
    """Says how far it is, once a second at most; raises EmulatorDied when there is nothing to wait for any more."""

    def __init__(self, emulator: Emulator, text: Callable[[], str], say: Callable[[str], None]) -> None:
        self._emulator = emulator
        self._text = text
        self._say = say
        self._said = time.monotonic()

    def tick(self) -> None:
        """Check the emulator, and say how far it is if the last time is a second ago."""
        self._emulator.check()
        if time.monotonic() - self._said >= 1:
            self._said = time.monotonic()
            self._say(f"  {self._text()}")


def flush(sending: Sender, progress: Progress) -> None:
    """Wait until all that was sent is acknowledged; StillPending when that takes longer than PATIENCE."""
    from tidemill import StillPending

    deadline = time.monotonic() + PATIENCE
    while True:
        progress.tick()
        try:
            return sending.flush(1)
        except StillPending:
            if time.monotonic() > deadline:
                raise


def paced(scheduled: Iterable[ScheduledRequest], times: float | None, progress: Progress) -> Iterator[ScheduledRequest]:
    """Each request when it is due.

    Args:
        scheduled: the requests, in the order of time.
        times: of real time; None for the speed at which all take REPLAY_SECONDS, real time at least.
        progress: told while waiting.
    """
    ready = list(scheduled)
    speed = times or max(1.0, ready[-1].at / REPLAY_SECONDS if ready else 1.0)
    begun = time.monotonic()
    for one in ready:
        progress.tick()
        while (wait := begun + one.at / speed - time.monotonic()) > 0:
            time.sleep(min(wait, 1))
            progress.tick()
        yield one
