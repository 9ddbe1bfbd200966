"""How many outcomes an entity keeps: as many as there is room for, the latest, to the byte."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import (
    Accepted,
    Arrival,
    Emit,
    Emitted,
    Entity,
    Mark,
    Position,
    Rejected,
    Rules,
    State,
    Write,
)
from tidemill_consumers.core.calling.asking import MAX_ANSWER_BYTES
from tidemill_consumers.core.emits import MAX_EMIT_BYTES, emitter, kept_bytes
from tidemill_consumers.core.fitting import FEW_WRITERS, MAX_RECENT_BYTES, fitting_marks
from tidemill_consumers.core.folding.budget import MAX_OUTCOME_BYTES, MAX_OUTCOMES, MAX_RESENT
from tidemill_consumers.core.folding.outcomes import MAX_RECENT
from tidemill_consumers.core.folding.writers import MAX_REDRIVEN
from tidemill_consumers.core.outcomes import outcome_bytes
from tidemill_consumers.core.plan import plan


def balk(state: State, request: Request) -> Rejected:
    size = request.data["size"]
    return Rejected("\N{WATER WAVE}" * (size // 4) + "r" * (size % 4))


def speak(state: State, request: Request) -> Accepted:
    """All that one request may leave: the longest answer, and the longest follow-up request."""
    bare = replace(request, id=36 * "0", key="k", client=None, writer=emitter("k", "s"), depth=1, data={"x": ""})
    emit = Emit("speak", "k", {"x": "x" * (MAX_EMIT_BYTES - len(encode(bare)))})
    return Accepted(state, "x" * (MAX_ANSWER_BYTES - 2), (emit,))


RULES: Rules = {"balk": balk, "speak": speak}
BESIDE = outcome_bytes('["0000","rejected",null,""]')
"""Bytes of an outcome beside its reason."""


def refused(n: int, size: int, shard: str = "s") -> Arrival:
    """A request whose outcome takes so many bytes."""
    request = Request(
        id=f"{n:04}", cmd="balk", key="k", client="c", writer="w", counter=n, data={"size": size - BESIDE}
    )
    return Arrival(shard, Position(n, 0), 1000.0 + n, "k", request, encode(request))


def fold(arrivals: list[Arrival], entity: Entity | None = None) -> Write:
    (write,) = plan(arrivals, {"k": entity} if entity else {}, RULES, 86_400.0).writes
    return write


def saved(write: Write) -> Entity:
    assert write.new_entity is not None
    return write.new_entity


def bytes_of(entity: Entity) -> int:
    return sum(map(outcome_bytes, entity.recent.values()))


@pytest.mark.parametrize(
    ("lacking", "dropped"), [(-1, 0), (0, 0), (1, 1), (2000, 1), (2001, 2), (4000, 2), (4001, 3), (6001, 4)]
)
def test_only_as_many_of_the_oldest_go_as_there_is_no_room_for(lacking: int, dropped: int) -> None:
    """Twenty earlier outcomes of 2000 bytes, and a batch whose outcomes lack so much room."""
    before = saved(fold([refused(n, 2000) for n in range(1, 21)]))
    assert bytes_of(before) == 40_000
    needed = MAX_RECENT_BYTES - 40_000 + lacking
    sizes = [2000] * (needed // 2000 - 1)
    write = fold([refused(100 + n, size) for n, size in enumerate([*sizes, needed - sum(sizes)])], before)
    assert write.stopped is None
    after = saved(write)
    assert bytes_of(after) == 40_000 + needed - 2000 * dropped
    assert next(iter(after.recent)) == f"{1 + dropped:04}"
    assert len(after.recent) == 20 - dropped + len(sizes) + 1


def test_thirty_two_earlier_ones_are_kept_and_no_more() -> None:
    entity = saved(fold([refused(n, 100) for n in range(1, 2 * MAX_RECENT)]))
    assert len(entity.recent) == 2 * MAX_RECENT - 1, "all of the batch at hand"
    entity = saved(fold([refused(100, 100)], entity))
    assert list(entity.recent) == [f"{n:04}" for n in [*range(MAX_RECENT, 2 * MAX_RECENT), 100]]


def test_a_key_stops_at_the_outcome_that_fills_its_room() -> None:
    most = MAX_OUTCOME_BYTES // 1000
    full = [refused(n, 1000) for n in range(1, most + 1)]
    last = MAX_OUTCOME_BYTES - 1000 * most
    short = fold([*full, refused(500, last - 1), refused(501, 100), refused(502, 100)])
    assert short.stopped == Position(502, 0), "a byte was left"
    exact = fold([*full, refused(500, last), refused(501, 100)])
    assert exact.stopped == Position(501, 0)
    assert [one.reply.id for one in exact.receipts][-1] == "0500"


def test_a_key_stops_after_512_outcomes() -> None:
    write = fold([refused(n, BESIDE) for n in range(1, MAX_OUTCOMES + 2)])
    assert (len(write.receipts), write.stopped) == (MAX_OUTCOMES, Position(MAX_OUTCOMES + 1, 0))


def test_an_outcome_told_again_takes_no_more_room() -> None:
    batch = [refused(n, 1000) for n in range(1, 41)]
    write = fold(batch)
    assert write.stopped is None
    assert fold(batch, saved(write)).receipts == write.receipts


def test_whose_outcomes_were_dropped_is_not_answered_and_others_are() -> None:
    """Of a delivery that comes again, what is not kept any more is not taken for the plain "accepted"."""
    first = [refused(n, 2000) for n in range(1, 21)]
    entity = saved(fold([refused(100 + n, 2000, "s/child") for n in range(20)], saved(fold(first))))
    kept = [name for name in entity.recent if name < "0100"]
    assert kept == [f"{n:04}" for n in range(5, 21)]
    again = fold(first, entity)
    assert again.new_entity is None
    assert [one.reply.id for one in again.receipts] == kept
    assert {one.reply.status for one in again.receipts} == {"rejected"}


def test_an_entity_remembers_as_many_as_the_documentation_says() -> None:
    assert (FEW_WRITERS, MAX_REDRIVEN, MAX_RECENT, MAX_OUTCOMES, MAX_RESENT) == (4, 64, 32, 512, 512)
    assert (MAX_OUTCOME_BYTES, MAX_RECENT_BYTES) == (40 * 1024, 72 * 1024)


def test_the_marks_that_go_are_those_seen_longest_ago_whatever_their_names() -> None:
    position = Position(1, 0)
    marks = {f"{n:0300}": Mark(position, 1000.0 - n, position) for n in range(100)}
    kept = fitting_marks(marks)
    assert set(kept) == {f"{n:0300}" for n in range(len(kept))}
    assert 40 < len(kept) < 60


def test_a_delivery_that_changes_nothing_forgets_nobody() -> None:
    batch = [refused(1, 100)]
    again = fold(batch, saved(fold(batch)))
    assert (again.new_entity, again.evicted) == (None, 0)


def test_a_redelivery_is_answered_to_its_end_however_much_room_its_outcomes_take() -> None:
    first, second = [refused(n, 1000) for n in range(1, 33)], [refused(n, 1000) for n in range(33, 73)]
    entity = saved(fold(second, saved(fold(first))))
    again = fold([*first, *second], entity)
    assert (again.new_entity, again.stopped, len(again.receipts)) == (None, None, 72)
    more = fold([*first, *second, refused(73, 100)], entity)
    assert (more.stopped, len(more.receipts)) == (Position(73, 0), 72)


def test_marks_that_go_for_lack_of_room_are_counted() -> None:
    marks = {f"{n:0300}": Mark(Position(1, 0), 900.0 + n, Position(1, 0)) for n in range(60)}
    write = fold([refused(1, 100)], Entity("k", 1, None, marks))
    assert (len(saved(write).marks), write.evicted) == (51 + 1, 9)
    assert fold([refused(1, 100)], Entity("k", 1, None, dict(list(marks.items())[:40]))).evicted == 0


def test_an_outcome_of_the_delivery_at_hand_that_has_no_room_is_not_told_wrongly_later() -> None:
    """The last may leave its answer and what it emits beside 40 KiB of outcomes: too much by a hundred bytes."""
    batch = [*[refused(n, 1000) for n in range(1, 41)], refused(41, MAX_OUTCOME_BYTES - 40_000 - 1)]
    last = Request(id="last", cmd="speak", key="k", client="c", writer="w", counter=50, data={})
    batch.append(Arrival("s", Position(50, 0), 1050.0, "k", last, encode(last)))
    write = fold(batch)
    after = saved(write)
    assert sum(map(kept_bytes, after.emits)) + bytes_of(after) <= MAX_RECENT_BYTES
    assert (len(write.receipts), list(after.recent)[:2]) == (42, ["0002", "0003"])
    assert not after.marks["s"].known
    assert [one.reply.id for one in fold(batch, after).receipts] == list(after.recent)


@pytest.mark.parametrize(("lacking", "left"), [(-1, "123"), (0, "123"), (1, "23")])
def test_what_other_shards_emitted_is_kept_to_the_byte_the_latest_first(lacking: int, left: str) -> None:
    """Beside the outcomes of the delivery at hand, in the room that both have."""
    emitted = (Request(id="f", cmd="c", key="k", data={"x": "x" * 15_000}),)
    emits = tuple(Emitted(f"s/{n}", Position(1, 0), emitted) for n in "123")
    marks = {one.shard: Mark(Position(1, 0), 1000.0, Position(1, 0)) for one in emits}
    room = MAX_RECENT_BYTES - sum(map(kept_bytes, emits)) + lacking
    sizes = [1000] * (room // 1000 - 1)
    batch = [refused(n, size, "s/0") for n, size in enumerate([*sizes, room - sum(sizes)], 1)]
    after = saved(fold(batch, Entity("k", 1, None, marks, emits=emits)))
    assert bytes_of(after) == room
    assert [one.shard for one in after.emits] == [f"s/{n}" for n in left]
