"""How many emits led to a request, whose word of that counts, and what is done at the limit."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tidemill.contract.request import REDRIVE, Request, decode, encode
from tidemill_consumers.adapters.quarantine import body, read, redriven
from tidemill_consumers.core.batch import Accepted, Arrival, Emit, Entity, Position, Quarantined, Rules, State, Write
from tidemill_consumers.core.emits import EMITTER, PROVEN_EMITTER
from tidemill_consumers.core.folding.depth import EMIT_DEPTH, LOOP, counted, looped
from tidemill_consumers.core.plan import plan
from tidemill_consumers.core.trust import LEAST_SECRET, NOT_SEALED, Seals, examine

STREAM = "requests"
SEALS = Seals(STREAM, ["s" * LEAST_SECRET])
SEEN: list[int] = []


def again(state: State, request: Request) -> Accepted:
    SEEN.append(request.depth)
    return Accepted({"n": (state or {"n": 0})["n"] + 1}, emits=(Emit("again", "k"),))


RULES: Rules = {"again": again}


def arrival(request: Request, n: int = 1) -> Arrival:
    return Arrival(f"{STREAM}/0", Position(n, 0), 1000.0 + n, "k", request, encode(request))


def stated(depth: int, writer: str = f"{EMITTER}requests/k", counter: int = 1) -> Request:
    return Request(
        id=f"i{counter}", cmd="again", key="k", client="c", writer=writer, counter=counter, depth=depth, data={}
    )


def fold(arrivals: list[Arrival], most: int = EMIT_DEPTH, entity: Entity | None = None) -> Write:
    SEEN.clear()
    (write,) = plan(arrivals, {"k": entity} if entity else {}, RULES, 86_400.0, emit_depth=most).writes
    return write


def emitted(write: Write) -> list[int]:
    return [request.depth for one in write.emits for request in one.requests]


def test_a_request_of_an_older_release_has_no_depth_and_its_emits_have_one() -> None:
    old = b'{"v":1,"id":"i","cmd":"again","key":"k","w":"emit/requests/k","n":1,"data":{}}'
    assert decode(old).depth == 0
    assert encode(decode(old)) == old
    assert emitted(fold([Arrival(f"{STREAM}/0", Position(1, 0), 1.0, "k", decode(old), old)])) == [1]


@pytest.mark.parametrize(
    ("writer", "depth", "counts"),
    [
        ("phone", 0, 0),
        ("phone", 5, 0),
        ("phone", 99, 0),
        (f"{EMITTER}s/k", 5, 5),
        (f"{PROVEN_EMITTER}s/k", 5, 5),
        (f"{EMITTER}s/k", 9, 9),
        (f"{EMITTER}s/k", 10, None),
        (f"{PROVEN_EMITTER}s/k", 10, None),
        (f"{REDRIVE}s/k", 9, 9),
        (f"{REDRIVE}s/k", 10, 0),
    ],
)
def test_the_depth_that_counts(writer: str, depth: int, counts: int | None) -> None:
    write = fold([arrival(stated(depth, writer))], most=9)
    assert (SEEN, emitted(write)) == (([counts], [counts + 1]) if counts is not None else ([], []))
    assert looped(write.quarantine) == (counts is None)


def test_a_request_without_a_writer_that_states_a_depth_is_a_clients() -> None:
    found = counted(arrival(replace(stated(99), writer=None, counter=None)), 9)
    assert found is not None
    assert (found.request.depth, decode(found.encoded).depth) == (0, 0)


def test_what_is_too_deep_is_quarantined_and_answered_and_the_key_goes_on() -> None:
    write = fold([arrival(stated(17), 1), arrival(stated(3, counter=2), 2)])
    [bad] = write.quarantine
    assert bad.reason.startswith(f"{LOOP}: depth 17")
    assert [(one.reply.id, one.reply.status) for one in write.receipts] == [("i1", "quarantined"), ("i2", "accepted")]
    assert write.new_entity is not None
    assert write.new_entity.document == {"n": 1}
    copies = fold([arrival(stated(17), 3)], entity=write.new_entity)
    assert copies.quarantine == (), "a copy of it is a repeat"


@pytest.mark.parametrize("seals", [None, SEALS])
def test_redriven_it_goes_on_from_the_beginning(seals: Seals | None) -> None:
    deep = stated(17)
    sent = seals.seal(deep) if seals else deep
    first = examine(arrival(sent), STREAM, seals) if seals else arrival(sent)
    assert isinstance(first, Arrival)
    write = fold([first])
    kept = read(body(Quarantined(write.quarantine[0].arrival, write.quarantine[0].reason)))
    back = arrival(redriven(kept, seals), 2)
    again = examine(back, STREAM, seals) if seals else back
    assert isinstance(again, Arrival)
    assert again.proof is None or again.proof.problem is None
    once_more = fold([again], entity=write.new_entity)
    assert (once_more.quarantine, SEEN, emitted(once_more)) == ((), [0], [1])


def test_a_seal_covers_the_depth() -> None:
    forged = replace(SEALS.seal(stated(5)), depth=1)
    found = examine(arrival(forged), STREAM, SEALS)
    assert isinstance(found, Arrival)
    assert found.proof is not None
    assert found.proof.problem == NOT_SEALED
