"""Documents out of DynamoDB's items: numbers as Python's, where boto3 would give Decimals and refuse to write JSON.

Room: SDK, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.contract.request import Json


def json_of(attribute: Mapping[str, Any]) -> Json:
    """The JSON value of an attribute value, such as {"N": "7"}.

    Raises:
        ValueError: it is of a type that no document has.
    """
    ((kind, value),) = attribute.items()
    match kind:
        case "M":
            return {name: json_of(child) for name, child in value.items()}
        case "L":
            return [json_of(child) for child in value]
        case "N":
            return int(value) if value.lstrip("-").isdecimal() else float(value)
        case "S" | "BOOL":
            return value
        case "NULL":
            return None
    raise ValueError(f"a document has no attribute of type {kind}")
