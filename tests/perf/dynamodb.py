"""The bodies of BatchGetItem, as far as the stand-ins for the table read them."""

from __future__ import annotations

import msgspec


class Key(msgspec.Struct):
    """A key, a text."""

    S: str


class Item(msgspec.Struct):
    """The key of an item."""

    pk: Key


class Keys(msgspec.Struct):
    """The keys that are wanted of a table."""

    Keys: list[Item]


class Read(msgspec.Struct):
    """The body of a call."""

    RequestItems: dict[str, Keys]
