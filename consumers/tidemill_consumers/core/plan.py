"""Plans a batch: groups its requests by key, and folds each key's over its entity into one write.

Room: core. Pure: the same arrivals over the same entities give the same plan.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from tidemill_consumers.core.batch import UNLIMITED, Arrival, Entity, Plan, Position, Rules, Time, Write
from tidemill_consumers.core.calling.asking import Watch
from tidemill_consumers.core.folding.depth import EMIT_DEPTH
from tidemill_consumers.core.folding.fold import MOST_QUARANTINED, fold
from tidemill_consumers.core.folding.objects import MOST_STORED, weight_of

MOST_EMITTING = 2_000
"""Emitting requests in a plan; once there are so many, their follow-up requests leave before other keys begin."""


def plan(
    arrivals: Sequence[Arrival],
    entities: Mapping[str, Entity],
    rules: Rules,
    retention: float,
    watch: Watch | None = None,
    time: Time = UNLIMITED,
    emit_depth: int = EMIT_DEPTH,
) -> Plan:
    """The plan of a batch.

    Args:
        arrivals: the batch's requests, in stream order and all of one shard.
        entities: by key; a missing key has no item yet.
        rules: command to rule.
        retention: seconds that the stream keeps a record; marks of shards not seen for longer are dropped.
        watch: is told which arrival a rule is at work on.
        time: once it is over, no further arrival begins; the first always does.
        emit_depth: the most emits that may lead to a request.
    """
    made: list[Write] = []
    quarantined = emitting = stored = 0
    clock, until = time
    for write in writes(arrivals, entities, rules, retention, watch or Watch(), time, emit_depth):
        made.append(write)
        quarantined += len(write.quarantine)
        emitting += len(write.emits)
        if write.objects:
            stored += weight_of(write.objects)
        is_enough = quarantined >= MOST_QUARANTINED or emitting >= MOST_EMITTING or stored >= MOST_STORED
        if is_enough or clock() >= until:
            return Plan(tuple(made), not_begun(arrivals, {write.key for write in made}))
    return Plan(tuple(made))


def not_begun(arrivals: Iterable[Arrival], planned: Container[str]) -> dict[str, Position]:
    """The keys that were not planned, each with its first position."""
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
    emit_depth: int = EMIT_DEPTH,
) -> Iterator[Write]:
    """The plan's writes, lazily: a key's rules run only when its write is asked for.

    Once the time is over, each write that is still asked for takes only its key's first arrival.
    """
    by_key: defaultdict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_key[arrival.key].append(arrival)
    for key, of_key in by_key.items():
        yield fold(entities.get(key) or Entity(key), of_key, rules, retention, watch, time, emit_depth)
