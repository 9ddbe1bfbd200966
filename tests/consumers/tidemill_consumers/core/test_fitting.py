"""No item exceeds what DynamoDB takes, whatever clients name themselves, rules answer and shards there are."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.item_size import LIMIT, item_bytes
from tidemill.contract.request import REDRIVE, Request, encode
from tidemill_consumers.codec.items import from_item, to_item
from tidemill_consumers.core.batch import Accepted, Arrival, Emit, Entity, Mark, Position, Proof, Rejected, State, Write
from tidemill_consumers.core.emits import EMITTER
from tidemill_consumers.core.fitting import (
    BYTES_OF_MARK,
    BYTES_OF_TOTALS,
    FEW_MARKS,
    FEW_WRITERS,
    FIXED_BYTES,
    MAX_MARK_BYTES,
    MAX_RECENT_BYTES,
    MAX_WRITER_BYTES,
    MOST_TOTALS,
    VERIFIED_WRITERS,
    fitting_marks,
    latest_that_fit,
    room_for_writers,
)
from tidemill_consumers.core.folding.budget import MAX_RESENT
from tidemill_consumers.core.folding.writers import ENTRY_BYTES, MAX_REDRIVEN, counter_of
from tidemill_consumers.core.item_limits import MAX_BYTES
from tidemill_consumers.core.plan import plan
from tidemill_consumers.core.trust import VERIFIED

SEQUENCE = 49590338271490256608559692538361571095921575989136588898
WAVE = "\N{WATER WAVE}"


@dataclass
class Hostile:
    """What one key's senders and rules do."""

    letter: str
    """What names, ids and reasons are made of."""
    document: int
    answer: int
    emits: int
    writers: int
    shards: int

    def rule(self, state: State, request: Request) -> Accepted | Rejected:
        if request.data["no"]:
            return Rejected(self.letter * 1000)
        emits = tuple(Emit("c", WAVE * 200, {"t": "x" * 400}) for _ in range(self.emits))
        return Accepted({"t": "x" * self.document}, "x" * self.answer or None, emits)

    def requests(self) -> list[Request]:
        made: list[Request] = []
        for n in range(self.writers):
            for start in ("", EMITTER, REDRIVE):
                name = f"{start}{n}-".ljust(128, self.letter)
                made.append(Request(id=name, cmd="c", key="k", writer=name, counter=2**46 - 1, data={"no": n % 2 == 1}))
        return made


def arrival(request: Request, n: int, shard: str, key: str, proof: Proof | None = None) -> Arrival:
    position = Position(SEQUENCE + n, n)
    return Arrival(shard, position, 1_764_000_000.123456 + n, key, request, encode(request), proof)


def folded(entity: Entity, arrivals: list[Arrival], hostile: Hostile) -> list[Write]:
    """Fold all, in as many writes as it takes."""
    writes: list[Write] = []
    while arrivals:
        (write,) = plan(arrivals, {entity.key: entity}, {"c": hostile.rule}, 1e9).writes
        writes.append(write)
        if write.new_entity is not None:
            entity = from_item(to_item(write.new_entity))
        stopped = write.stopped
        arrivals = [one for one in arrivals if stopped is not None and one.position >= stopped]
    return writes


MOST = Hostile(WAVE, MAX_BYTES - 5, 16 * 1024 - 2, 7, 70, 200)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    st.builds(
        Hostile,
        letter=st.sampled_from(["a", "é", WAVE, "\x01", '"']),
        document=st.sampled_from([1, MAX_BYTES - 5]),
        answer=st.integers(0, 16 * 1024 - 2),
        emits=st.integers(0, 12),
        writers=st.integers(1, 70),
        shards=st.integers(1, 200),
    )
)
def test_no_item_is_larger_than_the_table_takes(hostile: Hostile) -> None:
    assert largest(hostile) <= LIMIT


def test_the_most_of_everything_fits() -> None:
    size = largest(MOST)
    assert 0.85 * LIMIT < size <= LIMIT


def largest(hostile: Hostile) -> int:
    """The largest item of a key of which everything there is arrives, by one shard after the other."""
    key = WAVE * 256
    marks = {
        f"{'stream' * 20}/shardId-{n:012}": Mark(
            Position(SEQUENCE, 99_999), 1_764_000_000.123456 + n, Position(SEQUENCE, 9)
        )
        for n in range(hostile.shards)
    }
    entity = Entity(key, 1, {"t": ""}, marks)
    sizes: list[int] = []
    for shard in range(2):
        made = [arrival(one, shard * 1000 + n, f"shardId-{shard:012}", key) for n, one in enumerate(hostile.requests())]
        for write in folded(entity, made, hostile):
            assert write.new_entity is not None
            entity = write.new_entity
            sizes.append(item_bytes(to_item(entity)))
    return max(sizes)


@pytest.mark.parametrize(("beside", "room"), [(200, 824), (900, 124), (960, 64), (961, 1087), (1024, 1024)])
def test_writers_fill_the_write_unit_that_the_item_has_begun(beside: int, room: int) -> None:
    assert room_for_writers(beside, 64) == room


def test_writers_take_no_more_than_their_limit_but_for_those_that_have_to_stay() -> None:
    assert room_for_writers(0, MAX_WRITER_BYTES) == room_for_writers(0, 64 + MAX_WRITER_BYTES - 64) == MAX_WRITER_BYTES
    assert room_for_writers(10, MAX_WRITER_BYTES + 64) == MAX_WRITER_BYTES + 64


def test_nobody_elses_names_push_out_those_of_verified_clients() -> None:
    verified = [f"{VERIFIED}{n:0130}" for n in range(10)]
    names = [*verified, *[f"{n}".ljust(128, WAVE) for n in range(100)]]
    made = [
        arrival(Request(id=f"i{n}", cmd="c", writer=name, counter=1, data={"no": True}), n, "s", "k")
        for n, name in enumerate(names)
    ]
    entity = folded(Entity("k"), made, MOST)[-1].new_entity
    assert entity is not None
    assert [counter_of(entity.writers, name) for name in verified] == [1] * 10


def test_marks_go_when_there_is_no_room_and_are_counted() -> None:
    marks = {f"{n:0200}": Mark(Position(SEQUENCE, 0), float(n), Position(SEQUENCE, 0)) for n in range(90)}
    kept = fitting_marks(marks)
    assert list(kept) == [f"{n:0200}" for n in range(90)][-len(kept) :]
    assert MAX_MARK_BYTES == 24_576
    assert len(kept) == MAX_MARK_BYTES // (200 + 176)
    few = dict(list(marks.items())[:FEW_MARKS])
    assert fitting_marks(few) == few
    request = Request(id="i", cmd="c", data={"no": True})
    (write,) = plan([arrival(request, 0, "s", "k")], {"k": Entity("k", 1, None, marks)}, {"c": MOST.rule}, 1e12).writes
    assert write.new_entity is not None
    assert write.evicted == 91 - len(write.new_entity.marks) > 0
    assert "s" in write.new_entity.marks


def test_the_latest_that_fit() -> None:
    items = [("a", 1), ("bb", 2), (WAVE, 3)]
    assert latest_that_fit(items, 1, 5) == [(WAVE, 3)]
    assert latest_that_fit(items, 1, 7) == [(WAVE, 3)]
    assert latest_that_fit(items, 1, 8) == [("bb", 2), (WAVE, 3)]
    assert latest_that_fit(items, 1, 4) == []


def test_all_rooms_together_are_in_an_item() -> None:
    writers = MAX_WRITER_BYTES + (MAX_RESENT + VERIFIED_WRITERS + MAX_REDRIVEN) * ENTRY_BYTES
    totals = MOST_TOTALS * BYTES_OF_TOTALS
    assert MAX_BYTES + MAX_RECENT_BYTES + writers + MAX_MARK_BYTES + totals + FIXED_BYTES <= LIMIT


def test_the_rooms_of_an_item() -> None:
    assert (MAX_RECENT_BYTES, MAX_WRITER_BYTES, MAX_MARK_BYTES, FIXED_BYTES) == (73_728, 16_384, 24_576, 1_200)
    assert (FEW_WRITERS, VERIFIED_WRITERS, BYTES_OF_MARK, FEW_MARKS) == (4, 64, 176, 32)
