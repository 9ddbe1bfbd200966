"""The totals of what a function's lines of metrics say of its batches, and how long replies took of late.

Room: page, pure: the time is an argument.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tidemill_consumers.codec.metrics import DIMENSION, Figures, lines_in

LATENCY_SECONDS: Final = 60.0
"""Over which latencies are taken."""


@dataclass(frozen=True, slots=True)
class Batched:
    """Totals of batches.

    Attributes:
        applied: requests that were.
        rejected: by a rule.
        repeats: recognised.
        redelivered: requests that Lambda had delivered before.
        write_units: used by the table.
    """

    applied: int = 0
    rejected: int = 0
    repeats: int = 0
    redelivered: int = 0
    write_units: float = 0.0


class _Latencies(NamedTuple):
    """Those of one batch: when it ended, in seconds since 1970, its values in milliseconds, and a value's weight."""

    at: float
    values: Sequence[float]
    weight: int
    """Thousandths of a request that each value stands for: a line has some of its batch's values."""


class Batches:
    """Adds up the lines of one function.

    Args:
        function: its name.

    Attributes:
        totals: so far; None until there is a line.
    """

    def __init__(self, function: str) -> None:
        self._function = function
        self._latencies: deque[_Latencies] = deque()
        self._weights: Counter[float] = Counter()
        """The weight of each value among them: there are fewer different values than values."""
        self.totals: Batched | None = None

    def heard(self, message: str) -> None:
        """An event of the function's log, which need not be a line of metrics."""
        for line in lines_in(message):
            if line.dimensions.get(DIMENSION) == self._function:
                self._add(line.figures, line.at / 1000)

    def _add(self, figures: Figures, at: float) -> None:
        now = self.totals or Batched()
        self.totals = Batched(
            applied=now.applied + figures.applied,
            rejected=now.rejected + figures.rejected,
            repeats=now.repeats + figures.repeats,
            redelivered=now.redelivered + figures.redelivered,
            write_units=now.write_units + figures.write_units,
        )
        if values := figures.reply_latency:
            weight = round(1000 * figures.requests / len(values))
            self._latencies.append(_Latencies(at, values, weight))
            for one in values:
                self._weights[one] += weight

    def latency(self, now: float) -> tuple[float, float] | None:
        """In milliseconds, within which half of the last minute's requests were answered, and 99 of 100."""
        while self._latencies and self._latencies[0].at < now - LATENCY_SECONDS:
            old = self._latencies.popleft()
            for one in old.values:
                self._weights[one] -= old.weight
        every = sorted((one, weight) for one, weight in self._weights.items() if weight)
        self._weights = Counter(dict(every))
        return (_percentile(every, 0.5), _percentile(every, 0.99)) if every else None


def _percentile(every: Sequence[tuple[float, int]], share: float) -> float:
    """The value within which that share of the requests is; `every` has values and weights, sorted."""
    rest = share * sum(weight for _, weight in every)
    for value, weight in every:
        rest -= weight
        if rest <= 0:
            return value
    return every[-1][0]
