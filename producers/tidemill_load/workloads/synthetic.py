"""The load test's own workload: a rate that is asked for, arrivals at random or in bursts, keys of unequal popularity.

Room: load. Deterministic: the same shape, rate, length and seed give the same requests.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Final, Literal, TypeAlias

from tidemill.contract.request import Document, Request, encode
from tidemill_load.workloads.scheduled_request import ScheduledRequest

Kind: TypeAlias = Literal["poisson", "bursty"]

BURST_FACTOR: Final = 5.0
"""How much faster than the mean requests come within a burst."""

BURST_SECONDS: Final = 1.0
"""How long a burst lasts on average."""

BURST_SHARE: Final = 0.1
"""The share of the time that bursts take. With the factor above half of all requests come in bursts."""

LIKES: Final = 0.1
"""The share of likes; all else are views."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The kind of requests, independent of their rate.

    Attributes:
        kind: how they arrive: "poisson" is a crowd of independent senders; "bursty" has the same mean rate, and phases
            of five times that, a second long on average and a tenth of the time.
        keys: so many entities are asked for.
        zipf: how unequally: the entity of rank n is asked for as often as 1 / n ** zipf says; 0 is evenly.
        clients: so many senders, evenly.
        request_bytes: bytes of a request's JSON, roughly; no less than it has with nothing to say.
        objects: so many objects a request has its rule return, where a load test's rules apply it.
        object_bytes: bytes of each.
    """

    kind: Kind = "poisson"
    keys: int = 1_000
    zipf: float = 1.0
    clients: int = 100
    request_bytes: int = 250
    objects: int = 0
    object_bytes: int = 4096


def generate(shape: Shape, rate: float, seconds: float, seed: int) -> Iterator[ScheduledRequest]:
    """The requests of that many seconds: views and likes of contents, which the rules accept without exception."""
    random = Random(seed)
    chance, data = random.random, _padding(shape)
    contents = [f"content/{rank}" for rank in range(1, shape.keys + 1)]
    clients = [f"client-{number}" for number in range(shape.clients)]
    popularity = list(accumulate(rank**-shape.zipf for rank in range(1, shape.keys + 1)))
    total, last = popularity[-1], shape.keys - 1
    for at in _poisson(rate, random) if shape.kind == "poisson" else _bursty(rate, random):
        if at >= seconds:
            return
        cmd = "content.like" if chance() < LIKES else "content.view"
        rank = min(bisect_right(popularity, chance() * total), last)
        yield ScheduledRequest(at, cmd, contents[rank], clients[int(chance() * shape.clients)], data)


def _padding(shape: Shape) -> Document:
    wanted: Document = {"objects": shape.objects, "object_bytes": shape.object_bytes} if shape.objects else {}
    bare = Request(
        id="0" * 36,
        cmd="content.view",
        key="content/100",
        client="client-10",
        writer="0" * 12,
        counter=10_000,
        at=1_764_000_000_000,
        data={"note": "", **wanted},
    )
    missing = shape.request_bytes - len(encode(bare))
    return {"note": "x" * missing, **wanted} if missing > 0 else wanted


def _poisson(rate: float, random: Random) -> Iterator[float]:
    at = 0.0
    while True:
        at += random.expovariate(rate)
        yield at


def _bursty(rate: float, random: Random) -> Iterator[float]:
    """Calm and burst in turns, each of a length at random, each at random within."""
    calm_rate = rate * (1 - BURST_FACTOR * BURST_SHARE) / (1 - BURST_SHARE)
    calm_seconds = BURST_SECONDS * (1 - BURST_SHARE) / BURST_SHARE
    begin = 0.0
    while True:
        for phase_rate, mean_seconds in ((calm_rate, calm_seconds), (rate * BURST_FACTOR, BURST_SECONDS)):
            end = begin + random.expovariate(1 / mean_seconds)
            at = begin + random.expovariate(phase_rate)
            while at < end:
                yield at
                at += random.expovariate(phase_rate)
            begin = end
