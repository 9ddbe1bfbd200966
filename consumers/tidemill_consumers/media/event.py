"""Events of clients that do not use the contract: counted per key; the archive keeps their data.

Room: rules. Pure.
Tests: tests/consumers/tidemill_consumers/media/test_media.py.
"""

from __future__ import annotations

from tidemill_consumers import Accepted, Rejected, Request, State


def track(state: State, request: Request) -> Accepted | Rejected:
    """Count the event."""
    document = state or {}
    return Accepted({**document, "events": document.get("events", 0) + 1})
