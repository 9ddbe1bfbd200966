"""The consumers: Lambda handlers that apply batches of requests, and the types that an application's rules use.

    from tidemill_consumers import Accepted, Rejected, Request, Rules, State

    def reserve(state: State, request: Request) -> Accepted | Rejected:
        ...

    RULES: Rules = {"item.reserve": reserve}

Tests of rules use `tidemill_consumers.testing`. All other modules are internal and may change.
"""

from tidemill.contract.request import Request
from tidemill_consumers.core.batch import (
    Accepted,
    Aggregatable,
    Blob,
    Emit,
    Internal,
    Ref,
    Rejected,
    Rule,
    Rules,
    State,
    Total,
    Verified,
    ref,
)

__all__ = [
    "Accepted",
    "Aggregatable",
    "Blob",
    "Emit",
    "Internal",
    "Ref",
    "Rejected",
    "Request",
    "Rule",
    "Rules",
    "State",
    "Total",
    "Verified",
    "ref",
]
