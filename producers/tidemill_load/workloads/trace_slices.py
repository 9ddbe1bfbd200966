"""The beginning of a trace at another speed, cut into turns.

Room: load, pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import takewhile

from tidemill_load.workloads.scheduled_request import ScheduledRequest


def slices_of(
    trace: Iterable[ScheduledRequest], speed: float, seconds: float, turns: int
) -> list[list[ScheduledRequest]]:
    """The trace's requests in its first seconds at that speed: a list for each turn, each from second 0 on.

    Args:
        trace: in the order of time.
        speed: times real time.
        seconds: of the replay.
        turns: of equal length.
    """
    length = seconds / turns
    cut: list[list[ScheduledRequest]] = [[] for _ in range(turns)]
    for one in takewhile(lambda one: one.at / speed < seconds, trace):
        at = one.at / speed
        turn = min(int(at / length), turns - 1)
        cut[turn].append(replace(one, at=at - turn * length))
    return cut
