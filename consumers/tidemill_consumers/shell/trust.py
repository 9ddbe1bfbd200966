"""Whose requests they are: signatures and seals, looked at as a batch comes in.

Room: shell. What is proven by what is core/trust.py's; this reads the keys that it takes, once for the whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidemill.signature import SigningUnavailable
from tidemill_consumers.core.batch import Arrival
from tidemill_consumers.core.trust import Claim, Seals, examine, is_marked, settle, unproven
from tidemill_consumers.shell.devices import Devices

NO_REGISTRY = "signed, but this application has no registry of devices"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom the application trusts: nobody by default, so that signed requests are quarantined.

    Attributes:
        stream: the stream's name, which signatures are for.
        devices: the registry.
        seals: the application's own, if it has a secret.
    """

    stream: str = ""
    devices: Devices | None = None
    seals: Seals | None = None

    def verified(self, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
        """The arrivals, those that are signed or sealed with what that proves.

        Raises:
            Unloadable, ClientError, BotoCoreError: the registry cannot be read; the batch must be delivered again.
        """
        seals = self.seals
        # Nothing more is done of a batch in which nothing is signed: that is the usual one.
        if seals is None:
            marked = [place for place, one in enumerate(arrivals) if one.request.sig is not None]
        else:
            marked = [place for place, one in enumerate(arrivals) if is_marked(one.request)]
        if not marked:
            return arrivals
        looked_at = list(arrivals)
        claims: dict[int, Claim] = {}
        for place in marked:
            examined = examine(arrivals[place], self.stream, seals)
            if isinstance(examined, Claim):
                claims[place] = examined
            else:
                looked_at[place] = examined
        for place, arrival in self._settled(claims).items():
            looked_at[place] = arrival
        return looked_at

    def _settled(self, claims: Mapping[int, Claim]) -> dict[int, Arrival]:
        if self.devices is None:
            return {place: unproven(claim.arrival, NO_REGISTRY) for place, claim in claims.items()}
        try:
            return _settled(claims, self.devices)
        except SigningUnavailable as problem:
            # Whoever signs must not stop the shard of an application that does not expect it.
            return {place: unproven(claim.arrival, str(problem)) for place, claim in claims.items()}


def _settled(claims: Mapping[int, Claim], devices: Devices) -> dict[int, Arrival]:
    clients = dict.fromkeys(claim.client for claim in claims.values())
    remembered = devices.known(clients)
    keys = remembered | devices.read(client for client in clients if client not in remembered)
    settled = {place: settle(claim, keys.get(claim.client, ())) for place, claim in claims.items()}
    # A key may have been registered after its client's others were read.
    doubted = {
        place: claim
        for place, claim in claims.items()
        if claim.client in remembered and settled[place] is not claim.proven
    }
    fresh = devices.read(claim.client for claim in doubted.values())
    return settled | {place: settle(claim, fresh.get(claim.client, ())) for place, claim in doubted.items()}
