"""The KPL aggregated record: its magic, its fields' tags, and what it holds.

Room: contract. No I/O. Tests: tests/producers/tidemill/contract/test_aggregation.py.

The bytes are `MAGIC`, a protobuf message, and the MD5 of that message. The message has a table of partition keys, a
table of explicit hash keys, and the records, which name their keys by index.
"""

from typing import TypeAlias

import msgspec

MAGIC = b"\xf3\x89\x9a\xc2"
"""The first four bytes of every aggregated record."""

EMPTY_BYTES = len(MAGIC) + 16
"""Size of an aggregate before its first user record: the magic and the MD5 at the end."""

# The tags of the format's fields: field number << 3 | wire type.
# https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
KEY_ENTRY, HASH_KEY_ENTRY, RECORD = 0x0A, 0x12, 0x1A
KEY_INDEX, HASH_KEY_INDEX, DATA, RECORD_TAG = 0x08, 0x10, 0x1A, 0x22
TAG_KEY, TAG_VALUE = 0x0A, 0x12


class UserRecord(msgspec.Struct, frozen=True, gc=False):
    """One user record.

    Attributes:
        key: the partition key its sender gave it.
        data: its payload.
        hash_key: the explicit hash key, a decimal number below 2**128, or None for MD5 of the key.
    """

    key: str
    data: bytes
    hash_key: str | None = None


Columns: TypeAlias = tuple[list[str], list[bytes], list[str | None]]
"""Of user records: their keys, their data and their hash keys."""


class CorruptAggregate(ValueError):
    """Bytes that begin with the magic and are no sound aggregate; says why in one sentence."""


def is_aggregate(data: bytes) -> bool:
    """Whether `data` begins with the magic. Whether it is sound, `unpack` says."""
    return data.startswith(MAGIC)
