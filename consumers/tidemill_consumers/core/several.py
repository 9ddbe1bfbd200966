"""Several streams that feed one entity: what each may still have to say is kept from the others.

Room: core. Pure.

A key's batches of one stream come one after the other, so what a batch leaves on an entity can go with the next. Two
streams' batches come at the same time: the next of one must leave what the other may still be asked for. So outcomes
name their streams there, and each stream's are displaced by its own only. A request that came by two, for it was
redriven, has one outcome, which both may be asked for.
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
"""Without a call: each entity of a batch is asked, and shards come again and again."""


def has_other_streams(entity: Entity, shard: str) -> bool:
    """Whether requests of other streams than the shard's have changed the entity."""
    return not {_stream_of(shard)}.issuperset(map(_stream_of, entity.marks))


def with_streams(entity: Entity, shard: str) -> Entity:
    """The entity, each of its outcomes with a stream: those from before there were several are of the one there was."""
    stream = stream_of_shard(shard)
    others = {name: mark for name, mark in entity.marks.items() if stream_of_shard(name) != stream}
    latest = max(others, key=lambda name: others[name].arrived)
    return replace(entity, recent=of_stream(entity.recent, stream_of_shard(latest)))


def room_beside_others(entity: Entity, shard: str) -> int:
    """Bytes of outcomes and follow-up requests that a write may leave, so that the others' are still kept."""
    stream = stream_of_shard(shard)
    others = [text for text in entity.recent.values() if streams_of(text) != {stream}]
    emits = [one for one in entity.emits if stream_of_shard(one.shard) != stream]
    # The last request's may go beyond: its answer, and all that it emits.
    return MAX_RECENT_BYTES - 2 * MAX_EMIT_BYTES - bytes_of_all(others) - sum(map(kept_bytes, emits))


def displaced(recent: Mapping[str, str], shard: str, marks: Mapping[str, Mark], most: int) -> list[tuple[str, str]]:
    """The outcomes that a write of the shard's stream leaves of earlier ones.

    At most `most` of the stream's own stay, as many of those that other streams may be asked for as well, and all that
    only other streams may be asked for.
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
