"""Which requests are left to the analytics stage. Values only."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from msgspec.structs import replace

from tidemill.contract.request import ClaimCheck, Request, encode
from tidemill_consumers.core.batch import Accepted, Aggregatable, Arrival, Position, Rules, State
from tidemill_consumers.core.stage.leaving import Leaving, Period, periods_in


def add(state: State, amount: int) -> Accepted:
    return Accepted({"n": (state or {"n": 0})["n"] + amount})


def rule(state: State, request: Request) -> Accepted:
    return Accepted(state)


RULES: Rules = {"view": Aggregatable(add), "pay": Aggregatable(add, sum="amount"), "step": rule}
LEAVING = Leaving.of(RULES, "requests", (Period(100.0, 200.0), Period(300.0, inf)), 50.0)


def arrival(arrived: float = 150.0, tried: float | None = None, stream: str = "requests", **changes: Any) -> Arrival:
    request = replace(Request(id="i", cmd="view", key="k", writer="w", counter=1, data={}), **changes)
    place = Position(1, 0)
    return Arrival("s", place, arrived, "k", request, encode(request), stream=stream, tried=tried)


def what_of(one: Arrival, leaving: Leaving = LEAVING) -> str:
    left, others = leaving.divided([one])
    assert leaving.takes_all([one]) == bool(left)
    return "left" if left else others[0].found or "applied"


@pytest.mark.parametrize(
    ("arrived", "becomes"),
    [(99.9, "applied"), (100.0, "left"), (199.9, "left"), (200.0, "applied"), (299.9, "applied"), (300.0, "left")],
)
def test_what_arrives_in_a_period_is_left(arrived: float, becomes: str) -> None:
    assert what_of(arrival(arrived)) == becomes


@pytest.mark.parametrize(
    ("arrived", "tried", "becomes"),
    [
        (110.0, 95.0, "left"),  # the stage knows what came before its period, too
        (210.0, 190.0, "left"),  # its first attempt may have been counted
        (210.0, 200.0, "applied"),  # and here it was not
        (90.0, 80.0, "applied"),
        (250.0, 200.0, "applied"),
        (180.0, 130.0, "left"),
        (180.0, 129.9, "beyond"),
        (251.0, 199.0, "beyond"),
        (150.0, 0.0, "beyond"),
        (99.0, 0.0, "applied"),
        (150.0, 170.0, "left"),  # a mark later than its record
    ],
)
def test_a_re_send_is_the_stages_if_its_first_attempt_may_have_been(arrived: float, tried: float, becomes: str) -> None:
    assert what_of(arrival(arrived, tried)) == becomes


@pytest.mark.parametrize("writer", ["emit/s/k", "emit-proven/s/k", "event/x", "redrive/x", "stage/x/view"])
def test_what_the_application_makes_itself_is_applied_one_by_one(writer: str) -> None:
    assert what_of(arrival(writer=writer)) == "applied"


@pytest.mark.parametrize(
    ("data", "becomes"),
    [
        ({"amount": 0}, "left"),
        ({"amount": 2**53 - 1}, "left"),
        ({"amount": 2**53}, "applied"),
        ({"amount": -1}, "applied"),
        ({"amount": 1.0}, "applied"),
        ({"amount": True}, "applied"),
        ({}, "applied"),
    ],
)
def test_what_its_rule_rejects_alone_is_applied_and_rejected(data: dict[str, Any], becomes: str) -> None:
    assert what_of(arrival(cmd="pay", data=data)) == becomes


def test_what_the_stage_does_not_see_is_applied() -> None:
    assert what_of(arrival(cmd="step")) == "applied"
    assert what_of(arrival(cmd="unknown")) == "applied"
    assert what_of(arrival(ref=ClaimCheck("uploads/c/0", 7))) == "applied"
    assert what_of(arrival(stream="others")) == "applied"
    assert what_of(arrival(stream="")) == "applied", "by HTTP"
    assert what_of(arrival(writer=None, counter=None)) == "left"


def test_a_batch_is_divided_in_order() -> None:
    batch = [arrival(), arrival(cmd="step"), arrival(250.0), arrival(301.0)]
    left, others = LEAVING.divided(batch)
    assert (list(left), list(others)) == ([batch[0], batch[3]], [batch[1], batch[2]])
    assert not LEAVING.takes_all(batch)
    assert not LEAVING.takes_all([])


def test_without_a_stage_or_anything_that_it_could_take_all_is_applied() -> None:
    assert Leaving() == Leaving("", (), 0.0, {})
    assert what_of(arrival(), Leaving()) == "applied"
    assert Leaving.of({"step": rule}, "requests", (Period(0.0, inf),), 50.0).periods == ()


def test_periods_are_read() -> None:
    assert periods_in("") == ()
    assert periods_in("100-") == (Period(100.0, inf),)
    assert periods_in("100-200,300-400") == (Period(100.0, 200.0), Period(300.0, 400.0))


@pytest.mark.parametrize(
    "setting", ["100", "100-50", "100-100", "100-,200-", "300-400,100-200", "100-300,200-", "x", "-"]
)
def test_what_is_no_list_of_periods_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="the stage's periods"):
        periods_in(setting)
