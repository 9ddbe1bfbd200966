"""Writes metrics to the log, from which CloudWatch extracts them.

Room: adapters. codec/metrics.py has the lines' form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from tidemill_consumers.codec.metrics import METRICS, Figures, line_of


class Metrics:
    """The function's metrics.

    Args:
        function: the function's name.
        write: takes each line; by default nobody does.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        function: str = "",
        write: Callable[[str], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._function = function
        self._write = write
        self.clock = clock

    def put(self, figures: Figures, names: Sequence[str] = METRICS) -> None:
        """Add to these metrics."""
        if self._write is not None:
            self._write(line_of(figures, self._function, self.clock(), names))
