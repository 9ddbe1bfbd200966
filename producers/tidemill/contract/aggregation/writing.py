"""Writing aggregates: all records at once, or record by record up to a size.

Room: contract. No I/O: values in, bytes out. Tests: tests/producers/tidemill/contract/test_aggregation.py.
"""

from collections.abc import Iterable
from functools import partial
from hashlib import md5
from typing import TypeAlias

from tidemill.contract.aggregation.format import (
    DATA,
    EMPTY_BYTES,
    HASH_KEY_ENTRY,
    HASH_KEY_INDEX,
    KEY_ENTRY,
    KEY_INDEX,
    MAGIC,
    RECORD,
    UserRecord,
    is_aggregate,
)
from tidemill.contract.memo import Memo


def pack(records: Iterable[UserRecord]) -> bytes:
    """The records as one aggregate, in their order; each distinct key is stored once.

    Raises:
        ValueError: no records, or one whose data is an aggregate: `unpack` refuses both.
    """
    keys: dict[str, int] = {}
    hash_keys: dict[str, int] = {}
    parts: list[bytes] = []
    for record in records:
        index = _key_index[keys.setdefault(record.key, len(keys))]
        if record.hash_key is not None:
            index += _hash_key_index[hash_keys.setdefault(record.hash_key, len(hash_keys))]
        before, behind, _ = _frames[len(index)][len(record.data)]
        parts += (before, index, behind, record.data)
    if not parts:
        raise ValueError("an aggregate of no records")
    packed = _sealed([*map(_key_entry, keys), *map(_hash_key_entry, hash_keys), *parts])
    if packed.find(MAGIC, len(MAGIC)) != -1 and any(map(is_aggregate, parts[3::4])):
        raise ValueError("an aggregate inside an aggregate")
    return packed


class Aggregate:
    """An aggregate that grows record by record and knows its exact packed size: `pack` in small steps.

    Args:
        hash_key: the explicit hash key that all its records share, or None for none.
    """

    __slots__ = ("_entries", "_parts", "_places", "_used", "count", "hash_key", "size")

    def __init__(self, hash_key: str | None = None) -> None:
        self.hash_key = hash_key
        self._places = _key_places if hash_key is None else _hashed_key_places
        self.clear()

    def clear(self) -> None:
        """Begins again, without records."""
        self._used: dict[str, _Place] = {}
        self._entries: list[bytes] = []
        self._parts: list[bytes] = [] if self.hash_key is None else [_hash_key_entry(self.hash_key)]
        self.count = 0
        self.size = EMPTY_BYTES + sum(map(len, self._parts))

    def append(self, key: str, data: bytes, limit: int) -> bool:
        """Adds a partition key and its data unless the packed size would pass `limit` bytes; says whether.

        The data is none that `pack` refuses: no aggregate itself.
        """
        place = self._used.get(key)
        if place is not None:
            index, frames = place
            before, behind, size = frames[len(data)]
            size += self.size
            if size > limit:
                return False
        else:
            place = index, frames = self._places[len(self._used)]
            before, behind, size = frames[len(data)]
            text = key.encode()
            head = _key_entry_head[len(text)]
            size += self.size + len(head) + len(text)
            if size > limit:
                return False
            self._used[key] = place
            self._entries += (head, text)
        self._parts += (before, index, behind, data)
        self.size = size
        self.count += 1
        return True

    def pack(self) -> bytes:
        """The aggregate, `size` bytes: what `pack` makes of the same records."""
        return _sealed([*self._entries, *self._parts])

    def release(self) -> None:
        """Lets go of the records' bytes; what they were, in number and size, stays."""
        self._used, self._entries, self._parts = {}, [], []


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _head(tag: int, number: int) -> bytes:
    return bytes([tag]) + _varint(number)


_key_entry_head = Memo(partial(_head, KEY_ENTRY))
_hash_key_entry_head = Memo(partial(_head, HASH_KEY_ENTRY))
_key_index = Memo(partial(_head, KEY_INDEX))
_hash_key_index = Memo(partial(_head, HASH_KEY_INDEX))

_Frame: TypeAlias = tuple[bytes, bytes, int]
"""What stands before a record's indexes and behind them, and the size of all of it, indexes and data included."""

_Place: TypeAlias = tuple[bytes, Memo[int, _Frame]]
"""A record's indexes, and the frames around indexes of that length, by the size of the data."""


def _frame(indexes: int, size: int) -> _Frame:
    data_head = _head(DATA, size)
    inside = indexes + len(data_head) + size
    record_head = _head(RECORD, inside)
    return record_head, data_head, len(record_head) + inside


def _place(hash_key_index: bytes, key: int) -> _Place:
    index = _key_index[key] + hash_key_index
    return index, _frames[len(index)]


_frames: Memo[int, Memo[int, _Frame]] = Memo(lambda indexes: Memo(partial(_frame, indexes)))
_key_places = Memo(partial(_place, b""))
_hashed_key_places = Memo(partial(_place, _hash_key_index[0]))


def _key_entry(key: str) -> bytes:
    text = key.encode()
    return _key_entry_head[len(text)] + text


def _hash_key_entry(hash_key: str) -> bytes:
    text = hash_key.encode()
    return _hash_key_entry_head[len(text)] + text


def _sealed(parts: list[bytes]) -> bytes:
    body = b"".join(parts)
    return b"".join((MAGIC, body, md5(body, usedforsecurity=False).digest()))
