"""Files of a log in the order of time: one after the other, or together where they overlap.

Room: load, logs; pure.
Tests: tests/producers/tidemill_load/logs/test_read.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from tidemill_load.logs.columns import NOTHING, Columns, together


@dataclass(slots=True)
class Stream:
    """A file: when its first request was, and its columns, which are read when they are needed."""

    start: float
    parts: Iterator[Columns]
    waiting: Columns = NOTHING

    def fill(self) -> bool:
        """Have something waiting; False at the end."""
        while not len(self.waiting):
            found = next(self.parts, None)
            if found is None:
                return False
            self.waiting = found
        return True

    @property
    def reach(self) -> float:
        """Up to when it is known."""
        return float(self.waiting.times.max())

    def up_to(self, time: float) -> Columns:
        """Take what is waiting, as far as the first request after that time."""
        later = self.waiting.times > time
        rows = int(np.argmax(later)) if later.any() else len(later)
        if rows == len(self.waiting):
            taken, self.waiting = self.waiting, NOTHING
            return taken
        taken = self.waiting.take(np.arange(rows))
        self.waiting = self.waiting.take(np.arange(rows, len(self.waiting)))
        return taken


def in_order(streams: Sequence[Stream]) -> Generator[Columns]:
    """The rows of all files by time. Within a file the order stays; files that overlap in time are merged."""
    later = deque(sorted(streams, key=lambda one: one.start))
    reading: list[Stream] = []
    while later or reading:
        if not reading:
            reading.append(later.popleft())
        reading = [one for one in reading if one.fill()]
        known = min((one.reach for one in reading), default=inf)
        while later and later[0].start <= known:
            reading.append(later.popleft())
            if not reading[-1].fill():
                reading.pop()
            known = min((one.reach for one in reading), default=inf)
        taken = [part for one in reading if len(part := one.up_to(known))]
        if taken:
            yield taken[0] if len(taken) == 1 else together(taken).sorted()
