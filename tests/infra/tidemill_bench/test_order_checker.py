"""The order checker: it changes no rule, and it sees what is lost, double and out of order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.request import Document, Request
from tidemill_bench.order_checker import faults
from tidemill_bench.order_rules import FIELD, RULES
from tidemill_consumers.core.batch import Accepted, Rejected, State
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


def test_requests_of_several_writers_are_told_their_place_and_may_come_in_any_order() -> None:
    state: State = None
    for place, serial in enumerate((2, 3, 1), 1):
        outcome = RULES["content.view"](state, request("content.view", serial, place=True))
        assert isinstance(outcome, Accepted)
        assert outcome.answer == {"place": place}
        state = outcome.state
    assert faults(KeyHistory((1, 2, 3)), state) == Faults()
    assert faults(KeyHistory((1, 2, 3), overtaken=2), state) == Faults(reordered=2)
    assert faults(KeyHistory((1, 2, 3, 4)), state) == Faults(lost=1)


@given(st.permutations(range(1, 8)))
def test_another_order_never_looks_right(came: list[int]) -> None:
    found = faults(KeyHistory(tuple(range(1, 8))), applied(came))
    assert (found == Faults()) == (came == sorted(came))
    assert (found.lost, found.duplicates) == (0, 0)
