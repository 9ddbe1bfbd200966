"""The order checker: it changes no rule, and it sees what is lost, double and out of order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidemill.contract.request import Document, Request
from tidemill_bench.order_checker import faults
from tidemill_bench.order_rules import FIELD, MAX_BEYOND, RULES, order_note
from tidemill_consumers.codec.items import from_attribute, to_attribute
from tidemill_consumers.core.batch import Accepted, Object, Rejected, State, ref
from tidemill_consumers.core.calling.objects import objects_of
from tidemill_consumers.media import RULES as APPLICATION
from tidemill_load.results.faults import Faults, KeyHistory


def request(cmd: str, serial: int | None = None, **data: object) -> Request:
    document: Document = dict(data) if serial is None else {**data, "serial": serial}
    return Request(id="r", cmd=cmd, key="content/1", client="c", data=document)


def applied(serials: Sequence[int]) -> State:
    state: State = None
    for serial in serials:
        outcome = RULES["content.view"](state, request("content.view", serial))
        assert isinstance(outcome, Accepted)
        state = outcome.state
    return state


def test_a_request_has_its_objects_returned_and_the_document_names_those_of_the_last() -> None:
    first = RULES["content.view"](None, request("content.view", 1, objects=2, object_bytes=3_000))
    assert isinstance(first, Accepted)
    assert [len(blob.data) for blob in first.objects] == [3_000, 3_000]
    assert objects_of(first.objects, first.state) == tuple(
        Object(ref(blob)["object"], blob.data, blob.content_type) for blob in first.objects
    )
    again = RULES["content.view"](None, request("content.view", 1, objects=2, object_bytes=3_000))
    assert again == first, "a delivery more stores nothing new"
    other = replace(request("content.view", 2, objects=1, object_bytes=3_000), id="other")
    second = RULES["content.view"](first.state, other)
    assert isinstance(second, Accepted)
    assert second.objects[0] not in first.objects
    assert (second.state or {})["objects"] == [ref(second.objects[0])["object"]]
    plain = RULES["content.view"](second.state, request("content.view", 3))
    assert isinstance(plain, Accepted)
    assert plain.objects == ()
    assert "objects" not in (plain.state or {})


def test_every_rule_does_what_it_does_without_the_order_note() -> None:
    assert RULES.keys() == APPLICATION.keys()
    ours: State = None
    theirs: State = None
    story = [
        request("content.publish", 1, title="T"),
        request("content.publish", 2, title="T"),  # refused: it is published
        request("content.view", 3),
        request("content.like"),
        request("content.update", 4, title="U"),
        request("content.delete", 5),
        request("content.view", 6),  # refused: it is deleted
    ]
    for one in story:
        mine, other = RULES[one.cmd](ours, one), APPLICATION[one.cmd](theirs, one)
        if isinstance(other, Rejected):
            assert mine == other
            continue
        assert isinstance(mine, Accepted)
        ours, theirs = mine.state, other.state
        assert {name: value for name, value in (ours or {}).items() if name != FIELD} == theirs
        assert (mine.answer, mine.emits) == (other.answer, other.emits)
    assert faults(KeyHistory((1, 3, 4, 5)), ours) == Faults()


@pytest.mark.parametrize(
    ("came", "found"),
    [
        ((1, 2, 3), Faults()),
        ((1, 3), Faults(lost=1)),
        ((), Faults(lost=3)),
        ((1, 2, 2, 3), Faults(duplicates=1)),
        ((1, 2, 3, 1, 2), Faults(duplicates=2)),
        ((2, 1, 3), Faults(reordered=1)),
        ((3, 2, 1), Faults(reordered=2)),
        ((1, 1, 3, 2), Faults(duplicates=1, reordered=1)),
        ((1, 2, 2), Faults(lost=1, duplicates=1)),
    ],
)
def test_it_sees_what_went_wrong(came: tuple[int, ...], found: Faults) -> None:
    assert faults(KeyHistory((1, 2, 3)), applied(came)) == found


@pytest.mark.parametrize(("came", "found"), [((1, 2), Faults(lost=1)), ((1, 2, 3), Faults(lost=1))])
def test_what_nobody_answered_is_lost_whether_it_was_applied_or_not(came: tuple[int, ...], found: Faults) -> None:
    assert faults(KeyHistory((1, 2), unanswered=1), applied(came)) == found


def of_several(came: Sequence[tuple[int, int]]) -> State:
    state: State = None
    for serial, after in came:
        outcome = RULES["content.view"](state, request("content.view", serial, after=after))
        assert isinstance(outcome, Accepted)
        assert outcome.answer is None
        assert from_attribute(to_attribute(outcome.state)) == outcome.state, "the table takes it"
        state = outcome.state
    return state


# The requests 1, 3 and 4 are one client's, 2 and 5 another's.
@pytest.mark.parametrize(
    ("came", "found"),
    [
        ((1, 2, 3, 4, 5), Faults()),
        ((2, 5, 1, 3, 4), Faults()),
        ((1, 3, 4, 2, 5), Faults()),
        ((1, 4, 2, 3, 5), Faults(reordered=1)),
        ((5, 2, 4, 3, 1), Faults(reordered=3)),
        ((1, 2, 3, 4), Faults(lost=1)),
        ((1, 2, 3, 3, 4, 5), Faults(duplicates=1)),
    ],
)
def test_requests_of_several_writers_keep_each_client_s_order(came: tuple[int, ...], found: Faults) -> None:
    after = {1: 0, 2: 0, 3: 1, 4: 3, 5: 2}
    state = of_several([(serial, after[serial]) for serial in came])
    assert faults(KeyHistory((1, 2, 3, 4, 5)), state) == found


def test_a_request_that_was_refused_leaves_no_trace_and_is_no_fault() -> None:
    state = of_several([(1, 0), (3, 2), (4, 3)])
    assert faults(KeyHistory((1, 3, 4), excused=1), state) == Faults()


@given(st.permutations(range(1, 200)))
def test_what_the_note_holds_of_several_writers_stays_small(came: list[int]) -> None:
    note = order_note(of_several([(serial, 0) for serial in came]))
    assert len(note.beyond) <= MAX_BEYOND
    assert (note.seen, note.sum, note.behind) == (199, 199 * 100, 0)


@given(st.permutations(range(1, 8)))
def test_another_order_never_looks_right(came: list[int]) -> None:
    found = faults(KeyHistory(tuple(range(1, 8))), applied(came))
    assert (found == Faults()) == (came == sorted(came))
    assert (found.lost, found.duplicates) == (0, 0)
