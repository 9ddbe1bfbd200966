"""Re-sends that their entities cannot judge, and what the table of forgotten writers says of them.

Room: core. Pure.

A re-send is doubtful if its entity does not remember its writer, and has forgotten any since the first attempt may have
come. That attempt came by the same shard, or one before it, so by now it is applied, and its writer is either in the
entity or in the table: among what batches of the entity's shards put there since `tried`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from tidemill.contract.request import REDRIVE
from tidemill_consumers.core.batch import Arrival, Entity, Forgotten, Found
from tidemill_consumers.core.emits import is_emitted
from tidemill_consumers.core.folding.classify import is_doubtful
from tidemill_consumers.core.folding.writers import (
    COUNTER_BYTES,
    COUNTERS,
    LATE_SECONDS,
    WriterJournal,
    digest_of,
    shard_of_awaited,
)

EMIT_LAG_SECONDS = 12 * 3600.0
"""How much longer than the horizon follow-up requests are looked for. All of them are marked, with their cause's
arrival: by so much the consumer may lag behind the stream without their being taken for what nobody can tell."""


class Question(NamedTuple):
    """A doubtful re-send: its place in the batch, and what tells whether it was applied."""

    place: int
    key: str
    shards: tuple[str, ...]
    """The shards whose batches may have put its writer into the table."""
    since: float
    """The table is asked about what was put there from then on."""
    digest: bytes
    counter: int


class Doubts(NamedTuple):
    """The doubtful re-sends of a batch.

    Attributes:
        questions: those that the table can tell of.
        unknown: the places of those that nobody can.
    """

    questions: list[Question]
    unknown: list[int]


def doubts(arrivals: Sequence[Arrival], entities: Mapping[str, Entity], horizon: float) -> Doubts:
    """The doubtful re-sends of a batch.

    Args:
        arrivals: the batch's requests.
        entities: by key.
        horizon: seconds that the table keeps writers for.
    """
    questions: list[Question] = []
    unknown: list[int] = []
    late = {key for key, entity in entities.items() if entity.awaited}
    for place in [place for place, one in enumerate(arrivals) if one.tried is not None or one.key in late]:
        arrival = arrivals[place]
        entity = entities.get(arrival.key)
        question = _question(place, arrival, entity) if entity is not None else None
        if entity is None or question is None:
            continue
        oldest = arrival.arrived - horizon - (EMIT_LAG_SECONDS if is_emitted(arrival.request) else 0.0)
        if arrival.tried is not None and (0.0 < entity.lost >= question.since or question.since < oldest):
            unknown.append(place)
        else:
            questions.append(question)
    return Doubts(questions, unknown)


def _question(place: int, arrival: Arrival, entity: Entity) -> Question | None:
    """What to ask the table about an arrival; None if the entity can judge it."""
    writer, counter = arrival.request.writer, arrival.request.counter
    if writer is None or counter is None or counter >= COUNTERS or writer.startswith(REDRIVE):
        return None
    if entity.unusable or (arrival.proof is not None and arrival.proof.problem is not None):
        return None
    if arrival.found == "beyond":
        return None
    mark = entity.marks.get(arrival.shard)
    if mark is not None and arrival.position <= mark.position:
        return None
    writers = WriterJournal(entity.writers, forgotten=entity.forgotten, awaited=entity.awaited)
    if not is_doubtful(arrival, writer, writers) or counter <= writers.highest(writer):
        return None
    shards, since = tuple(dict.fromkeys((*entity.marks, arrival.shard))), arrival.tried
    if since is None:  # what looks like a first attempt: if its re-send was applied, few others are among its kind
        shards, since = tuple(map(shard_of_awaited, shards)), arrival.arrived - LATE_SECONDS
    return Question(place, arrival.key, shards, since, digest_of(arrival.key, writer), counter)


class Search:
    """The search of one shard's forgotten writers, the latest first, for what some questions ask.

    Args:
        questions: at least one.
    """

    def __init__(self, questions: Iterable[Question]) -> None:
        self._open: defaultdict[int, list[Question]] = defaultdict(list)
        for question in questions:
            self._open[_number(question.digest)].append(question)
        self.since = min([one.since for of_digest in self._open.values() for one in of_digest])
        """Nothing before this time is needed."""
        self.applied: set[int] = set()
        """The places of re-sends that were applied before."""
        self._read = float("inf")

    def look(self, page: Forgotten, time: float) -> None:
        """Search what one batch put into the table, at a time not after any that was looked at before."""
        self._read = time
        for number in self._open.keys() & memoryview(page.digests).cast("Q"):
            highest = _highest(page, number.to_bytes(8, "little" if _IS_LITTLE else "big"))
            self.applied |= {one.place for one in self._open[number] if one.counter <= highest}

    def end(self) -> None:
        """Record that there is nothing more since `since`."""
        self._read = 0.0

    @property
    def missed(self) -> set[int]:
        """The places of re-sends that were not found, where what is needed was not all looked at."""
        every = [one for of_digest in self._open.values() for one in of_digest]
        return {one.place for one in every if one.since <= self._read and one.place not in self.applied}


_IS_LITTLE = memoryview(b"\x01" + bytes(7)).cast("Q")[0] == 1


def _number(digest: bytes) -> int:
    return memoryview(digest).cast("Q")[0]


def _highest(page: Forgotten, digest: bytes) -> int:
    """The highest counter that a page has of a digest."""
    highest = -1
    at = page.digests.find(digest)
    while at >= 0:
        if at % 8 == 0:
            of_counter = at // 8 * COUNTER_BYTES
            counter = int.from_bytes(page.counters[of_counter : of_counter + COUNTER_BYTES]) % COUNTERS
            highest = max(highest, counter)
        at = page.digests.find(digest, at + 1)
    return highest


def judged(arrivals: Sequence[Arrival], asked: Doubts, searches: Iterable[Search]) -> list[Arrival]:
    """The arrivals with what the table says of those that are doubtful."""
    unknown, applied = set(asked.unknown), set[int]()
    for search in searches:
        unknown |= search.missed
        applied |= search.applied
    every = list(arrivals)
    for place in [one.place for one in asked.questions] + asked.unknown:
        found: Found = "applied" if place in applied else "unknown" if place in unknown else "absent"
        every[place] = replace(every[place], found=found)
    return every
