"""Protobuf's wire format, as much as is needed to read any aggregate: numbers, byte strings, unknown fields.

Room: contract. No I/O. Tests: tests/producers/tidemill/contract/test_aggregation.py.

https://protobuf.dev/programming-guides/encoding/
"""

from tidemill.contract.aggregation.format import CorruptAggregate

VARINT, FIXED64, DELIMITED, GROUP, GROUP_END, FIXED32 = range(6)
MAX_FIELD = 2**29 - 1


def read_varint(body: bytes, position: int) -> tuple[int, int]:
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


def read_short(body: bytes, position: int) -> tuple[int, int]:
    """The tag or length at `position`, of at most five bytes, and where the next field begins."""
    number, behind = read_varint(body, position)
    if behind - position > 5:
        raise CorruptAggregate("a tag or a length of more than 32 bits")
    return number, behind


def read_bytes(body: bytes, position: int) -> tuple[bytes, int]:
    """The byte string at `position` and where the next field begins."""
    size, position = read_short(body, position)
    stop = position + size
    if stop > len(body):
        raise CorruptAggregate("a field is cut off")
    return body[position:stop], stop


def skip(body: bytes, position: int, tag: int, known: int) -> int:
    """Where the next field begins, after one that is not ours: its number must be above `known`."""
    number, wire = tag >> 3, tag & 7
    if not known < number <= MAX_FIELD:
        raise CorruptAggregate(f"field {number} has wire type {wire}")
    if wire == VARINT:
        return read_varint(body, position)[1]
    if wire == DELIMITED:
        return read_bytes(body, position)[1]
    if wire == GROUP:
        return _skip_group(body, position, number)
    if wire not in (FIXED32, FIXED64):
        raise CorruptAggregate(f"field {number} has wire type {wire}")
    position += 4 if wire == FIXED32 else 8
    if position > len(body):
        raise CorruptAggregate("a field is cut off")
    return position


def _skip_group(body: bytes, position: int, number: int) -> int:
    """Where the group ends; groups may stand in groups, so a stack and no recursion."""
    open_groups = [number]
    while open_groups:
        tag, position = read_short(body, position)
        if tag & 7 == GROUP:
            open_groups.append(tag >> 3)
        elif tag & 7 == GROUP_END:
            if open_groups.pop() != tag >> 3:
                raise CorruptAggregate("a group ends that never began")
        else:
            position = skip(body, position, tag, known=0)
    return position
