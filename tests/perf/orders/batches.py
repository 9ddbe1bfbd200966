"""The batches of orders: keys that are as popular as Zipf says, or that come once each; many writers, and clients."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from random import Random

from tests.perf.orders.rules import CHANGE, change_of
from tests.perf.workload import ARRIVED, SEED, aggregated_event, key_of, keys, plain_event
from tidemill.contract.request import Request, encode
from tidemill.sending.writer import uuid7
from tidemill_consumers.codec.events import KinesisEvent

WRITERS = 200
NEW = 10**9
"""Orders from here on are in the table only once a request has come for them."""

PLAIN, AGGREGATED = 10_000, 12_000
"""As many as a batch may have, or 6 MB of aggregates hold."""


@dataclass(frozen=True)
class Batch:
    """A batch's keys and its events, of which each measured function gets its own."""

    keys: tuple[str, ...]
    event: KinesisEvent


@dataclass(frozen=True)
class Orders:
    """Requests one after another.

    Attributes:
        is_unique: whether each key comes once, of an order that is not in the table yet.
        clients: how many different clients ask, and are answered; 0 if requests name none.
    """

    is_unique: bool
    clients: int

    def batches(self, requests: int, is_aggregated: bool = False) -> Iterator[Batch]:
        """Batches of so many requests, each with new ones."""
        counters: Counter[str] = Counter()
        for number in count(1):
            made = self._requests(requests, number, counters)
            items = [(request.key or "", encode(request)) for request in made]
            event = aggregated_event(items, number) if is_aggregated else plain_event(items, number)
            yield Batch(tuple(key for key, _ in items), json.loads(json.dumps(event)))

    def _requests(self, requests: int, number: int, counters: Counter[str]) -> list[Request]:
        random = Random(SEED + number)
        at = round(ARRIVED * 1000)
        made = []
        for key in self._keys(requests, number):
            writer = f"phone-{random.randrange(WRITERS):07}"
            counters[writer] += 1
            made.append(
                Request(
                    id=uuid7(at, random.getrandbits(74)),
                    cmd=CHANGE,
                    key=key,
                    client=f"client-{random.randrange(self.clients):06}" if self.clients else None,
                    writer=writer,
                    counter=counters[writer],
                    at=at,
                    data=change_of(random),
                )
            )
        return made

    def _keys(self, requests: int, number: int) -> list[str]:
        if not self.is_unique:
            return keys(requests, number)
        return [key_of(NEW + number * requests + place) for place in range(requests)]
