"""A result's rows as JSON, every number as exact as the result has it.

Room: command line, pure.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import pandas as pd

_encoder = msgspec.json.Encoder(decimal_format="number")


def as_json(result: pd.DataFrame) -> str:
    """The rows as an array of objects, indented; a value that is missing is null, a time is ISO 8601."""
    names = [str(name) for name in result.columns]
    missing = result.isna().to_numpy().tolist()
    records = [
        {name: None if absent else _plain(value) for name, value, absent in zip(names, row, gaps, strict=True)}
        for row, gaps in zip(result.itertuples(index=False, name=None), missing, strict=True)
    ]
    return msgspec.json.format(_encoder.encode(records), indent=1).decode() + "\n"


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return value if value.is_finite() else None
        case dict():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case bytes() | bytearray():
            return value.decode(errors="backslashreplace")
    if hasattr(value, "tolist"):  # of numpy: an array, or a number
        return _plain(value.tolist())
    if hasattr(value, "isoformat"):
        milliseconds = {"timespec": "milliseconds"} if hasattr(value, "hour") else {}
        return value.isoformat(**milliseconds)
    return str(value)
