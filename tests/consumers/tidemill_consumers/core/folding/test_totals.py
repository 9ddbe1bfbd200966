"""What a fold does with requests of the analytics stage. Values only."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tidemill.contract.request import Request, encode
from tidemill_consumers.codec.items import from_item, to_item
from tidemill_consumers.core.batch import (
    Accepted,
    Aggregatable,
    Arrival,
    Emit,
    Entity,
    Plan,
    Position,
    Proof,
    Rejected,
    Rules,
    State,
    Totals,
    Window,
    Write,
)
from tidemill_consumers.core.calling.asking import Watch
from tidemill_consumers.core.calling.eliminating import noting
from tidemill_consumers.core.fitting import MOST_TOTALS
from tidemill_consumers.core.plan import plan
from tidemill_consumers.core.settle import Counts
from tidemill_consumers.core.trust import of_stage

A, B = "20260101T000000Z-abcdef", "20260102T000000Z-abcdef"


def viewed(state: State, amount: int) -> Accepted | Rejected:
    if state and state.get("closed"):
        return Rejected("closed")
    views = (state or {}).get("views", 0) + amount
    if views == 13:
        raise ValueError("unlucky")
    emits = (Emit("told", "owner", {"views": views}),) if views >= 100 else ()
    return Accepted({**(state or {}), "views": views}, {"views": views}, emits)


RULES: Rules = {
    "view": Aggregatable(viewed),
    "pay": Aggregatable(viewed, sum="amount"),
    "told": lambda state, request: Accepted({"told": request.data}),
}


def window(place: int, number: int, total: int, generation: str = A, cmd: str = "view", **changes: Any) -> Arrival:
    request = Request(
        id=f"{generation}/{cmd}/{number}/k",
        cmd=cmd,
        key="k",
        writer=f"stage/{generation}/{cmd}",
        counter=number,
        data={"total": total, "of": number},
    )
    request = replace(request, **changes)
    arrival = Arrival("stream/shard", Position(place, 0), 1_000.0 + place, "k", request, encode(request), stream="two")
    return of_stage(arrival, is_its_stream=True)


def single(place: int, cmd: str = "view", **data: Any) -> Arrival:
    request = Request(id=f"{place}", cmd=cmd, key="k", client="c", writer="w", counter=place, data=data)
    return Arrival("s", Position(place, 0), 1_000.0 + place, "k", request, encode(request), stream="requests")


def fold(arrivals: list[Arrival], entity: Entity | None = None, rules: Rules = RULES) -> Write:
    (write,) = plan(arrivals, {"k": entity} if entity else {}, rules, 86_400.0).writes
    return write


def saved(write: Write) -> Entity:
    """The entity as it comes back from the table."""
    assert write.new_entity is not None
    return from_item(to_item(write.new_entity))


def test_windows_are_applied_by_the_rule_that_single_requests_are_applied_by() -> None:
    one_by_one = saved(fold([single(n) for n in range(1, 6)]))
    by_windows = saved(fold([window(1, 10, 2), window(2, 20, 5)]))
    assert one_by_one.document == by_windows.document == {"views": 5}
    assert by_windows.totals == {"view": Totals(20, (Window(A, 20, 5),))}
    assert one_by_one.totals == {}


def test_nobody_is_answered_and_nothing_of_a_writer_is_remembered() -> None:
    write = fold([window(1, 10, 2), window(2, 20, 5, client="c")])
    assert (write.receipts, saved(write).writers, saved(write).recent) == ((), b"", {})
    assert set(saved(write).marks) == {"stream/shard"}


def test_a_redelivery_changes_nothing_and_what_is_repeated_adds_nothing() -> None:
    first = [window(1, 10, 2), window(2, 20, 5)]
    entity = saved(fold(first))
    again = fold(first, entity)
    assert (again.new_entity, again.redelivered) == (None, 2)
    repeated = fold([window(3, 10, 2), window(4, 20, 5), window(5, 30, 9)], entity)
    assert (saved(repeated).document, repeated.repeated, repeated.taken) == ({"views": 9}, 2, 3)
    counts = Counts()
    counts.add(Plan((repeated,)), ())
    assert counts.applied == 1


def test_a_new_generation_is_noted_until_it_has_passed_what_was_applied() -> None:
    entity = saved(fold([window(1, 10, 2), window(2, 20, 5)]))
    entity = saved(fold([window(3, 20, 3, B)], entity))
    assert entity.document == {"views": 5}
    assert saved(fold([window(4, 30, 4, B)], entity)).document == {"views": 6}


def test_each_command_has_totals_of_its_own() -> None:
    entity = saved(fold([window(1, 10, 2), window(2, 10, 50, cmd="pay"), window(3, 20, 3)]))
    assert entity.document == {"views": 53}
    assert entity.totals.keys() == {"view", "pay"}


def test_what_a_rule_rejects_counts_as_done() -> None:
    closed = Entity("k", 1, {"closed": True})
    write = fold([window(1, 10, 2)], closed)
    assert (write.rejected, saved(write).document) == (1, {"closed": True})
    opened = replace(saved(write), document={"views": 0})
    assert saved(fold([window(2, 20, 3)], opened)).document == {"views": 1}


def test_what_makes_a_rule_raise_is_quarantined_and_comes_with_the_next_window() -> None:
    write = fold([window(1, 10, 13), window(2, 20, 15)])
    assert [one.reason.partition(" (")[0] for one in write.quarantine] == ["the rule raised ValueError: unlucky"]
    assert saved(write).document == {"views": 15}


def test_what_states_no_window_is_quarantined_and_moves_the_mark() -> None:
    write = fold([window(1, 10, 2, data={"total": -1, "of": 10})])
    assert [one.reason for one in write.quarantine] == ["total: a whole number from 0 to 9223372036854775807"]
    assert saved(write).marks["stream/shard"].position == Position(1, 0)
    assert saved(write).totals == {}


def test_what_a_rule_emits_for_a_window_leaves_and_leaves_again_with_a_redelivery() -> None:
    first = [window(1, 10, 100)]
    write = fold(first)
    (emitted,) = write.emits
    assert [one.data for one in emitted.requests] == [{"views": 100}]
    again = fold(first, saved(write))
    assert [one.requests for one in again.emits] == [emitted.requests]


def test_a_rule_that_looks_at_a_request_gets_the_stages_requests_of_other_commands() -> None:
    told = window(1, 10, 2, cmd="told")
    assert saved(fold([told])).document == {"told": {"total": 2, "of": 10}}
    assert saved(fold([told])).totals == {}


def test_beside_it_single_requests_are_applied_and_answered() -> None:
    entity = saved(fold([single(1), single(2, "pay", amount=5), single(3, "pay", amount=-1)]))
    assert entity.document == {"views": 6}
    entity = saved(fold([window(1, 10, 2)], entity))
    write = fold([single(4)], entity)
    assert saved(write).document == {"views": 9}
    assert [one.reply.status for one in write.receipts] == ["accepted"]
    assert saved(write).totals == entity.totals


@pytest.mark.parametrize("counter", [None, 5])
def test_what_the_stage_may_have_counted_too_long_ago_cannot_be_told(counter: int | None) -> None:
    beyond = single(5)
    request = replace(beyond.request, counter=counter, writer="w" if counter else None)
    beyond = replace(beyond, request=request, payload=encode(request), tried=1.0, found="beyond")
    write = fold([single(4), beyond])
    assert (write.untold, saved(write).document) == (1, {"views": 1})
    known = fold([replace(single(4), tried=1.0, found="beyond", position=Position(6, 0))], saved(write))
    assert (known.untold, known.repeated) == (0, 1), "what its entity knows is a repeat"


def test_more_commands_than_there_is_room_for_lose_those_that_are_no_more() -> None:
    gone = {f"old{n}": Totals(n, (Window(A, n, 1),)) for n in range(2, MOST_TOTALS + 1)}
    gone["told"] = Totals(1, (Window(A, 1, 1),))  # a rule that has become another
    entity = saved(fold([window(1, 10, 2)], Entity("k", 1, None, totals=gone)))
    assert entity.totals.keys() == {"view", *gone} - {"told"}


def test_a_rule_that_ends_the_process_is_found_with_its_amount() -> None:
    """Planned apart, each rule notes its request before it is asked."""
    watch, noted = Watch(), list[Position]()
    rules = noting(RULES, watch, {}, noted.append)
    (write,) = plan([window(1, 10, 2), window(2, 20, 5)], {}, rules, 86_400.0, watch).writes
    assert saved(write).document == {"views": 5}
    assert noted == [Position(1, 0), Position(2, 0)]
    condemned = noting(RULES, watch, {Position(2, 0): "it ends the process"}, noted.append)
    (write,) = plan([window(1, 10, 2), window(2, 20, 5)], {}, condemned, 86_400.0, watch).writes
    assert [one.reason for one in write.quarantine] == ["it ends the process"]
    assert saved(write).document == {"views": 2}


def test_only_the_stages_stream_is_believed() -> None:
    forged = of_stage(replace(window(1, 10, 2), proof=None), is_its_stream=False)
    write = fold([forged])
    assert [one.reason for one in write.quarantine] == [
        "its writer is the analytics stage's, but it did not come by the stage's stream"
    ]
    assert saved(write).document is None
    assert of_stage(forged, is_its_stream=True).proof == Proof(None, None, True, True)
