"""Which re-sends could not be told from repeats: reckoned from the log and from what items remembered, by the rule.

The rule: a marked re-send is told by its entity, if that remembers its writer; else, if its first attempt came after
all that the entity has forgotten; else by the table of forgotten writers, if its first attempt is not older than the
horizon (of a follow-up request, half a day more). What is left cannot be told. Items are read here apart from the
consumer's code.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from tests.item_size import item_bytes
from tests.simulation.log import Place
from tests.simulation.services import place_in
from tidemill.contract.request import REDRIVE

ENTRY_BYTES, HASH_BYTES, COUNTER_BYTES = 16, 8, 6
COUNTERS = 2**46
"""Counters below this are remembered."""

NOT_APPLIED = 2**47
"""The bit of a counter whose request could not be told from a repeat."""

EMIT_LAG = 12 * 3600.0
"""Seconds beyond the horizon in which follow-up requests can be told."""

FEWEST = 4
"""Writers that an entity remembers in any case."""

UNIT = 1024
SLACK = 64
"""Bytes by which the consumer may take an item for larger than it is."""

EMIT_SLACK = 48
"""Bytes besides for each request whose emits it keeps: sequence numbers are shorter here than Kinesis's 56 digits."""


@dataclass
class Told:
    """What became of the re-sends.

    Attributes:
        marked: how many were taken.
        asked: how many only the table could tell.
        untold: the places of those that could not be told.
        needless: writes by which an entity forgot writers that it had room for.
    """

    marked: int = 0
    asked: int = 0
    untold: set[tuple[str, int, int]] = field(default_factory=set)
    needless: int = 0


def told(
    places: Iterable[Place], saves: Mapping[str, list[tuple[dict[str, Any], dict[str, Any]]]], horizon: float
) -> Told:
    """What became of the re-sends, by each key's writes: its items before and after."""
    by_shard: dict[str, dict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for place in places:
        by_shard[place.key][place.shard].append(place)
    every = Told()
    for key, of_key in saves.items():
        reader = _Reader(by_shard[key])
        seen: dict[str, int] = {}
        for before, after in of_key:
            _take(every, before, list(reader.taken_by(after)), seen, horizon)
            every.needless += _is_needless(before, after)
    return every


class _Reader:
    """Reads a key's requests as its marks pass them."""

    def __init__(self, places: Mapping[str, list[Place]]) -> None:
        self._places = places
        self._positions = {shard: [one.position for one in of_shard] for shard, of_shard in places.items()}
        self._done: dict[str, int] = defaultdict(int)

    def taken_by(self, item: Mapping[str, Any]) -> Iterator[Place]:
        """The requests that the item has taken, and none before it."""
        for shard, mark in item["marks"]["M"].items():
            done = bisect_right(self._positions.get(shard, []), place_in(mark))
            yield from self._places.get(shard, [])[self._done[shard] : done]
            self._done[shard] = max(done, self._done[shard])


def _take(every: Told, before: Mapping[str, Any], places: list[Place], seen: dict[str, int], horizon: float) -> None:
    known = dict(_writers(before))
    forgotten, lost = (float(before[name]["N"]) if name in before else 0.0 for name in ("forgotten", "lost"))
    for place in places:
        writer, counter, tried = place.request.writer or "", place.request.counter or 0, place.tried
        if writer.startswith(REDRIVE):
            continue
        every.marked += tried is not None
        name = _hash(writer)
        highest, is_applied = known.get(name, (-1, False))
        if counter <= highest:
            continue
        if tried is not None and not is_applied and forgotten and tried <= forgotten:
            most = horizon + (EMIT_LAG if writer.startswith("emit") else 0.0)
            if tried <= lost or tried < place.arrived - most:
                every.untold.add((place.shard, *place.position))
                known[name] = counter, False
                seen[writer] = max(counter, seen.get(writer, -1))
                continue
            every.asked += 1
            if counter <= seen.get(writer, -1):
                continue
        elif tried is None and counter <= seen.get(writer, -1):
            continue  # a first attempt behind its re-send: the table tells, and the entity does not remember it
        known[name] = counter, True
        seen[writer] = max(counter, seen.get(writer, -1))


def _writers(item: Mapping[str, Any]) -> Iterator[tuple[bytes, tuple[int, bool]]]:
    """The writers that an item remembers: hash, counter, and whether that request was applied."""
    entries: bytes = item["writers"]["B"] if item else b""
    for at in range(0, len(entries), ENTRY_BYTES):
        number = int.from_bytes(entries[at + HASH_BYTES : at + HASH_BYTES + COUNTER_BYTES])
        yield entries[at : at + HASH_BYTES], (number % COUNTERS, not number & NOT_APPLIED)


def _hash(writer: str) -> bytes:
    first, *others = blake2b(writer.encode(), digest_size=HASH_BYTES).digest()
    return bytes((first % 128, *others))  # the first bit tells writers of verified clients, of which there are none


def _is_needless(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether writers were forgotten though there was room: for the fewest, or within the write unit."""
    if after.get("forgotten") == before.get("forgotten"):
        return False
    room = UNIT - (item_bytes(after) - 1) % UNIT
    slack = SLACK + EMIT_SLACK * len(after.get("emits", {"L": []})["L"])
    return len(after["writers"]["B"]) < FEWEST * ENTRY_BYTES or room >= ENTRY_BYTES + slack
