"""Many producers in one process: as many writers, each with records of its own.

Room: local platform. schedulers.py decides and is pure; sender.py has the threads and the client.
"""

from tidemill_bench.fleet.schedulers import Schedulers
from tidemill_bench.fleet.sender import Fleet
from tidemill_bench.fleet.spread import Spread
from tidemill_bench.fleet.tracked import FleetSender

__all__ = ["Fleet", "FleetSender", "Schedulers", "Spread"]
