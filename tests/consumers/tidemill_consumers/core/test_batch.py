"""The values that a batch passes through: what is true of them where nothing is said, and what they are made of."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.contract.request import Json, OriginalSignature, Request, encode
from tidemill_consumers.core.batch import (
    UNLIMITED,
    Accepted,
    Aggregatable,
    Arrival,
    Emit,
    Entity,
    Internal,
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


def total(state: State, amount: int) -> Accepted | Rejected:
    return Rejected("too much") if amount > 100 else Accepted({"n": (state or {"n": 0})["n"] + amount})


def of(**data: Json) -> Request:
    return Request(id="i", cmd="c", data=data)


def test_a_rule_for_a_total_counts_requests_or_adds_what_they_have() -> None:
    assert Aggregatable(total)({"n": 1}, of(count=7)) == Accepted({"n": 2})
    assert Aggregatable(total, sum="count")({"n": 1}, of(count=7)) == Accepted({"n": 8})
    assert Aggregatable(total, sum="count")({"n": 1}, of(count=101)) == Rejected("too much")
    assert Aggregatable(total).adding(5)({"n": 1}, of()) == Accepted({"n": 6})


@pytest.mark.parametrize("amount", [None, -1, 1.0, True, "1", 2**53])
def test_a_request_without_an_amount_that_can_be_added_is_rejected(amount: Json) -> None:
    said = Aggregatable(total, sum="count")(None, of(count=amount))
    assert said == Rejected("count: a whole number from 0 to 9007199254740991")


@pytest.mark.parametrize("guard", [Verified, Internal])
def test_whose_request_it_is_cannot_be_asked_of_what_the_stage_adds_up(guard: Any) -> None:
    with pytest.raises(TypeError, match=rf"{guard.__name__}\(Aggregatable\(…\)\): it cannot guard"):
        guard(Aggregatable(total))
    with pytest.raises(TypeError, match=rf"Aggregatable\({guard.__name__}\(…\)\): it takes a bare rule"):
        Aggregatable(guard(total))


@pytest.mark.parametrize("name", ["", 7, ["count"]])
def test_what_is_summed_is_named(name: Any) -> None:
    with pytest.raises(TypeError, match="the name of a member of data"):
        Aggregatable(total, sum=name)


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
    assert Proof() == (None, None, False, False)
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
    assert (entity.marks, entity.writers, entity.recent, entity.totals) == ({}, b"", {}, {})
