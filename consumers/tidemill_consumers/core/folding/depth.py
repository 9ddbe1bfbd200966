"""Depth: how many emits led to a request. A follow-up request carries its cause's depth and one, and loops end by it.

Room: core. Pure.

| request | depth that counts |
|---|---|
| a client's | 0, whatever it states |
| a follow-up request (`emit/…`) | as stated; above the limit it is quarantined, without being applied |
| a redriven one (`redrive/…`) | as stated; above the limit 0: the operator who put it back lets it go on |

Where the application has a secret, its seal covers the depth, and a writer of the application's own without a seal is
quarantined before. Without a secret anybody may use such a writer; a made-up depth harms nobody but its own request and
what that emits, since a chain that begins with a new request begins at 0 anyway.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from tidemill.contract.request import REDRIVE
from tidemill_consumers.core.batch import Arrival, Quarantined, with_request
from tidemill_consumers.core.emits import is_emitted

EMIT_DEPTH = 16
"""Most emits that may lead to a request, unless the template's `EmitDepth` says otherwise."""

LOOP = "emits loop"
"""How the reason begins for which a follow-up request is quarantined that too many emits led to."""


def counted(arrival: Arrival, most: int) -> Arrival | None:
    """The arrival of a request that states a depth, with the depth that counts; None if that is above the limit.

    Args:
        arrival: of a new request, after its signature or seal was examined.
        most: the limit.
    """
    request = arrival.request
    if is_emitted(request):
        return arrival if request.depth <= most else None
    is_kept = request.depth <= most and (request.writer or "").startswith(REDRIVE)
    return arrival if is_kept else with_request(arrival, replace(request, depth=0))


def looped(quarantined: Iterable[Quarantined]) -> int:
    """How many of them are follow-up requests that too many emits led to."""
    return sum(one.reason.startswith(LOOP) for one in quarantined)


def why_looped(depth: int, most: int) -> str:
    """The reason for which a follow-up request of this depth is quarantined."""
    return f"{LOOP}: depth {depth}, and {most} is the most: {depth} emits led to it, one by one"
