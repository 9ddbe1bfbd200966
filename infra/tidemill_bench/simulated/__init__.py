"""A load test on a simulated clock: hours of traffic in minutes."""

from tidemill_bench.simulated.histogram import Histogram
from tidemill_bench.simulated.run import Run, Settings, direct

__all__ = ["Histogram", "Run", "Settings", "direct"]
