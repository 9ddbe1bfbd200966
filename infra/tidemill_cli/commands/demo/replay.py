"""Sending the demo's requests at their times.

Room: command line. tests/e2e/test_demo.py holds it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from tidemill_cli.commands.demo.waiting import PATIENCE

if TYPE_CHECKING:
    from tidemill_cli.commands.demo.senders import Sender
    from tidemill_load.workloads.scheduled_request import ScheduledRequest

REPLAY_SECONDS = 10.0
"""How long the generated workload takes unless --speed says otherwise."""


def flush(sending: Sender, tick: Callable[[], None]) -> None:
    """Wait until all that was sent is acknowledged, and tick; StillPending when that takes longer than PATIENCE."""
    from tidemill import StillPending

    deadline = time.monotonic() + PATIENCE
    while True:
        tick()
        try:
            return sending.flush(1)
        except StillPending:
            if time.monotonic() > deadline:
                raise


def paced(
    scheduled: Iterable[ScheduledRequest], times: float | None, tick: Callable[[], None]
) -> Iterator[ScheduledRequest]:
    """Each request when it is due.

    Args:
        scheduled: the requests, in the order of time.
        times: of real time; None for the speed at which all take REPLAY_SECONDS, real time at least.
        tick: called while waiting.
    """
    ready = list(scheduled)
    speed = times or max(1.0, ready[-1].at / REPLAY_SECONDS if ready else 1.0)
    begun = time.monotonic()
    for one in ready:
        tick()
        while (wait := begun + one.at / speed - time.monotonic()) > 0:
            time.sleep(min(wait, 1))
            tick()
        yield one
