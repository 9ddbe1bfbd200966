"""Reading aggregates: whole, or refused with the reason.

Room: contract. No I/O: bytes in, values out. Tests: tests/producers/tidemill/contract/test_aggregation.py.
"""

from hashlib import md5

from tidemill.contract.aggregation.format import (
    DATA,
    EMPTY_BYTES,
    HASH_KEY_ENTRY,
    HASH_KEY_INDEX,
    KEY_ENTRY,
    KEY_INDEX,
    MAGIC,
    RECORD,
    RECORD_TAG,
    TAG_KEY,
    TAG_VALUE,
    Columns,
    CorruptAggregate,
    UserRecord,
    is_aggregate,
)
from tidemill.contract.aggregation.protobuf import read_bytes, read_short, read_varint, skip
from tidemill.contract.memo import Memo


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
        columns = _read_fast(body) or _read(body)
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


def _verified(data: bytes) -> bytes:
    if not data.startswith(MAGIC):
        raise CorruptAggregate("it does not begin with the magic")
    if len(data) <= EMPTY_BYTES:
        raise CorruptAggregate(f"{len(data)} bytes hold no record")
    body = data[len(MAGIC) : -16]
    if md5(body, usedforsecurity=False).digest() != data[-16:]:
        raise CorruptAggregate("the MD5 does not match")
    return body


_Found = tuple[int, int | None, bytes]
"""A record as it was found: indexes of its key and hash key, its data."""


def _read(body: bytes) -> Columns:
    """The records, whichever protobuf writer wrote them."""
    keys: list[str] = []
    hash_keys: list[str] = []
    found: list[_Found] = []
    position, end = 0, len(body)
    while position < end:
        tag, position = read_short(body, position)
        if tag in (KEY_ENTRY, HASH_KEY_ENTRY, RECORD):
            field, position = read_bytes(body, position)
            if tag == RECORD:
                found.append(_read_record(field))
            else:
                (keys if tag == KEY_ENTRY else hash_keys).append(field.decode())
        else:
            position = skip(body, position, tag, known=3)
    return (
        [keys[key] for key, _, _ in found],
        [data for _, _, data in found],
        [None if hash_key is None else hash_keys[hash_key] for _, hash_key, _ in found],
    )


def _read_record(record: bytes) -> _Found:
    key = hash_key = data = None
    position, end = 0, len(record)
    while position < end:
        tag, position = read_short(record, position)
        if tag == KEY_INDEX:
            key, position = read_varint(record, position)
        elif tag == HASH_KEY_INDEX:
            hash_key, position = read_varint(record, position)
        elif tag == DATA:
            data, position = read_bytes(record, position)
        elif tag == RECORD_TAG:
            field, position = read_bytes(record, position)
            _check_tag(field)
        else:
            position = skip(record, position, tag, known=4)
    if key is None or data is None:
        raise CorruptAggregate("a record without its key or its data")
    return key, hash_key, data


def _check_tag(field: bytes) -> None:
    """Nobody wants the tags of records, but a broken one is damage."""
    has_key = False
    position, end = 0, len(field)
    while position < end:
        tag, position = read_short(field, position)
        if tag in (TAG_KEY, TAG_VALUE):
            text, position = read_bytes(field, position)
            text.decode()
            has_key |= tag == TAG_KEY
        else:
            position = skip(field, position, tag, known=2)
    if not has_key:
        raise CorruptAggregate("a tag without its key")


def _read_fast(body: bytes) -> Columns | None:
    """The records of a body as the known writers write it, byte for byte; None of any other body.

    That is: tables first, then records of key index, hash key index if any, data, in numbers of at most two bytes. This
    gives what `_read` gives, in less than a quarter of its time (benchmark `unpack`); a property test holds them equal.
    """
    keys: list[str] = []
    hash_keys: list[str] = []
    position, end = 0, len(body)
    found: Columns = ([], [], [])
    add_key, add_data, add_hash_key = found[0].append, found[1].append, found[2].append
    try:
        for tag, table in ((KEY_ENTRY, keys), (HASH_KEY_ENTRY, hash_keys)):
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
        if head[0] != RECORD:
            return None
        size, position = read_short(head, 1)
        end = position + size
        if head[position] != KEY_INDEX:
            return None
        key, position = read_short(head, position + 1)
        hash_key = None
        if head[position] == HASH_KEY_INDEX:
            hash_key, position = read_short(head, position + 1)
        if head[position] != DATA:
            return None
        size, position = read_short(head, position + 1)
    except (IndexError, CorruptAggregate):
        return None
    return (key, hash_key, position, end) if position + size == end else None


_heads = Memo(_read_head)
"""Heads repeat, and so does what stands behind a short one: JSON begins alike."""
