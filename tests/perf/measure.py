"""How the benchmarks measure: pairs of runs, one after the other, on one core; the CPU time of all the process.

Absolute figures move with the machine and with what else it does; the ratio within a pair hardly does.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeAlias

Work: TypeAlias = Callable[..., object]
"""What is measured; what it gives back is dropped."""

Make: TypeAlias = Callable[[], tuple[Any, ...]]
"""Makes the arguments of what is measured, before its time is taken."""

AT_LEAST, AT_MOST = "at least", "at most"

TURNS = 4
"""Times that both sides of a pair run, in turns: what else the machine does comes and goes within seconds."""


@dataclass(frozen=True)
class Result:
    """One line of the report.

    Attributes:
        name: the benchmark's.
        ratio: the median.
        goal: what the ratio has to be.
        low: the smallest.
        high: the largest.
        unit: of what the ratio is, ending in "at least" or "at most".
    """

    name: str
    ratio: float
    goal: float
    low: float
    high: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio <= self.goal if self.unit.endswith(AT_MOST) else self.ratio >= self.goal


def result(name: str, values: Sequence[float], goal: float, unit: str) -> Result:
    """The median of the values."""
    return Result(name, median(values), goal, min(values), max(values), unit)


def faster(
    name: str,
    theirs: Work,
    ours: Work,
    goal: float,
    unit: str,
    pairs: int,
    *,
    times: float = 1,
    make: Make = tuple,
) -> Result:
    """How many times the speed of theirs ours has.

    Args:
        name: the benchmark's.
        theirs: what is compared with.
        ours: what is measured.
        goal: the least ratio.
        unit: what theirs is.
        pairs: how many ratios are measured, after one run of each that does not count.
        times: how many times the requests of theirs ours has.
        make: makes ours' arguments, anew for each run.
    """
    ratios = []
    with one_core():
        theirs()
        ours(*make())
        for _ in range(pairs):
            turns = [(cpu_seconds(theirs), cpu_seconds(ours, *make())) for _ in range(TURNS)]
            ratios.append(times * sum(before for before, _ in turns) / sum(after for _, after in turns))
    return result(name, ratios, goal, f"x {unit}, {AT_LEAST}")


@contextmanager
def one_core() -> Iterator[None]:
    """This thread, and those that it starts, stay on one core, as in a function that has one.

    Threads that hand the interpreter to each other across cores find nothing in the other's caches.
    """
    if sys.platform != "linux":
        yield  # the others have no such call
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def cpu_seconds(work: Work, *arguments: object) -> float:
    """CPU seconds of this process that the work takes."""
    gc.collect()
    start = time.process_time()
    work(*arguments)
    return time.process_time() - start
