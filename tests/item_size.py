"""An item's size as DynamoDB's page "DynamoDB item sizes and formats" counts it, apart from what the code reckons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LIMIT = 400 * 1024


def item_bytes(item: Mapping[str, Any]) -> int:
    """The bytes of an item: names and values."""
    return sum(len(name.encode()) + attribute_bytes(value) for name, value in item.items())


def attribute_bytes(attribute: Mapping[str, Any]) -> int:
    """The bytes of an attribute's value."""
    ((kind, value),) = attribute.items()
    if kind == "S":
        return len(str(value).encode())
    if kind == "B":
        return len(value)
    if kind == "N":
        value = str(value)
        mantissa = value.lower().partition("e")[0].replace(".", "").lstrip("-").strip("0")
        return 1 + -(-len(mantissa) // 2) + value.startswith("-")
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + attribute_bytes(child) for name, child in value.items())
    if kind == "L":
        return 3 + sum(1 + attribute_bytes(child) for child in value)
    assert kind in ("BOOL", "NULL"), kind
    return 1
