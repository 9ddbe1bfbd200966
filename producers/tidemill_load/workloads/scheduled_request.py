"""A request of a workload and the moment it is due.

Room: load. A value; knows neither streams nor clocks.
Tests: tests/producers/tidemill_load/workloads/test_workload.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill.contract.request import Document


@dataclass(frozen=True, slots=True)
class ScheduledRequest:
    """A request that a workload wants sent.

    Attributes:
        at: when it is due, in seconds since the workload's start; never less than its predecessor's.
        cmd: the command.
        key: the ordering key, at most 256 characters.
        client: who sends it.
        data: the command's own data.
    """

    at: float
    cmd: str
    key: str
    client: str
    data: Document
