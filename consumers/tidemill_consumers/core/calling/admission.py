"""Whose requests a rule takes: those of verified clients, the application's own, or everybody's.

Room: core. Pure; `core.trust` examined the request before.
"""

from __future__ import annotations

from tidemill_consumers.core.batch import Arrival, Internal, Verified
from tidemill_consumers.core.trust import is_made


def not_for(rule: Verified | Internal, arrival: Arrival) -> str | None:
    """Why a guarded rule does not take this request; None if it does."""
    return _unverified(arrival) if isinstance(rule, Verified) else _foreign(arrival)


def _unverified(arrival: Arrival) -> str | None:
    proof, request = arrival.proof, arrival.request
    if proof is not None and proof.client == request.client:
        return None
    why = "unsigned" if proof is None else "sealed, but nobody has proven its client"
    return f"{why}, and {request.cmd} takes requests of verified clients only"


def _foreign(arrival: Arrival) -> str | None:
    # With a secret each request that names a writer of the application's own has a proof, or is quarantined before.
    proof, request = arrival.proof, arrival.request
    if is_made(request) if proof is None else proof.is_own:
        return None
    return f"not of the application itself, and {request.cmd} takes its requests only"
