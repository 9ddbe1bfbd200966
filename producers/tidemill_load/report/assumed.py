"""What the cost model is told of a run, so that its curves are of the same settings as the measured points.

Room: load, report; pure.
"""

from __future__ import annotations

from dataclasses import replace

from tidemill_load.assumptions import Assumptions
from tidemill_load.keys import Keys
from tidemill_load.report.findings import Comparison, shown
from tidemill_load.result import Measurement, Result

SHORTEST = 0.001
"""Lambda bills whole milliseconds."""


def assumptions(result: Result) -> Assumptions | None:
    """Settings and measured durations in place of the model's own; None when they are beyond the model."""
    try:
        return _measured(_set(result), shown(result))
    except ValueError:
        return None


def _set(result: Result) -> Assumptions:
    default = Assumptions()

    def told(name: str, otherwise: float) -> float:
        found = result.workload.parameters.get(name)
        return found if isinstance(found, int | float) and found > 0 else otherwise

    return replace(
        default,
        size=int(told("request_bytes", default.size)),
        keys=Keys(int(told("keys", default.keys.count)), told("zipf", default.keys.skew)),
        clients=int(told("clients", default.clients)),
        window=round(result.window),
        batch=result.batch,
    )


def _measured(given: Assumptions, chosen: Comparison | None) -> Assumptions:
    if chosen and (direct := chosen.direct) and direct.billed_ms and direct.memory_mb:
        seconds = direct.billed_ms / 1000 / direct.requests
        given = replace(given, direct_seconds=seconds, direct_memory=direct.memory_mb)
    if chosen and (best := chosen.modelled) and best.billed_ms and best.memory_mb:
        given = replace(given, invocation_seconds=_invocation_seconds(best, given), memory=best.memory_mb)
    return given


def _invocation_seconds(one: Measurement, given: Assumptions) -> float:
    """What an invocation takes beside its requests."""
    in_all = (one.billed_ms or 0) / 1000 - one.requests * given.request_seconds
    return max(SHORTEST, in_all / (one.invocations or 1))
