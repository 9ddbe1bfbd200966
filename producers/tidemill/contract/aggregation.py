"""The KPL aggregated record: many user records as the bytes of one Kinesis record.

Room: contract. No I/O: values in, bytes out, and back. An aggregate is read whole or refused.
"""

from collections.abc import Iterable
from functools import partial
from hashlib import md5
from typing import TypeAlias

import msgspec

from tidemill.contract.memo import Memo

MAGIC = b"\xf3\x89\x9a\xc2"
"""The first four bytes of every aggregated record."""

EMPTY_BYTES = len(MAGIC) + 16
"""Size of an aggregate before its first user record: the magic and the MD5 at the end."""

# The tags of the format's fields: field number << 3 | wire type (0 varint, 2 length-delimited).
# https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md and
# https://protobuf.dev/programming-guides/encoding/
_KEY_ENTRY, _HASH_KEY_ENTRY, _RECORD = 0x0A, 0x12, 0x1A
_KEY_INDEX, _HASH_KEY_INDEX, _DATA, _RECORD_TAG = 0x08, 0x10, 0x1A, 0x22
_TAG_KEY, _TAG_VALUE = 0x0A, 0x12
_VARINT, _FIXED64, _DELIMITED, _GROUP, _GROUP_END, _FIXED32 = range(6)
_MAX_FIELD = 2**29 - 1


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


def unpack(data: bytes) -> list[UserRecord]:
    """The user records of the aggregate, in their order.

    Reads what any protobuf writer may have written: fields in any order, the last of a repeated one, fields
    it does not know (skipped, as are the tags of a record). An aggregate inside an aggregate is refused: its
    records would have no place (sequence, sub-sequence) of their own in the stream.

    Raises:
        CorruptAggregate: anything else, such as a wrong MD5, an index outside its table, no records.
    """
    return list(map(UserRecord, *unpack_columns(data)))


def unpack_columns(data: bytes) -> Columns:
    """An aggregate's records as three columns, keys, data and hash keys: for many, in less time than `unpack`.

    Raises:
        CorruptAggregate: as `unpack` does.
    """
    body = _verified(data)
    try:
        columns = _read_usual(body) or _read_any(body)
    except IndexError:
        raise CorruptAggregate("an index or a length points outside") from None
    except UnicodeDecodeError:
        raise CorruptAggregate("a text is not UTF-8") from None
    _, payloads, _ = columns
    if not payloads:
        raise CorruptAggregate("no records")
    if MAGIC in body and any(map(is_aggregate, payloads)):
        raise CorruptAggregate("an aggregate inside an aggregate")
    return columns


# ---- writing


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _head(tag: int, number: int) -> bytes:
    return bytes([tag]) + _varint(number)


_key_entry_head = Memo(partial(_head, _KEY_ENTRY))
_hash_key_entry_head = Memo(partial(_head, _HASH_KEY_ENTRY))
_key_index = Memo(partial(_head, _KEY_INDEX))
_hash_key_index = Memo(partial(_head, _HASH_KEY_INDEX))

_Frame: TypeAlias = tuple[bytes, bytes, int]
"""What stands before a record's indexes and behind them, and the size of all of it, indexes and data included."""

_Place: TypeAlias = tuple[bytes, Memo[int, _Frame]]
"""A record's indexes, and the frames around indexes of that length, by the size of the data."""


def _frame(indexes: int, size: int) -> _Frame:
    data_head = _head(_DATA, size)
    inside = indexes + len(data_head) + size
    record_head = _head(_RECORD, inside)
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


# ---- reading

_Found = tuple[int, int | None, bytes]
"""A record as it was found: indexes of its key and hash key, its data."""


def _verified(data: bytes) -> bytes:
    if not data.startswith(MAGIC):
        raise CorruptAggregate("it does not begin with the magic")
    if len(data) <= EMPTY_BYTES:
        raise CorruptAggregate(f"{len(data)} bytes hold no record")
    body = data[len(MAGIC) : -16]
    if md5(body, usedforsecurity=False).digest() != data[-16:]:
        raise CorruptAggregate("the MD5 does not match")
    return body


def _read_usual(body: bytes) -> Columns | None:
    """The records, if the body is as the known writers write it, byte for byte; None if it is not.

    That is: tables first, then records of key index, hash key index if any, data, in short numbers. `_read_any` would
    give the same, after more calls.
    """
    keys: list[str] = []
    hash_keys: list[str] = []
    position, end = 0, len(body)
    found: Columns = ([], [], [])
    add_key, add_data, add_hash_key = found[0].append, found[1].append, found[2].append
    try:
        for tag, table in ((_KEY_ENTRY, keys), (_HASH_KEY_ENTRY, hash_keys)):
            while body[position] == tag:
                size = body[position + 1]
                position += 2
                if size > 0x7F:
                    high = body[position]
                    if high > 0x7F:
                        return None
                    size += (high - 1) << 7
                    position += 1
                stop = position + size
                table.append(body[position:stop].decode())
                position = stop
        while position < end:
            head = _heads[body[position : position + _HEAD_BYTES]]
            if head is None:
                return None
            key, hash_key, start, stop = head
            add_key(keys[key])
            add_data(body[position + start : position + stop])
            add_hash_key(None if hash_key is None else hash_keys[hash_key])
            position += stop
    except IndexError:
        return None
    return found if position == end else None


_HEAD_BYTES = 11
"""What stands before the data of a record, if its numbers have two bytes each and that of its hash key one."""


def _read_head(head: bytes) -> tuple[int, int | None, int, int] | None:
    """A record's indexes of its key and hash key, and where its data begins and ends, from its first bytes.

    None if it is not as usual.
    """
    try:
        if head[0] != _RECORD:
            return None
        size, position = _read_short(head, 1)
        end = position + size
        if head[position] != _KEY_INDEX:
            return None
        key, position = _read_short(head, position + 1)
        hash_key = None
        if head[position] == _HASH_KEY_INDEX:
            hash_key, position = _read_short(head, position + 1)
        if head[position] != _DATA:
            return None
        size, position = _read_short(head, position + 1)
    except (IndexError, CorruptAggregate):
        return None
    return (key, hash_key, position, end) if position + size == end else None


_heads = Memo(_read_head)
"""Heads repeat, and so does what stands behind a short one: JSON begins alike."""


def _read_any(body: bytes) -> Columns:
    keys: list[str] = []
    hash_keys: list[str] = []
    found: list[_Found] = []
    position, end = 0, len(body)
    while position < end:
        tag, position = _read_short(body, position)
        if tag in (_KEY_ENTRY, _HASH_KEY_ENTRY, _RECORD):
            field, position = _read_bytes(body, position)
            if tag == _RECORD:
                found.append(_read_record(field))
            else:
                (keys if tag == _KEY_ENTRY else hash_keys).append(field.decode())
        else:
            position = _skip(body, position, tag, known=3)
    return (
        [keys[key] for key, _, _ in found],
        [data for _, _, data in found],
        [None if hash_key is None else hash_keys[hash_key] for _, hash_key, _ in found],
    )


def _read_record(record: bytes) -> _Found:
    key = hash_key = data = None
    position, end = 0, len(record)
    while position < end:
        tag, position = _read_short(record, position)
        if tag == _KEY_INDEX:
            key, position = _read_varint(record, position)
        elif tag == _HASH_KEY_INDEX:
            hash_key, position = _read_varint(record, position)
        elif tag == _DATA:
            data, position = _read_bytes(record, position)
        elif tag == _RECORD_TAG:
            field, position = _read_bytes(record, position)
            _check_tag(field)
        else:
            position = _skip(record, position, tag, known=4)
    if key is None or data is None:
        raise CorruptAggregate("a record without its key or its data")
    return key, hash_key, data


def _check_tag(field: bytes) -> None:
    """Nobody wants the tags of records, but a broken one is damage."""
    has_key = False
    position, end = 0, len(field)
    while position < end:
        tag, position = _read_short(field, position)
        if tag in (_TAG_KEY, _TAG_VALUE):
            text, position = _read_bytes(field, position)
            text.decode()
            has_key |= tag == _TAG_KEY
        else:
            position = _skip(field, position, tag, known=2)
    if not has_key:
        raise CorruptAggregate("a tag without its key")


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and where the next field begins."""
    byte = body[position]
    if byte < 0x80:
        return byte, position + 1
    number = byte & 0x7F
    for shift in range(7, 70, 7):
        position += 1
        byte = body[position]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> 64:
                break
            return number, position + 1
    raise CorruptAggregate("a number of more than 64 bits")


def _read_short(body: bytes, position: int) -> tuple[int, int]:
    """As `_read_varint`, for tags and lengths, which have at most five bytes."""
    number, behind = _read_varint(body, position)
    if behind - position > 5:
        raise CorruptAggregate("a tag or a length of more than 32 bits")
    return number, behind


def _read_bytes(body: bytes, position: int) -> tuple[bytes, int]:
    size, position = _read_short(body, position)
    stop = position + size
    if stop > len(body):
        raise CorruptAggregate("a field is cut off")
    return body[position:stop], stop


def _skip(body: bytes, position: int, tag: int, known: int) -> int:
    """Where the next field begins, after one that is not ours: its number must be above `known`."""
    number, wire = tag >> 3, tag & 7
    if not known < number <= _MAX_FIELD:
        raise CorruptAggregate(f"field {number} has wire type {wire}")
    if wire == _VARINT:
        return _read_varint(body, position)[1]
    if wire == _DELIMITED:
        return _read_bytes(body, position)[1]
    if wire == _GROUP:
        return _skip_group(body, position, number)
    if wire not in (_FIXED32, _FIXED64):
        raise CorruptAggregate(f"field {number} has wire type {wire}")
    position += 4 if wire == _FIXED32 else 8
    if position > len(body):
        raise CorruptAggregate("a field is cut off")
    return position


def _skip_group(body: bytes, position: int, number: int) -> int:
    """Where the group ends; groups may stand in groups, so a stack and no recursion."""
    open_groups = [number]
    while open_groups:
        tag, position = _read_short(body, position)
        if tag & 7 == _GROUP:
            open_groups.append(tag >> 3)
        elif tag & 7 == _GROUP_END:
            if open_groups.pop() != tag >> 3:
                raise CorruptAggregate("a group ends that never began")
        else:
            position = _skip(body, position, tag, known=0)
    return position
