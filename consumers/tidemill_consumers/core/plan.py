"""What a batch wants done: its requests by key, each key's folded over its entity into one write.

Room: core. Pure: the same arrivals over the same entities give the same plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from tidemill_consumers.core.batch import UNLIMITED, Arrival, Entity, Plan, Position, Rules, Time, Write
from tidemill_consumers.core.calling.asking import Watch
from tidemill_consumers.core.folding.fold import MOST_QUARANTINED, fold

MOST_EMITTING = 2_000
"""Requests of a plan whose follow-up requests leave before the rest is begun."""


def plan(
    arrivals: Sequence[Arrival],
    entities: Mapping[str, Entity],
    rules: Rules,
    retention: float,
    watch: Watch | None = None,
    time: Time = UNLIMITED,
) -> Plan:
    """The plan of a batch.

    Args:
        arrivals: the batch's requests, in stream order and all of one shard.
        entities: by key; a key that is missing has no item yet.
        rules: command to rule.
        retention: seconds that the stream keeps a record; a shard last seen before that can be forgotten.
        watch: is told which arrival a rule is at work on; by default nobody looks.
        time: once it is over, no other arrival is begun, but for the first of all: something is always done.
    """
    made: list[Write] = []
    quarantined = emitting = 0
    for write in writes(arrivals, entities, rules, retention, watch or Watch(), time):
        made.append(write)
        quarantined += len(write.quarantine)
        emitting += len(write.emits)
        if time.is_over or quarantined >= MOST_QUARANTINED or emitting >= MOST_EMITTING:
            return Plan(tuple(made), not_begun(arrivals, {write.key for write in made}))
    return Plan(tuple(made))


def not_begun(arrivals: Iterable[Arrival], planned: Container[str]) -> dict[str, Position]:
    """The keys that were not planned, with their first position."""
    first: dict[str, Position] = {}
    for arrival in arrivals:
        if arrival.key not in planned:
            first.setdefault(arrival.key, arrival.position)
    return first


def writes(
    arrivals: Sequence[Arrival],
    entities: Mapping[str, Entity],
    rules: Rules,
    retention: float,
    watch: Watch,
    time: Time = UNLIMITED,
) -> Iterator[Write]:
    """The plan's writes, one after another as they are made: a key's rules are at work before its write comes.

    Once the time is over, of each key that is asked for still, its first arrival alone is taken.
    """
    by_key: defaultdict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_key[arrival.key].append(arrival)
    for key, of_key in by_key.items():
        yield fold(entities.get(key) or Entity(key), of_key, rules, retention, watch, time)
