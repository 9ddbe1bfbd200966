"""Damages sound aggregates and holds what is read of them against protobuf's own reader.

A mutant is refused, or read whole: as protobuf reads it, every record of it. One whose MD5 does not match is refused,
whatever it holds. Nothing but CorruptAggregate is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5
from random import Random

from aws_kinesis_agg.aggregator import messages_pb2
from google.protobuf.message import DecodeError

from tidemill.contract.aggregation import EMPTY_BYTES, MAGIC, CorruptAggregate, UserRecord, unpack

MUTANTS = 1_000_000
PROGRESS = 100_000
BASES = 200
"""Sound aggregates that are damaged."""

KEYS = ("a", "content/42", "ключ", "🗝" * 40, "k" * 128, "\x00", "user/7")
UNKNOWN = (b"\x20\x07", b"\x2a\x02hi", b"\x23\x08\x01\x24")
"""Fields 4 and 5: a number, bytes, a group."""
NUMBERS = (0, 1, 2, 3, 8, 0x0A, 0x12, 0x1A, 0x7F, 0x80, 0x3FFF, 0x4000, 2**31, 2**32, 2**63, 2**64 - 1, 2**64, 2**70)


class Wrong(Exception):
    """A mutant that was read as it must not be."""


@dataclass(frozen=True)
class Count:
    """What became of mutants."""

    mutants: int = 0
    read: int = 0


# ── Sound aggregates ─────────────────────────────────────────────────────────────────────────────────────────


def sound(chance: Random) -> bytes:
    """The body of an aggregate as any writer may have made it: hash keys, tags, fields that nobody knows, any order."""
    keys = chance.sample(KEYS, chance.randint(1, len(KEYS)))
    hash_keys = [str(chance.getrandbits(128)) for _ in range(chance.choice((0, 0, 1, 3)))]
    count = chance.choice((1, 2, 3, 8, 8, 150))
    fields = [messages_pb2.AggregatedRecord(partition_key_table=[key]) for key in keys]
    fields += [messages_pb2.AggregatedRecord(explicit_hash_key_table=[one]) for one in hash_keys]
    fields += [messages_pb2.AggregatedRecord(records=[record(chance, keys, hash_keys)]) for _ in range(count)]
    parts = [field.SerializeToString() for field in fields]  # messages one after another are one message
    if chance.random() < 0.3:
        chance.shuffle(parts)
    return b"".join(parts) + (b"" if chance.random() < 0.8 else chance.choice(UNKNOWN))


def record(chance: Random, keys: Sequence[str], hash_keys: Sequence[str]) -> messages_pb2.Record:
    """A record of one of the keys."""
    made = messages_pb2.Record(
        partition_key_index=chance.randrange(len(keys)),
        data=chance.randbytes(chance.choice((0, 1, 5, 30, 127, 128, 200))),
    )
    if hash_keys and chance.random() < 0.7:
        made.explicit_hash_key_index = chance.randrange(len(hash_keys))
    if chance.random() < 0.1:
        made.tags.add(key="tag", value="value")
    return made


def sealed(body: bytes) -> bytes:
    """The aggregate with that body."""
    return MAGIC + body + md5(body).digest()


# ── Damage ───────────────────────────────────────────────────────────────────────────────────────────────────


def flip(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    """Some bits are others."""
    flipped = bytearray(data)
    for _bit in range(chance.randint(1, 3)):
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(flipped)


def cut(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    """A piece is missing, often the end."""
    start = chance.randrange(len(data))
    stop = len(data) if chance.random() < 0.5 else start + chance.randint(1, 8)
    return data[:start] + data[stop:]


def insert(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    """Some bytes stand between the others."""
    start = chance.randint(0, len(data))
    return data[:start] + chance.randbytes(chance.randint(1, 8)) + data[start:]


def splice(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    """It goes on as another one, or as itself from elsewhere."""
    other = chance.choice((data, chance.choice(others)))
    return data[: chance.randint(0, len(data))] + other[chance.randint(0, len(other)) :]


def renumber(data: bytes, chance: Random, _: Sequence[bytes]) -> bytes:
    """Instead of a byte there is another number, in as many bytes as that takes, or in more."""
    start = chance.randrange(len(data))
    return data[:start] + varint(chance.choice(NUMBERS), chance.choice((0, 0, 1, 3, 12))) + data[start + 1 :]


def varint(number: int, padding: int) -> bytes:
    """The number, in `padding` more bytes than it takes."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F)
    groups += [0] * padding
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


DAMAGE: Sequence[Callable[[bytes, Random, Sequence[bytes]], bytes]] = (flip, cut, insert, splice, renumber)


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Damaged aggregates; most are sealed again, so that only what is in them can give them away."""
    chance = Random(seed)
    bases = [sound(chance) for _ in range(BASES)]
    for _ in range(count):
        body = chance.choice(bases)
        seal = chance.random() < 0.8
        data = body if seal else sealed(body)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            data = chance.choice(DAMAGE)(data, chance, bases) or b"\x00"
        yield sealed(data) if seal else data


# ── Judgement ────────────────────────────────────────────────────────────────────────────────────────────────


def check(count: int, seed: int, said: Callable[[Count], None] = lambda _: None) -> Count:
    """How many mutants there were and how many were read.

    Raises:
        Wrong: one was not read as it should be.
    """
    read = 0
    for number, data in enumerate(mutants(seed, count), 1):
        read += is_read(data)
        if number % PROGRESS == 0:
            said(Count(number, read))
    return Count(count, read)


def is_read(data: bytes) -> bool:
    """Whether it is read, which is then right.

    Raises:
        Wrong: it is not.
    """
    try:
        found = unpack(data)
    except CorruptAggregate:
        return False
    except Exception as error:
        raise Wrong(f"{error!r} comes of {data.hex()}") from error
    if found != read_by_protobuf(data):
        raise Wrong(f"other records than protobuf's come of {data.hex()}")
    return True


def read_by_protobuf(data: bytes) -> list[UserRecord] | None:
    """What protobuf reads, with the checks that are not its own; None if it reads nothing."""
    body = data[len(MAGIC) : -16]
    if len(data) < EMPTY_BYTES or not data.startswith(MAGIC) or md5(body).digest() != data[-16:]:
        return None
    try:
        aggregate = messages_pb2.AggregatedRecord.FromString(body)
        return [
            UserRecord(
                aggregate.partition_key_table[one.partition_key_index],
                one.data,
                aggregate.explicit_hash_key_table[one.explicit_hash_key_index]
                if one.HasField("explicit_hash_key_index")
                else None,
            )
            for one in aggregate.records
        ]
    except (DecodeError, IndexError):
        return None
