"""Names streams and shards, so that marks tell apart the shards of different streams.

Room: core. Pure; adapters/streams.py asks Kinesis.

Every stream has a shardId-000000000000, and a stream that is deleted and created again has the same ARN and shard ids.
So a shard is named by a hash of its stream's ARN and creation time, a slash, and its id.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from msgspec.structs import replace

from tidemill_consumers.core.batch import Entity

NAME_CHARACTERS = 11
"""Characters of the hash in base64url (66 bits), short because every mark has it and items are billed by size."""

DIRECT = "direct"
"""The name that stands in a shard's place for requests by HTTP, which nothing delivers again."""

ALONE = "shardId-"
"""Prefix of shard names in old marks, which have no stream."""


class Life(NamedTuple):
    """A stream from creation to deletion: when it was created, in seconds since 1970, and its name in shards."""

    created: float
    name: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream, with the earlier streams of the same ARN.

    Attributes:
        arn: the ARN.
        lives: the known streams of the ARN, the latest first; at least one.
    """

    arn: str
    lives: tuple[Life, ...]

    @property
    def name(self) -> str:
        """The stream's name in its ARN."""
        return self.arn.rpartition("/")[2]

    def named(self, arrived: float) -> str:
        """The name of the stream on which a record arrived at that time.

        A record older than every known stream stood on a deleted one, so it gets another name.
        """
        for life in self.lives:
            if life.created <= arrived:
                return life.name
        return _hash(f"before {life_text(self.arn, self.lives[-1].created)}")

    def with_life(self, created: float) -> Stream:
        """The stream with one more known life."""
        lives = {*self.lives, life_of(self.arn, created)}
        return Stream(self.arn, tuple(sorted(lives, reverse=True)))


def stream_arn(event_source_arn: str) -> str:
    """The stream's ARN: the part of an enhanced fan-out consumer's ARN before `/consumer/`, else all of it."""
    return event_source_arn.partition("/consumer/")[0]


def life_of(arn: str, created: float) -> Life:
    """The stream with that ARN and time of creation."""
    return Life(created, _hash(life_text(arn, created)))


def life_text(arn: str, created: float) -> str:
    """An ARN and a time of creation as text, to be hashed."""
    return f"{arn} {round(created * 1000)}"


def shard_of(stream: str, shard_id: str) -> str:
    """The shard's name in marks, from its stream's name and its id."""
    return f"{stream}/{shard_id}"


def stream_of_shard(shard: str) -> str:
    """The name of the shard's stream; of a shard without one, the shard itself."""
    return shard.partition("/")[0]


def is_alone(shard: str) -> bool:
    """Whether the shard is an id without a stream, as in old marks."""
    return shard.startswith(ALONE)


def adopted(entity: Entity, own: Stream) -> Entity:
    """The entity, with its marks that name no stream turned into marks of the application's own stream.

    A mark belongs to that stream if its record arrived after the stream's creation. Other marks belong to deleted
    streams, and stay as they are until they are older than the retention.
    """
    created, stream = own.lives[0]
    names = {
        shard: shard_of(stream, shard)
        for shard, mark in entity.marks.items()
        if is_alone(shard) and mark.arrived >= created
    }
    if not names:
        return entity
    marks = {name: entity.marks[shard] for shard, name in names.items()}
    for shard, mark in entity.marks.items():
        # During a deployment, either kind of mark may have been written last.
        if shard not in names and (shard not in marks or marks[shard].position < mark.position):
            marks[shard] = mark
    emits = tuple(one._replace(shard=names.get(one.shard, one.shard)) for one in entity.emits)
    return replace(entity, marks=marks, emits=emits)


def _hash(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode()).digest()).decode()[:NAME_CHARACTERS]
