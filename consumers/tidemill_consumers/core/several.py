"""Entities fed by several streams: each stream's outcomes are kept from being dropped by the others.

Room: core. Pure.

A key's batches of one stream come one after another, so the outcomes that a batch leaves on an entity can be dropped by
the next. Batches of two streams may come at the same time: one stream must not drop outcomes that the other may still
need. So the outcomes of such entities name their streams, and only newer ones of its stream displace an outcome. A
redriven request may come by two streams; it has one outcome, which both may need.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from tidemill.contract.memo import Memo
from tidemill_consumers.core.batch import Entity, Mark
from tidemill_consumers.core.emits import MAX_EMIT_BYTES, kept_bytes
from tidemill_consumers.core.fitting import MAX_RECENT_BYTES
from tidemill_consumers.core.outcomes import bytes_of_all, of_stream, streams_of
from tidemill_consumers.core.streams import stream_of_shard

_stream_of = Memo(stream_of_shard).__getitem__
"""A memo, because each entity of a batch asks for the same few shards."""


def has_other_streams(entity: Entity, shard: str) -> bool:
    """Whether requests of a stream other than the shard's have changed the entity."""
    return not {_stream_of(shard)}.issuperset(map(_stream_of, entity.marks))


def with_streams(entity: Entity, shard: str) -> Entity:
    """The entity with a stream in each outcome: outcomes without one get the latest other stream, once the only one."""
    stream = stream_of_shard(shard)
    others = {name: mark for name, mark in entity.marks.items() if stream_of_shard(name) != stream}
    latest = max(others, key=lambda name: others[name].arrived)
    return replace(entity, recent=of_stream(entity.recent, stream_of_shard(latest)))


def room_beside_others(entity: Entity, shard: str) -> int:
    """Bytes of outcomes and follow-up requests that a write may leave without displacing those of other streams."""
    stream = stream_of_shard(shard)
    others = [text for text in entity.recent.values() if streams_of(text) != {stream}]
    emits = [one for one in entity.emits if stream_of_shard(one.shard) != stream]
    # The last request may exceed this by its answer and its follow-up requests.
    return MAX_RECENT_BYTES - 2 * MAX_EMIT_BYTES - bytes_of_all(others) - sum(map(kept_bytes, emits))


def displaced(recent: Mapping[str, str], shard: str, marks: Mapping[str, Mark], most: int) -> list[tuple[str, str]]:
    """The earlier outcomes that remain after a write of the shard's stream.

    These are at most `most` of the stream's own, at most `most` that it shares with other streams, and all of other
    streams alone.
    """
    stream = stream_of_shard(shard)
    live = {stream_of_shard(one) for one in marks} - {stream}
    own: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    foreign: list[tuple[str, str]] = []
    for one in recent.items():
        names = streams_of(one[1])
        kind = own if not names & live else shared if stream in names else foreign
        kind.append(one)
    return [*own[-most:], *shared[-most:], *foreign]


def streams_of_all(recent: Mapping[str, str], ids: Collection[str]) -> frozenset[str]:
    """The streams of some of the outcomes."""
    return frozenset[str]().union(*[streams_of(recent[one]) for one in ids])
