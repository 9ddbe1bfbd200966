"""The rule that every application has: `tidemill.probe`, by which an operator sees how far a shard is applied.

Room: core. Pure. Tests: tests/e2e/test_destroy.py.
"""

from __future__ import annotations

from tidemill.contract.request import Request
from tidemill_consumers.core.batch import Accepted, State


def probe(state: State, _: Request) -> Accepted:
    """Leave the document as it is: the mark of the probe's key moves, which anybody who reads the table can see."""
    return Accepted(state)
