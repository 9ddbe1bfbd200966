"""Which stream a record stands on: what tells its shard from another stream's in marks and names.

Room: core. Pure; asking Kinesis is adapters/streams.py's.

Every stream has a shardId-000000000000, and a stream that was deleted and made again has its ARN and its shards' ids
again. So a shard is known by a hash of its stream's ARN and creation time, and its id behind a slash.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from msgspec.structs import replace

from tidemill_consumers.core.batch import Entity

NAME_CHARACTERS = 11
"""Of the hash in base64url, 66 bits: it stands in every mark, and items are paid by their size."""

ALONE = "shardId-"
"""How the shards of marks begin that were written before shards were told apart by their streams."""


class Life(NamedTuple):
    """A stream from its creation until it is deleted: when it was created, in seconds since 1970, and its name."""

    created: float
    name: str


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream, by its ARN, with those that had the ARN before it.

    Attributes:
        arn: the stream's.
        lives: those that are known, the latest first; one at least.
    """

    arn: str
    lives: tuple[Life, ...]

    @property
    def name(self) -> str:
        """What the stream is called in its ARN."""
        return self.arn.rpartition("/")[2]

    def named(self, arrived: float) -> str:
        """The name of the one on which a record arrived at that time.

        One that is older than any that is known stood on one that is gone: its name is not the present one's.
        """
        for life in self.lives:
            if life.created <= arrived:
                return life.name
        return _hash(f"before {life_text(self.arn, self.lives[-1].created)}")

    def with_life(self, created: float) -> Stream:
        """The stream with one more of its lives known."""
        lives = {*self.lives, life_of(self.arn, created)}
        return Stream(self.arn, tuple(sorted(lives, reverse=True)))


def stream_arn(event_source_arn: str) -> str:
    """The stream's ARN, which stands before that of a consumer of its own with enhanced fan-out."""
    return event_source_arn.partition("/consumer/")[0]


def life_of(arn: str, created: float) -> Life:
    """The stream of an ARN that was created then."""
    return Life(created, _hash(life_text(arn, created)))


def life_text(arn: str, created: float) -> str:
    """An ARN and the time of its creation as text, to be hashed."""
    return f"{arn} {round(created * 1000)}"


def shard_of(stream: str, shard_id: str) -> str:
    """A shard as it is known from here on, by its stream's name and its id."""
    return f"{stream}/{shard_id}"


def stream_of_shard(shard: str) -> str:
    """The name of its stream; a shard of which none is known stands for one."""
    return shard.partition("/")[0]


def is_alone(shard: str) -> bool:
    """Whether it is an id without a stream: of a mark that is older than such names."""
    return shard.startswith(ALONE)


def adopted(entity: Entity, own: Stream) -> Entity:
    """The entity with its marks of shards' ids alone as marks of the application's own stream.

    They belong to that if their record arrived since it was created. Others belong to no stream that is there, and stay
    as they are until they are older than the retention.
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
        # While functions are replaced, either kind may have been written last.
        if shard not in names and (shard not in marks or marks[shard].position < mark.position):
            marks[shard] = mark
    emits = tuple(one._replace(shard=names.get(one.shard, one.shard)) for one in entity.emits)
    return replace(entity, marks=marks, emits=emits)


def _hash(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode()).digest()).decode()[:NAME_CHARACTERS]
