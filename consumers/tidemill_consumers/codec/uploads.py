"""From uploads to the data of requests that were too large to carry it.

Room: codec, no I/O. adapters/content/uploads.py reads the uploads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tidemill.contract.claim_check import problem_of, read_data
from tidemill.contract.request import ClaimCheck, RefusedRequest
from tidemill_consumers.core.batch import Arrival, Position


class Redeemed(NamedTuple):
    """Arrivals whose data was uploaded, with that data.

    Attributes:
        arrivals: the arrivals that can go on, in order.
        failed: the positions of those whose uploads could not be read now. Later ones of their keys are left out too.
    """

    arrivals: Sequence[Arrival]
    failed: Sequence[Position]


def wanted(arrivals: Sequence[Arrival]) -> list[ClaimCheck]:
    """The uploads to read, each once: none for a request that is quarantined whatever lies there."""
    refs = {one.request.ref: None for one in arrivals if not is_forged(one) and problem_of(one.request) is None}
    return [ref for ref in refs if ref is not None]


def redeemed(arrivals: Sequence[Arrival], found: Mapping[ClaimCheck, bytes | str]) -> Redeemed:
    """The arrivals with their data.

    Args:
        arrivals: in order.
        found: the bytes of each upload that is wanted, or why they are none. One that is missing could not be read.
    """
    able: list[Arrival] = []
    failed: list[Position] = []
    held: set[str] = set()
    for one in arrivals:
        ref = one.request.ref
        if one.key in held:
            continue
        if ref is None or is_forged(one):
            able.append(one)
        elif problem := problem_of(one.request):
            able.append(replace(one, upload=problem))
        elif ref in found:
            able.append(with_data(one, ref, found[ref]))
        else:
            held.add(one.key)
            failed.append(one.position)
    return Redeemed(able, failed)


def with_data(arrival: Arrival, ref: ClaimCheck, found: bytes | str) -> Arrival:
    """The arrival with the data in an upload's bytes, or with the reason why there is none."""
    if isinstance(found, str):
        return replace(arrival, upload=found)
    try:
        data = read_data(ref, found)
    except RefusedRequest as problem:
        return replace(arrival, upload=str(problem))
    return replace(arrival, request=replace(arrival.request, data=data, ref=None), upload=found)


def is_forged(arrival: Arrival) -> bool:
    """Whether its signature or seal is wrong."""
    return arrival.proof is not None and arrival.proof.problem is not None
