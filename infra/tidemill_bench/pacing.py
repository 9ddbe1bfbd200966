"""Sending requests when they are due, and waiting until all of them are answered.

Room: local platform, I/O. A sender and a tracker are given; the clock is the machine's.
Tests: tests/e2e/test_bench.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Final

from tidemill_bench.sending import Sender
from tidemill_load.results.request_tracker import RequestTracker
from tidemill_load.workloads.scheduled_request import ScheduledRequest

STEP: Final = 0.2
"""Seconds between two looks at how far it is."""


def send_on_time(
    sender: Sender, tracker: RequestTracker, scheduled: Iterable[ScheduledRequest], tell: Callable[[str], None]
) -> None:
    """Hand each request to the sender when it is due.

    Args:
        sender: sends them.
        tracker: makes the items, which note when they were due.
        scheduled: `at` is in seconds from now.
        tell: told how far it is, often.
    """
    for one, due in _on_time(scheduled, lambda: tell(how_far(tracker))):
        sender.send(tracker.item(one, due))


def drain(sender: Sender, tracker: RequestTracker, patience: float, tell: Callable[[str], None]) -> float:
    """Wait until all requests are answered.

    Args:
        sender: has been given all of them.
        tracker: hears the answers.
        patience: seconds without a further answer after which waiting ends.
        tell: told how far it is, often.

    Returns:
        When all had left, on the monotonic clock; infinity if they never had.
    """
    moved, before = time.monotonic(), -1
    left = inf
    while time.monotonic() - moved < patience:
        gone = sender.finish(STEP)
        left = min(left, time.monotonic() if gone else inf)
        if gone and tracker.settled >= tracker.requests:
            break
        tell(how_far(tracker))
        if tracker.settled != before:
            moved, before = time.monotonic(), tracker.settled
        elif sender.finish(0):
            time.sleep(STEP)
    return left


def how_far(tracker: RequestTracker) -> str:
    """Such as "12 sent, 3 answered, p95 4.10 s"."""
    p95 = f", p95 {tracker.live_p95:.2f} s" if tracker.latencies else ""
    return f"{tracker.requests:,} sent, {tracker.settled:,} answered{p95}"


def _on_time(
    scheduled: Iterable[ScheduledRequest], tick: Callable[[], None]
) -> Iterator[tuple[ScheduledRequest, float]]:
    """Each when it is due, and that moment; `tick` is called often meanwhile."""
    begun = time.monotonic()
    ticked = begun
    for one in scheduled:
        due = begun + one.at
        while (wait := due - time.monotonic()) > 0 or time.monotonic() - ticked > STEP:
            if wait > 0:
                time.sleep(min(wait, STEP))
            if time.monotonic() - ticked > STEP:
                ticked = time.monotonic()
                tick()
        yield one, due
