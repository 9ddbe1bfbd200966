"""Contents for the tests: documents, and records of the table's stream."""

from collections.abc import Mapping
from typing import Any

from tidemill_consumers.codec.items import to_attribute

SIZES: dict[str, Any] = {"size": 512, "width": 512, "height": 384, "bytes": 9_000}
THUMBNAIL = SIZES | {"type": "image/webp", "name": "thumbnails/t"}


def photo(**other: Any) -> dict[str, Any]:
    """A photo that can be shown."""
    whole = {"by": "ada", "version": "1".ljust(32, "0"), "uploaded": 1_000, "status": "ready", "width": 640}
    return {**whole, "height": 480, "thumbnails": [THUMBNAIL], **other}


def document(**other: Any) -> dict[str, Any]:
    """A content's document that is to be listed."""
    return {"title": "Sea", "owner": "ada", "photo": photo(), **other}


def image(key: str, document: Mapping[str, Any] | None, version: int = 1) -> dict[str, Any]:
    """An item, as a record has it."""
    return {"pk": {"S": key}, "ver": {"N": str(version)}, "doc": to_attribute(document), "writers": {"B": "AAAA"}}


def record(key: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> dict[str, Any]:
    """A record: an item's change; None is no item."""
    change: dict[str, Any] = {"Keys": {"pk": {"S": key}}, "SequenceNumber": "1"}
    change |= {"OldImage": image(key, old)} if old is not None else {}
    change |= {"NewImage": image(key, new)} if new is not None else {}
    return {"eventName": "MODIFY", "dynamodb": change}
