"""What DynamoDB can hold: a document outside these limits would fail its batch for ever.

Room: core. Pure. Limits: the page "Constraints in Amazon DynamoDB".
"""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.request import Json

MAX_DEPTH = 30
"""DynamoDB nests 32 levels; the item and its document attribute take two."""

MAX_BYTES = 256 * 1024
"""Of a document, roughly. An item may have 400 KB; the rest is for marks, writers and outcomes."""

MAX_DIGITS = 38
LARGEST, SMALLEST = 9.9e125, 1e-130


def unstorable(document: Json) -> str | None:
    """Why the table cannot hold the document; None when it can."""
    try:
        size = _size(document, MAX_DEPTH)
    except _Unstorable as problem:
        return str(problem)
    return f"{size} bytes; {MAX_BYTES} are the most" if size > MAX_BYTES else None


class _Unstorable(Exception):
    pass


def _size(value: Json, levels: int) -> int:
    """An upper estimate of the bytes that DynamoDB counts for the value."""
    children: Iterable[Json]
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return _number(value)
    if levels == 0:
        raise _Unstorable(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        return 3 + sum(1 + _name(name) + _size(child, levels - 1) for name, child in value.items())
    if isinstance(value, list):
        children = value
        return 3 + sum(1 + _size(child, levels - 1) for child in children)
    raise _Unstorable(f"{type(value).__name__} is not JSON")


def _text(value: str) -> int:
    try:
        return len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise _Unstorable("a lone surrogate is not text") from None


def _name(name: object) -> int:
    if not isinstance(name, str):
        raise _Unstorable(f"the key {name!r} is not text")
    return _text(name)


def _number(value: float) -> int:
    if isinstance(value, int):
        if len(str(abs(value)).rstrip("0")) > MAX_DIGITS or abs(value) > LARGEST:
            raise _Unstorable(f"a number has more than {MAX_DIGITS} digits")
    elif value and not SMALLEST <= abs(value) <= LARGEST:
        raise _Unstorable(f"the number {value} is out of range")
    return 21
