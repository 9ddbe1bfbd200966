"""How the benchmarks measure: pairs of runs, one after the other, in one process; the CPU time of all its threads.

Absolute figures move with the machine and with what else it does; the ratio within a pair hardly does.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

Work: TypeAlias = Callable[[], object]
"""What is measured; what it gives back is dropped."""

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


def faster(name: str, theirs: Work, ours: Work, goal: float, unit: str, pairs: int, *, times: float = 1) -> Result:
    """How many times the speed of theirs ours has.

    Args:
        name: the benchmark's.
        theirs: what is compared with.
        ours: what is measured.
        goal: the least ratio.
        unit: what theirs is.
        pairs: how many ratios are measured, after one run of each that does not count.
        times: how many times the requests of theirs ours has.
    """
    theirs()
    ours()
    ratios = []
    for _ in range(pairs):
        turns = [(cpu_seconds(theirs), cpu_seconds(ours)) for _ in range(TURNS)]
        ratios.append(times * sum(before for before, _ in turns) / sum(after for _, after in turns))
    return result(name, ratios, goal, f"x {unit}, {AT_LEAST}")


def cpu_seconds(work: Work) -> float:
    """CPU seconds of this process that the work takes."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start
