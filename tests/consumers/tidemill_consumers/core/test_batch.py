"""The values that a batch passes through: what is true of them where nothing is said, and what they are made of."""

from __future__ import annotations

import pytest

from tidemill.contract.request import OriginalSignature, Request, encode
from tidemill_consumers.core.batch import (
    UNLIMITED,
    Accepted,
    Arrival,
    Emit,
    Entity,
    Mark,
    Plan,
    Position,
    Proof,
    Quarantined,
    Rejected,
    State,
    Time,
    Unreadable,
    Verdict,
    Verified,
    Write,
    fresh,
    rewritten,
    with_request,
)

REQUEST = Request(id="i", cmd="c", key="k", client="ann", writer="w", counter=7, at=5, data={"n": 1})
PLACE = Position(1, 0)
ARRIVAL = Arrival("s", PLACE, 1000.0, "k", REQUEST, encode(REQUEST))


@pytest.mark.parametrize(("now", "is_over"), [(9.9, False), (10.0, True), (10.1, True)])
def test_a_time_is_over_from_its_end_on(now: float, is_over: bool) -> None:
    assert Time(lambda: now, 10.0).is_over is is_over


def test_without_a_limit_it_never_is() -> None:
    assert not UNLIMITED.is_over
    assert UNLIMITED.clock() < UNLIMITED.until


def test_a_place_comes_by_its_record_and_then_by_its_part() -> None:
    ordered = [Position(9, 0), Position(9, 1), Position(9, 10), Position(10, 0), Position(10**56, 0)]
    assert sorted([ordered[n] for n in (3, 1, 4, 0, 2)]) == ordered


def test_a_rule_for_verified_clients_answers_as_it_does_alone() -> None:
    def rule(state: State, request: Request) -> Accepted | Rejected:
        return Rejected(f"{state} {request.id}")

    assert Verified(rule)({"n": 1}, REQUEST) == Rejected("{'n': 1} i")


def test_an_arrival_is_encoded_as_it_came_unless_its_request_is_another() -> None:
    assert ARRIVAL.encoded == encode(REQUEST)
    same = with_request(ARRIVAL, Request(**{name: getattr(REQUEST, name) for name in REQUEST.__struct_fields__}))
    assert (same, same.rewritten) == (ARRIVAL, None)
    other = Request(id="j", cmd="c", data={})
    changed = with_request(ARRIVAL, other)
    assert (changed.request, changed.payload, changed.encoded) == (other, ARRIVAL.payload, encode(other))
    assert (changed.position, changed.key, changed.shard) == (PLACE, "k", "s")


def test_a_request_whose_payload_has_spaces_is_encoded_anew() -> None:
    assert rewritten(REQUEST, encode(REQUEST)) is None
    assert rewritten(REQUEST, encode(REQUEST).replace(b":", b": ")) == encode(REQUEST)


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        Request(id="i", cmd="c", data={}),
        Request(id="i", cmd="c", key="k", writer="w", counter=1, data={}, was=OriginalSignature("v", 3, "s"), sig="t"),
    ],
)
def test_an_arrival_made_fresh_has_each_field_that_it_came_with(request_: Request) -> None:
    arrival = Arrival("s", PLACE, 1000.0, "k", request_, encode(request_), Proof(client="ann"), "stream")
    again = fresh(arrival)
    assert again == arrival
    assert again.request is not request_


def test_where_nothing_is_said() -> None:
    assert (Emit("c", "k").data, Emit("c", "k").client) == ({}, None)
    assert (Accepted(None).answer, Accepted(None).emits) == (None, ())
    assert Proof() == (None, None, False)
    assert (ARRIVAL.proof, ARRIVAL.stream, ARRIVAL.rewritten) == (None, "", None)
    unreadable = Unreadable("s", PLACE, 1.0, "k", b"", "no")
    assert (unreadable.asker, unreadable.stream) == (None, "")
    assert Mark(PLACE, 1.0, PLACE).known is True
    assert Quarantined(ARRIVAL, "no").trace == ()
    write = Write("k", 0, None, PLACE, (), (), None)
    assert (write.emits, write.evicted) == ((), 0)
    assert (Plan(()).not_begun, Verdict((), (), {}).emits) == ({}, ())


def test_an_entity_that_is_not_there_yet() -> None:
    entity = Entity("k")
    assert (entity.version, entity.document, entity.emitted, entity.emits, entity.unusable) == (0, None, 0, (), "")
    assert (entity.marks, entity.writers, entity.recent) == ({}, b"", {})
