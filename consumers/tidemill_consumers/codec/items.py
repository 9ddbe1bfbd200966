"""Converts entities to DynamoDB items, and back.

Room: codec, no I/O. Native attributes, so that any DynamoDB client can read the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from tidemill.contract.request import Document, Json, decode, encode
from tidemill_consumers.core.batch import Emitted, Entity, Mark, Position, WriterMark
from tidemill_consumers.core.outcomes import id_of

Attribute: TypeAlias = Mapping[str, Any]
"""One DynamoDB attribute value, such as {"S": "text"}."""

# boto3's TypeSerializer refuses floats and costs several times as much; JSON needs only these six types.


def to_attribute(value: Json) -> Attribute:
    """A JSON value as an attribute value."""
    kind = type(value)
    if kind is dict:
        # Texts and numbers, the most frequent, without a call for each.
        children: dict[str, Attribute] = {}
        for name, child in value.items():
            kind = type(child)
            if kind is str:
                children[name] = {"S": child}
            elif kind is int or kind is float:
                children[name] = {"N": repr(child)}
            else:
                children[name] = to_attribute(child)
        return {"M": children}
    if kind is list:
        return {"L": [to_attribute(child) for child in value]}
    if kind is str:
        return {"S": value}
    if kind is int or kind is float:
        return {"N": repr(value)}
    if value is None:
        return {"NULL": True}
    if kind is bool:
        return {"BOOL": value}
    raise TypeError(f"{kind.__name__} is not JSON")


def from_attribute(attribute: Attribute) -> Json:
    """The JSON value of an attribute value."""
    ((kind, value),) = attribute.items()
    if kind == "M":
        children: Document = {}
        for name, child in value.items():
            if "S" in child:
                children[name] = child["S"]
            elif "N" in child:
                text = child["N"]
                children[name] = int(text) if text.isdecimal() else _number(text)
            else:
                children[name] = from_attribute(child)
        return children
    if kind == "L":
        return [child["S"] if "S" in child else from_attribute(child) for child in value]
    if kind == "S" or kind == "BOOL":
        return value
    if kind == "N":
        return _number(value)
    if kind == "NULL":
        return None
    raise ValueError(f"an attribute of type {kind} is none of this table's")


def to_item(entity: Entity) -> dict[str, Attribute]:
    """The entity as an item."""
    item: dict[str, Attribute] = {
        "pk": {"S": entity.key},
        "ver": {"N": str(entity.version)},
        "doc": to_attribute(entity.document),
        "marks": {"M": {shard: {"S": _mark(mark)} for shard, mark in entity.marks.items()}},
        "writers": {"M": {name: {"S": _writer(writer)} for name, writer in entity.writers.items()}},
        # A list, because DynamoDB's maps have no order, and the oldest outcomes are dropped first.
        "recent": {"L": [{"S": text} for text in entity.recent.values()]},
    }
    return item | _emits(entity) if entity.emitted else item


def from_item(item: Mapping[str, Attribute]) -> Entity:
    """The entity in an item."""
    return Entity(
        key=item["pk"]["S"],
        version=int(item["ver"]["N"]),
        document=from_attribute(item["doc"]),
        marks={shard: _read_mark(mark["S"]) for shard, mark in item["marks"]["M"].items()},
        writers={name: _read_writer(writer["S"]) for name, writer in item["writers"]["M"].items()},
        recent={id_of(one["S"]): one["S"] for one in item["recent"]["L"]},
        emitted=int(item["emitted"]["N"]) if "emitted" in item else 0,
        emits=tuple(_read_emitted(one["L"]) for one in item["emits"]["L"]) if "emits" in item else (),
    )


def _number(text: str) -> int | float:
    if "." in text:
        return float(text)  # an exception for each would take longer than the rest
    try:
        return int(text)
    except ValueError:
        return float(text)


def _mark(mark: Mark) -> str:
    position, since = mark.position, mark.since
    unknown = "" if mark.known else "/unknown"
    place = f"{position.sequence}/{position.sub}"  # half of the time is the long number's
    begun = place if since is position else f"{since.sequence}/{since.sub}"
    return f"{place}/{mark.arrived!r}/{begun}{unknown}"


def _read_mark(text: str) -> Mark:
    sequence, sub, arrived, since, since_sub, *unknown = text.split("/")
    since_position = Position(int(since), int(since_sub))
    return Mark(Position(int(sequence), int(sub)), float(arrived), since_position, not unknown)


def _writer(writer: WriterMark) -> str:
    return f"{writer.counter}/{writer.arrived!r}/{writer.checksum}"


def _read_writer(text: str) -> WriterMark:
    counter, arrived, checksum = text.split("/")
    return WriterMark(int(counter), float(arrived), int(checksum))


def _emits(entity: Entity) -> dict[str, Attribute]:
    return {
        "emitted": {"N": str(entity.emitted)},
        "emits": {"L": [{"L": [{"S": text} for text in _emitted(one)]} for one in entity.emits]},
    }


def _emitted(emitted: Emitted) -> list[str]:
    # As text: DynamoDB turns 1.0 into 1, but a request must be sent again with the same bytes.
    shard, position, requests = emitted
    return [f"{position.sequence}/{position.sub}/{shard}", *(encode(request).decode() for request in requests)]


def _read_emitted(attributes: list[Attribute]) -> Emitted:
    place, *requests = (attribute["S"] for attribute in attributes)
    sequence, sub, shard = place.split("/", 2)
    return Emitted(shard, Position(int(sequence), int(sub)), tuple(decode(request.encode()) for request in requests))
