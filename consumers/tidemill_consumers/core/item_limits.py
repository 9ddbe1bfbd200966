"""DynamoDB's limits for documents: one outside them would make its batch fail every time.

Room: core. Pure. Limits: the page "Constraints in Amazon DynamoDB".
"""

from __future__ import annotations

import msgspec

from tidemill.contract.request import Json

MAX_DEPTH = 30
"""DynamoDB nests 32 levels; the item and its document attribute take two."""

MAX_BYTES = 256 * 1024
"""Limit for a document, roughly. An item may have 400 KB; marks, writers and outcomes need the rest."""

MAX_NAME_BYTES = 64 * 1024 - 1
"""Limit for a key of an object, which becomes an attribute's name; it must not be empty."""

MAX_DIGITS = 38
LARGEST, SMALLEST = 9.9e125, 1e-130
TOO_LARGE, TOO_LONG = 10**126, 10**MAX_DIGITS
NUMBER = 21
"""Bytes of a number, at most."""

MAX_CLEAR_BYTES = MAX_BYTES // (NUMBER + 2)
"""Bytes of MessagePack of the largest document that is surely small enough: a number may have one byte there."""

MAX_CLEAR_PARTS = 2_000
"""Parts of a document that are looked at before the exact check is asked: one list may stand in it many times."""

SMALL, LARGE = 1e-100, 1e100
"""Numbers between these need no closer look."""

_encode = msgspec.msgpack.Encoder().encode


def unstorable(document: Json) -> str | None:
    """Why the table cannot hold the document; None if it can."""
    return None if packed_fast(document) else why_not(document)


def packed_fast(document: Json) -> bytes | None:  # noqa: C901 - a call for each part would take longer than the rest
    """The document as MessagePack, if it is surely storable; None means only that it must be looked at exactly.

    Takes half of the exact check's time; without it the benchmark `orders_unique_0` takes a tenth longer. A property
    test holds the two equal.
    """
    if type(document) is not dict:
        return None
    names: list[str] = []
    containers: list[Json] = [document]
    count = 0
    for value in containers:  # to which its parts are added
        count += len(value)
        if count > MAX_CLEAR_PARTS:
            return None
        if type(value) is dict:
            names += value
            value = value.values()
        for child in value:
            kind = type(child)
            if kind is str or kind is int:
                continue
            if kind is float:
                if not (SMALL < child < LARGE or child == 0 or -LARGE < child < -SMALL):
                    return None
            elif kind is dict or kind is list:
                containers.append(child)
            elif child is not None and kind is not bool:
                return None
    if len(containers) > MAX_DEPTH and _is_deep(document):  # so many levels have as many containers
        return None
    try:
        "".join(names)  # fails if one is not text
        packed = _encode(document)
    except (TypeError, UnicodeEncodeError, OverflowError, RecursionError):
        return None  # a key that is no text, a lone surrogate, an integer of more than 64 bits
    return packed if "" not in names and len(packed) <= MAX_CLEAR_BYTES else None


def _is_deep(document: Json) -> bool:
    """Whether a document that has not too many parts is nested too deeply."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            for child in (value.values() if type(value) is dict else value)
            if type(child) is dict or type(child) is list
        ]
    return bool(level)


def why_not(document: Json) -> str | None:
    """Why the table cannot hold the document, by an exact look at all of it; None if it can."""
    try:
        _within(_size(document, MAX_DEPTH))
    except _TooDeep:
        return f"nested deeper than {MAX_DEPTH} levels"
    except _Unstorable as problem:
        return str(problem)
    return None


def differs_in_numbers(document: Json, storable: Json) -> bool:
    """A fast check: whether a document equals a storable one except for whole numbers, and so is storable too.

    False means only that a closer look is needed.
    """
    if type(document) is not dict or type(storable) is not dict or len(document) != len(storable):
        return False
    for name, child in document.items():
        known = storable.get(name)
        if child is known and type(child) is str:
            continue
        if type(child) is not int or type(known) is not int or not -TOO_LONG < child < TOO_LONG:
            return False
    return True


def text_bytes(value: str) -> int:
    """The bytes of a text."""
    try:
        return len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise _Unstorable("a lone surrogate is not text") from None


class _Unstorable(Exception):
    pass


class _TooDeep(_Unstorable):
    pass


def _size(value: Json, levels: int) -> int:  # noqa: C901 - texts and numbers of a document without a call for each
    # Exact types, because not all of their subclasses, such as IntEnum, are written as JSON. The most frequent come
    # first, and there are no generators: a batch measures every document that its rules changed in more than numbers.
    kind = type(value)
    if kind is str:
        return len(value) if value.isascii() else text_bytes(value)
    if kind is int and -TOO_LONG < value < TOO_LONG:
        return NUMBER
    if kind is int or kind is float:
        return _number(value)
    if value is None or kind is bool:
        return 1
    if levels == 0:
        raise _TooDeep
    if isinstance(value, dict):
        size = 3 + dict.__len__(value)
        levels -= 1
        for name, child in dict.items(value):  # ignores a subclass's overrides
            size += len(name) if type(name) is str and name.isascii() and 0 < len(name) < 256 else _name(name)
            kind = type(child)
            if kind is str and child.isascii():
                size += len(child)
            elif kind is int and -TOO_LONG < child < TOO_LONG:
                size += NUMBER
            else:
                size += _size(child, levels)
        return _within(size)
    if isinstance(value, list):
        size = 3 + list.__len__(value)
        for child in list.__iter__(value):
            size += _size(child, levels - 1)
        return _within(size)
    raise _Unstorable(f"{kind.__name__} is not JSON")


def _within(size: int) -> int:
    # Checked for each part too, so that a value that contains one list many times is not walked through to its end.
    if size > MAX_BYTES:
        raise _Unstorable(f"{size} bytes; {MAX_BYTES} are the most")
    return size


def _name(name: object) -> int:
    if not isinstance(name, str):
        raise _Unstorable(f"the key {name!r} is not text")
    if not name:
        raise _Unstorable("a key is empty")
    size = len(name) if name.isascii() else text_bytes(name)
    if size > MAX_NAME_BYTES:
        raise _Unstorable(f"a key has {size} bytes; {MAX_NAME_BYTES} are the most")
    return size


def _number(value: float) -> int:
    if isinstance(value, int):
        if abs(value) >= TOO_LARGE:
            raise _Unstorable("a number is out of range")
        if len(str(abs(value)).rstrip("0")) > MAX_DIGITS:
            raise _Unstorable(f"a number has more than {MAX_DIGITS} digits")
    elif value and not SMALLEST <= abs(value) <= LARGEST:
        raise _Unstorable(f"the number {value} is out of range")
    return NUMBER
