"""Which request is condemned, and which wait. Values only."""

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Entity, Internal, Position, Rules, State, Verified, Write
from tidemill_consumers.core.calling.asking import Stopped, Watch
from tidemill_consumers.core.calling.blame import place_of_rule
from tidemill_consumers.core.calling.eliminating import ENDED, MAX_DEATHS, Elimination, End, noting
from tidemill_consumers.core.settle import is_proven_when_saved


def arrival(n: int, key: str) -> Arrival:
    request = Request(id=str(n), cmd="c", key=key, data={})
    return Arrival("s", Position(n, 0), 1.0, key, request, encode(request))


BATCH = [arrival(1, "a"), arrival(2, "b"), arrival(3, "a"), arrival(4, "c"), arrival(5, "b"), arrival(6, "c")]


def write(key: str, stopped: Position | None = None) -> Write:
    return Write(key, 0, Entity(key, 1), Position(1, 0), (), (), stopped)


def places(arrivals: list[Arrival]) -> list[int]:
    return [one.position.sequence for one in arrivals]


def stops(writes: tuple[Write, ...]) -> dict[str, int | None]:
    return {one.key: one.stopped.sequence if one.stopped else None for one in writes}


def test_where_no_process_ends_all_is_planned() -> None:
    elimination = Elimination(BATCH)
    assert sorted(places(elimination.wanted)) == [1, 2, 3, 4, 5, 6]
    assert not elimination.is_begun
    for key in "abc":
        elimination.planned(write(key))
        assert elimination.is_begun is True
    assert elimination.wanted == []
    assert stops(elimination.writes()) == {"a": None, "b": None, "c": None}


def test_over_one_request_a_process_may_end_once() -> None:
    elimination = Elimination(BATCH)
    elimination.planned(write("a"))
    elimination.ended(End(Position(2, 0)))
    elimination.ended(End(Position(5, 0)))
    assert elimination.condemned == {}
    assert sorted(places(elimination.wanted)) == [2, 4, 5, 6]


def test_over_which_it_ends_again_is_condemned_and_its_key_is_planned_up_to_it_while_others_wait() -> None:
    elimination = Elimination(BATCH)
    elimination.planned(write("a"))
    for _ in range(2):
        elimination.ended(End(Position(2, 0)))
    assert elimination.condemned == {Position(2, 0): ENDED}
    assert places(elimination.wanted) == [2]
    elimination.planned(write("b"))
    assert elimination.wanted == []
    assert stops(elimination.writes()) == {"a": None, "b": 5, "c": 4}
    waiting = elimination.writes()[-1]
    assert waiting == Write("c", 0, None, Position(4, 0), receipts=(), quarantine=(), stopped=Position(4, 0))
    assert is_proven_when_saved(waiting)


def test_a_key_that_stopped_for_another_reason_before_the_condemned_stops_there() -> None:
    elimination = Elimination(BATCH)
    for _ in range(2):
        elimination.ended(End(Position(5, 0)))
    elimination.planned(write("b", stopped=Position(2, 0)))
    assert stops(elimination.writes())["b"] == 2


def test_one_before_the_condemned_may_be_condemned_too() -> None:
    elimination = Elimination(BATCH)
    for place in (5, 5, 2, 2):
        elimination.ended(End(Position(place, 0)))
    assert set(elimination.condemned) == {Position(5, 0), Position(2, 0)}
    assert places(elimination.wanted) == [2]
    elimination.planned(write("b"))
    assert stops(elimination.writes()) == {"b": 5, "a": 1, "c": 4}


def test_processes_that_end_over_no_request_condemn_none() -> None:
    elimination = Elimination(BATCH)
    hopeless = []
    for _ in range(2):
        elimination.ended(End(None))
        hopeless.append(elimination.is_hopeless)
    assert hopeless == [False, True]
    assert elimination.condemned == {}
    assert len(elimination.wanted) == 6


def test_a_rule_is_noted_before_it_is_at_work_and_the_condemned_is_not_asked() -> None:
    watch, seen = Watch(), list[object]()

    def rule(state: State, request: Request) -> Accepted:
        seen.append("asked")
        return Accepted(state)

    table: Rules = {"c": rule, "v": Verified(rule), "i": Internal(rule)}
    rules = noting(table, watch, {Position(2, 0): "why"}, seen.append)
    assert [isinstance(rules[cmd], Verified) for cmd in "cvi"] == [False, True, False]
    assert [isinstance(rules[cmd], Internal) for cmd in "cvi"] == [False, False, True]
    assert [place_of_rule(one) for one in rules.values()] == [place_of_rule(rule)] * 3, "it is to blame, as ever"
    for one in BATCH[:2]:
        watch.at_work = one
        if one.position.sequence == 2:
            with pytest.raises(Stopped) as stopped:
                rules["c"](None, one.request)
            assert stopped.value.reason == "why"
        else:
            rules["v"](None, one.request)
    assert seen == [Position(1, 0), "asked"]


def test_the_second_death_is_looked_into() -> None:
    assert (MAX_DEATHS, ENDED) == (2, "the rule ended the process")


def test_of_a_key_that_nobody_condemned_all_is_wanted() -> None:
    many = [arrival(n, "a") for n in range(5)]
    elimination = Elimination([*many, arrival(5, "b")])
    assert places(elimination.wanted) == [0, 1, 2, 3, 4, 5]
    for _ in range(2):
        elimination.ended(End(Position(3, 0), "why"))
    assert (places(elimination.wanted), elimination.condemned) == ([0, 1, 2, 3], {Position(3, 0): "why"})
