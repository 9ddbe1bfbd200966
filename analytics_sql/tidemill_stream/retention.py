"""For how long the job remembers: repeats for a time, totals for ever.

Room: analytics, stage. No I/O. Standard library alone.

Flink has one setting for all state (`table.exec.state.ttl`), which would forget totals too. So the time is written into
the compiled plan, which has one for each operator:
https://nightlies.apache.org/flink/flink-docs-release-2.2/docs/dev/table/concepts/overview/#configure-operator-level-state-ttl
"""

from __future__ import annotations

import json

OUTAGE_SECONDS = 3000
"""Flink forgets by its own clock, not by the records'. So repeats are remembered for longer than the horizon, and a job
that stood still for longer than this must begin a new generation."""

_START_SECONDS = 600
"""For its start, and for what it is behind as it runs."""

_DEDUPLICATE = "stream-exec-deduplicate"


def with_retention(plan: str, horizon: int) -> str:
    """A compiled plan whose repeats are forgotten an hour after the horizon.

    Args:
        plan: Flink's JSON of the plan.
        horizon: seconds for which repeats must be known.

    Raises:
        ValueError: nothing in the plan looks for repeats.
    """
    found = json.loads(plan)
    states = [
        state for node in found["nodes"] if node["type"].startswith(_DEDUPLICATE) for state in node.get("state", ())
    ]
    if not states:
        raise ValueError("nothing in the plan looks for repeats")
    for state in states:
        state["ttl"] = f"{(horizon + OUTAGE_SECONDS + _START_SECONDS) * 1000} ms"
    return json.dumps(found)
