"""Converts entities to DynamoDB items, and back.

Room: codec, no I/O. Native attributes, so that any DynamoDB client can read the document.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, TypeAlias

from tidemill.contract.geohash import CELL_CHARACTERS, geohash_in
from tidemill.contract.request import REDRIVE, Document, Json, decode, encode
from tidemill_consumers.core.batch import Emitted, Entity, Mark, Position
from tidemill_consumers.core.folding.marks import mark_text
from tidemill_consumers.core.folding.writers import COUNTERS, ENTRY_BYTES, MAX_REDRIVEN, entry
from tidemill_consumers.core.outcomes import id_of
from tidemill_consumers.core.stage.totals import read_totals, totals_text

Attribute: TypeAlias = Mapping[str, Any]
"""One DynamoDB attribute value, such as {"S": "text"}."""

LATEST = 1e11
"""Seconds since 1970 that are no time of a record any more."""

FEW_OF_OLD = 8
"""Items of older releases with fewer writers than this have surely forgotten none."""

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
        "marks": {"M": {shard: {"S": mark_text(mark)} for shard, mark in entity.marks.items()}},
        "writers": {"B": entity.writers},
        # A list, because DynamoDB's maps have no order, and the oldest outcomes are dropped first.
        "recent": {"L": [{"S": text} for text in entity.recent.values()]},
    }
    if entity.redriven:
        item["redriven"] = {"B": entity.redriven}
    if entity.forgotten:
        item["forgotten"] = {"N": repr(entity.forgotten)}
    if entity.awaited:
        item["awaited"] = {"N": repr(entity.awaited)}
    if entity.lost:
        item["lost"] = {"N": repr(entity.lost)}
    if entity.totals:
        item["totals"] = {"M": {cmd: {"S": totals_text(one)} for cmd, one in entity.totals.items()}}
    if geohash := geohash_in(entity.document):
        item |= {"cell": {"S": geohash[:CELL_CHARACTERS]}, "geohash": {"S": geohash}}
    return item | _emits(entity) if entity.emitted else item


def from_item(item: Mapping[str, Attribute]) -> Entity:
    """The entity in an item."""
    marks = {shard: _read_mark(mark["S"]) for shard, mark in item["marks"]["M"].items()}
    writers = item["writers"]
    if "M" in writers:
        remembered, redriven, lost = _of_old(writers["M"], marks)
        forgotten = lost
    else:
        remembered = binary_of(writers)
        redriven = binary_of(item["redriven"]) if "redriven" in item else b""
        forgotten = float(item["forgotten"]["N"]) if "forgotten" in item else 0.0
        lost = float(item["lost"]["N"]) if "lost" in item else 0.0
    if len(remembered) % ENTRY_BYTES or len(redriven) % ENTRY_BYTES:
        raise ValueError("its writers do not take 16 bytes each")
    awaited = float(item["awaited"]["N"]) if "awaited" in item else 0.0
    if not 0.0 <= max(forgotten, awaited, lost) < LATEST:
        raise ValueError("it states a time that is none")
    return Entity(
        key=item["pk"]["S"],
        version=int(item["ver"]["N"]),
        document=from_attribute(item["doc"]),
        marks=marks,
        writers=remembered,
        recent={id_of(one["S"]): one["S"] for one in item["recent"]["L"]},
        emitted=int(item["emitted"]["N"]) if "emitted" in item else 0,
        emits=tuple(_read_emitted(one["L"]) for one in item["emits"]["L"]) if "emits" in item else (),
        redriven=redriven,
        forgotten=forgotten,
        awaited=awaited,
        lost=lost,
        totals={cmd: read_totals(one["S"]) for cmd, one in item["totals"]["M"].items()} if "totals" in item else {},
    )


def _number(text: str) -> int | float:
    if "." in text:
        return float(text)  # an exception for each would take longer than the rest
    try:
        return int(text)
    except ValueError:
        return float(text)


def _read_mark(text: str) -> Mark:
    sequence, sub, arrived, since, since_sub, *unknown = text.split("/")
    since_position = Position(int(since), int(since_sub))
    return Mark(Position(int(sequence), int(sub)), float(arrived), since_position, not unknown)


def binary_of(attribute: Attribute) -> bytes:
    """A binary value, as botocore gives it, or in base64 as it stands in the answer's JSON."""
    value: bytes | str = attribute["B"]
    return b64decode(value) if isinstance(value, str) else value


def _of_old(writers: Mapping[str, Attribute], marks: Mapping[str, Mark]) -> tuple[bytes, bytes, float]:
    """Writers of an older release's item, a map of names: the writers, those of redriven requests, and up to which
    arrival others may have been dropped."""
    every = sorted((_old_writer(name, text["S"]) for name, text in writers.items()))
    of_redriven = [made for _, name, made in every if name.startswith(REDRIVE)]
    others = [made for _, name, made in every if not name.startswith(REDRIVE) and made]
    lost = max([mark.arrived for mark in marks.values()], default=0.0) if len(writers) >= FEW_OF_OLD else 0.0
    return b"".join(others), b"".join(of_redriven[-MAX_REDRIVEN:]), lost


def _old_writer(name: str, text: str) -> tuple[float, str, bytes]:
    """A writer's last arrival, its name and its entry, which is empty if its counter is one that is not remembered."""
    counter, arrived, checksum = text.split("/")
    number = int(counter)
    return float(arrived), name, entry(name, number, int(checksum) & 0xFFFF) if number < COUNTERS else b""


def _emits(entity: Entity) -> dict[str, Attribute]:
    return {
        "emitted": {"N": str(entity.emitted)},
        "emits": {"L": [{"L": [{"S": text} for text in _emitted(one)]} for one in entity.emits]},
    }


def _emitted(emitted: Emitted) -> list[str]:
    # As text: DynamoDB turns 1.0 into 1, but a request must be sent again with the same bytes.
    position = emitted.position
    place = f"{position.sequence}/{position.sub}/{emitted.shard}"
    return [place, *(encode(request).decode() for request in emitted.requests)]


def _read_emitted(attributes: list[Attribute]) -> Emitted:
    place, *requests = (attribute["S"] for attribute in attributes)
    sequence, sub, shard = place.split("/", 2)
    return Emitted(shard, Position(int(sequence), int(sub)), tuple(decode(request.encode()) for request in requests))
