"""The size of an entity's item without its writers, as DynamoDB counts it, to fill its last write unit with writers.

Room: core. Pure. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html

The size may be some bytes too large (zeros at a number's ends are counted), and is never too small.
"""

from __future__ import annotations

from msgspec.json import encode as to_json

from tidemill.contract.geohash import CELL_CHARACTERS, geohash_in
from tidemill.contract.request import Json, encode
from tidemill_consumers.core.batch import Emitted, Entity, Mark, State, Totals
from tidemill_consumers.core.item_limits import text_bytes
from tidemill_consumers.core.outcomes import bytes_of_all
from tidemill_consumers.core.stage.totals import totals_text

NAMES = len("pk" + "ver" + "doc" + "marks" + "writers" + "recent" + "redriven" + "forgotten" + "awaited" + "lost")
TIMES = 3 * 10
"""Bytes of `forgotten`, `awaited` and `lost`."""

HEAD = 3
"""Bytes of a map or list without its elements; each element takes one more."""


def bytes_beside_writers(entity: Entity) -> int:
    """The bytes of the entity's item without the value of `writers`."""
    size = NAMES + TIMES + 2 * HEAD + text_bytes(entity.key) + _digits(entity.version) // 2 + 2
    size += _json(entity.document) + len(entity.redriven)
    for shard, mark in entity.marks.items():
        size += 1 + text_bytes(shard) + _mark(mark)
    if entity.recent:
        size += bytes_of_all(entity.recent.values())
    if entity.totals:
        size += len("totals") + HEAD + sum(map(_totals, entity.totals.items()))
    if geohash := geohash_in(entity.document):
        size += len("cell" + "geohash") + CELL_CHARACTERS + len(geohash)
    if entity.emitted:
        size += len("emitted" + "emits") + HEAD + _digits(entity.emitted) // 2 + 2 + sum(map(_emitted, entity.emits))
    return size


def _totals(of_command: tuple[str, Totals]) -> int:
    cmd, totals = of_command
    return 1 + text_bytes(cmd) + len(totals_text(totals))


def _emitted(emitted: Emitted) -> int:
    position = emitted.position
    place = len(f"{position.sequence}/{position.sub}/") + text_bytes(emitted.shard)
    return 1 + HEAD + 1 + place + sum([1 + len(encode(request)) for request in emitted.requests])


def _mark(mark: Mark) -> int:
    """The bytes of `mark_text`, which would take longer."""
    position, since = mark.position, mark.since
    size = _digits(position.sequence) + _digits(position.sub) + _digits(since.sequence) + _digits(since.sub)
    return size + len(repr(mark.arrived)) + len("////" if mark.known else "/////unknown")


def _digits(number: int) -> int:
    """The characters of a whole number, or one more."""
    return number.bit_length() * 1233 // 4096 + (1 if number >= 0 else 2)


def _json(document: State) -> int:
    """The bytes of a document. Its texts and its numbers are counted together: a call for each takes twice as long."""
    if document is None:
        return 1
    size = 0
    texts: list[str] = []
    numbers: list[float] = []
    parts: list[Json] = [document]
    for value in parts:
        size += HEAD + len(value)
        if type(value) is dict:
            texts += value
            value = value.values()
        for child in value:
            kind = type(child)
            if kind is str:
                texts.append(child)
            elif kind is int or kind is float:
                numbers.append(child)
            elif kind is dict or kind is list:
                parts.append(child)
            else:
                size += 1
    # One byte for two digits, one more, and one of a negative number for its sign. In JSON there is a comma for each.
    size += (len(to_json(numbers)) + 3 * len(numbers)) // 2
    return size + text_bytes("".join(texts))
