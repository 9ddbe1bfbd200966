"""The size of an entity's item without its writers, as DynamoDB counts it, to fill its last write unit with writers.

Room: core. Pure. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html

The size may be some bytes too large (zeros at a number's ends are counted), and is never too small.
"""

from __future__ import annotations

from tidemill.contract.request import Json, encode
from tidemill_consumers.core.batch import Emitted, Entity, State
from tidemill_consumers.core.folding.marks import mark_text
from tidemill_consumers.core.item_limits import text_bytes
from tidemill_consumers.core.outcomes import bytes_of_all

NAMES = len("pk" + "ver" + "doc" + "marks" + "writers" + "recent" + "redriven" + "forgotten" + "awaited" + "lost")
TIMES = 3 * 10
"""Bytes of `forgotten`, `awaited` and `lost`."""

HEAD = 3
"""Bytes of a map or list without its elements; each element takes one more."""


def bytes_beside_writers(entity: Entity) -> int:
    """The bytes of the entity's item without the value of `writers`."""
    marks = "".join([shard + mark_text(mark) for shard, mark in entity.marks.items()])
    size = NAMES + TIMES + 2 * HEAD + text_bytes(entity.key) + _number(str(entity.version)) + _json(entity.document)
    size += len(entity.marks) + text_bytes(marks) + len(entity.redriven)
    if entity.recent:
        size += bytes_of_all(entity.recent.values())
    if entity.emitted:
        size += len("emitted" + "emits") + HEAD + _number(str(entity.emitted)) + sum(map(_emitted, entity.emits))
    return size


def _emitted(emitted: Emitted) -> int:
    position = emitted.position
    place = len(f"{position.sequence}/{position.sub}/") + text_bytes(emitted.shard)
    return 1 + HEAD + 1 + place + sum([1 + len(encode(request)) for request in emitted.requests])


def _json(document: State) -> int:
    """The bytes of a document. Its texts are counted together: a call for each would take longer than the rest."""
    if document is None:
        return 1
    size = 0
    texts: list[str] = []
    level: list[Json] = [document]
    while level:
        below: list[Json] = []
        for value in level:
            size += HEAD + len(value)
            if type(value) is dict:
                texts += value
                value = value.values()
            for child in value:
                kind = type(child)
                if kind is str:
                    texts.append(child)
                elif kind is dict or kind is list:
                    below.append(child)
                elif kind is int:
                    size += _number(str(child))
                elif kind is float:
                    size += _number(repr(child).partition("e")[0])
                else:
                    size += 1
        level = below
    return size + text_bytes("".join(texts))


def _number(text: str) -> int:
    """One byte for two digits, one more, and one of a negative number for its sign."""
    return len(text) // 2 + 2 if text[0] == "-" else (len(text) + 3) // 2
