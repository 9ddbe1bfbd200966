"""Verifies the signatures and seals of a batch.

Room: adapters. core/trust.py decides what is proven; this module reads the keys, once for the whole batch, and the
secret, once for an environment and again when it may have changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from tidemill.contract.request import Request
from tidemill.contract.signature import SigningUnavailable
from tidemill_consumers.adapters.devices import Devices, Keys
from tidemill_consumers.core.batch import Arrival
from tidemill_consumers.core.trust import (
    Claim,
    Seals,
    disproven,
    examine,
    is_marked,
    is_proven,
    is_staged,
    of_stage,
    unproven,
)

MAX_TRIED = 20_000
"""Keys tried for a batch's signatures, before no further record is begun: some two seconds' work."""

RENEWAL_SECONDS = 60.0
"""Seconds from one reading of the secret until a seal that does not hold has it read again."""

MOST_AGE_SECONDS = 3600.0
"""Seconds after which the secret is read again before anything is sealed with it."""

log = logging.getLogger(__name__)

NO_REGISTRY = "signed, but this application has no registry of devices"


class StoredSeals(Seals):
    """Seals of a secret that is stored elsewhere and may be changed there while the function's environment lives.

    A changed secret, `new,old`, reaches each environment by itself: the first seal of `new` that an environment meets
    does not hold, so the secret is read again. What cannot be read leaves the secret as it was.

    Args:
        stream: the stream's name.
        read: reads the setting: secrets with commas between.
        clock: seconds.

    Raises:
        ValueError: the setting is empty, or one of its secrets is too short.
        Exception: whatever `read` raised.
    """

    def __init__(self, stream: str, read: Callable[[], str], clock: Callable[[], float] = monotonic) -> None:
        super().__init__(stream, read().split(","))
        self._read = read
        self._clock = clock
        self._read_at = clock()

    def seal(self, request: Request) -> Request:
        """The request with the application's seal, by a secret that is not older than an hour."""
        self._renew(MOST_AGE_SECONDS)
        return super().seal(request)

    def hold(self, request: Request, stream: str = "") -> bool:
        """Whether the request's `sig` is the application's seal for that stream, by the secret as it is now."""
        if super().hold(request, stream):
            return True
        return request.sig is not None and self._renew(RENEWAL_SECONDS) and super().hold(request, stream)

    def _renew(self, age: float) -> bool:
        """Read the secret again if it was read so long ago; returns whether it was read."""
        if self._clock() - self._read_at < age:
            return False
        self._read_at = self._clock()
        try:
            self._secrets = Seals(self._stream, self._read().split(","))._secrets
        except Exception as error:  # not the secret's text: an error of a service has none of it
            log.warning("cannot read the application's secret again: %s", error)
            return False
        return True


@dataclass(frozen=True, slots=True)
class Trust:
    """The registry and secrets that prove clients; by default there are none, so signed requests are quarantined.

    Attributes:
        stream: the name of the application's own stream. A signature is for the stream that its request came by, and
            for this one if it came by HTTP.
        devices: the registry.
        seals: the application's seals, if it has a secret.
    """

    stream: str = ""
    devices: Devices | None = None
    seals: Seals | None = None

    def verified(self, arrivals: Sequence[Arrival], is_of_stage: bool = False) -> Sequence[Arrival]:
        """The arrivals; signed or sealed ones have their proof, and so have those of the analytics stage.

        If examining all is more work than one delivery can do, only the first ones are returned, and the others must be
        delivered again. Each delivery does some: no record needs more than its own signatures, and reading the registry
        goes on where it ended.

        Args:
            arrivals: requests of one stream.
            is_of_stage: whether it is the stream that the stage alone may put to.

        Raises:
            Unloadable, ClientError, BotoCoreError: the registry cannot be read; the batch must be delivered again.
        """
        seals = self.seals
        staged = [place for place, one in enumerate(arrivals) if is_staged(one.request)]
        # A usual batch has no signed request, and needs nothing more.
        if seals is None:
            marked = [place for place, one in enumerate(arrivals) if one.request.sig is not None]
        else:
            marked = [place for place, one in enumerate(arrivals) if is_marked(one.request)]
        if not marked and not staged:
            return arrivals
        looked_at = list(arrivals)
        for place in staged:
            looked_at[place] = of_stage(arrivals[place], is_of_stage)
        marked = [place for place in marked if not is_staged(arrivals[place].request)]
        claims: dict[int, Claim] = {}
        for place in marked:
            examined = examine(arrivals[place], arrivals[place].stream or self.stream, seals)
            if isinstance(examined, Claim):
                claims[place] = examined
            else:
                looked_at[place] = examined
        settled = self._settled(claims)
        for place, arrival in settled.items():
            looked_at[place] = arrival
        until = next((place for place in claims if place not in settled), len(looked_at))
        return looked_at[:until]

    def _settled(self, claims: Mapping[int, Claim]) -> dict[int, Arrival]:
        if self.devices is None:
            return {place: unproven(claim.arrival, NO_REGISTRY) for place, claim in claims.items()}
        try:
            return _settled(claims, self.devices)
        except SigningUnavailable as problem:
            # A signed request must not stop the shard of an application that does not expect any.
            return {place: unproven(claim.arrival, str(problem)) for place, claim in claims.items()}


def _settled(claims: Mapping[int, Claim], devices: Devices) -> dict[int, Arrival]:
    """The arrivals of the examined claims, by place: all claims up to some place."""
    clients = dict.fromkeys(claim.client for claim in claims.values())
    remembered = devices.known(clients)
    known = remembered | devices.read(client for client in clients if client not in remembered)
    settled: dict[int, Arrival] = {}
    doubted: dict[int, Claim] = {}
    for place, claim in _affordable(claims, known):
        keys = known[claim.client]
        if is_proven(claim, keys.keys):
            settled[place] = claim.proven
        elif claim.client in remembered and not keys.overfull:
            doubted[place] = claim
        else:
            settled[place] = disproven(claim, *keys)
    return settled | _settled_anew(doubted, known, devices)


def _affordable(claims: Mapping[int, Claim], known: Mapping[str, Keys]) -> Iterator[tuple[int, Claim]]:
    tried = 0
    record = None
    for place, claim in claims.items():
        of = claim.arrival.position.sequence
        if claim.client not in known or (tried > MAX_TRIED and of != record):
            return
        record = of
        tried += len(known[claim.client].keys)
        yield place, claim


def _settled_anew(doubted: Mapping[int, Claim], known: Mapping[str, Keys], devices: Devices) -> dict[int, Arrival]:
    """The arrivals of claims that no cached key proved, with keys read anew: one may have been registered since."""
    fresh = devices.read(claim.client for claim in doubted.values())
    settled: dict[int, Arrival] = {}
    for place, claim in doubted.items():
        if (keys := fresh.get(claim.client)) is not None:
            new = [key for key in keys.keys if key not in known[claim.client].keys]
            settled[place] = claim.proven if is_proven(claim, new) else disproven(claim, *keys)
    return settled
