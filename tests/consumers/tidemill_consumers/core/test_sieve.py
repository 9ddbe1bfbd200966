"""On the way to the request for which the table refuses an entity. Values only."""

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Arrival, Entity, Position, Proof, Write
from tidemill_consumers.core.sieve import REFUSED, Sieve


def arrival(key: str, n: int) -> Arrival:
    request = Request(id=f"{n}", cmd="c", key=key, data={})
    return Arrival("s", Position(n, 0), 1000.0, key, request, encode(request))


def test_where_nothing_is_refused_all_that_is_pending_is_planned_again() -> None:
    pending = [arrival("a", 1), arrival("b", 2)]
    assert Sieve().again(pending, {}) == pending


def test_a_refused_key_is_halved_until_one_is_condemned_and_the_others_stay_whole() -> None:
    sieve = Sieve()
    (one, two, three), other = [arrival("a", n) for n in (1, 3, 4)], [arrival("b", 2), arrival("b", 5)]
    assert sieve.again([one, *other, two, three], {"a": "why"}) == [one, *other]
    assert sieve.cut(Write("a", 0, Entity("a", 1), one.position, (), (), None)).stopped == two.position
    (condemned,) = sieve.again([one], {"a": "why"})
    assert condemned.position == one.position
    assert condemned.proof == Proof(f"{REFUSED}: why")
    assert condemned.proof.problem == "the table does not take what comes of it: why"
    assert sieve.again([condemned], {"a": "why"}) == []
    assert sieve.hopeless == {"a": "why"}


@pytest.mark.parametrize(("count", "rounds"), [(2, [1]), (3, [1]), (4, [2, 1]), (7, [3, 1]), (8, [4, 2, 1])])
def test_each_refusal_leaves_half_of_a_key_for_the_next_round(count: int, rounds: list[int]) -> None:
    sieve, pending = Sieve(), [arrival("a", n) for n in range(count)]
    for left in rounds:
        pending = sieve.again(pending, {"a": "why"})
        assert pending == [arrival("a", n) for n in range(left)]
        assert sieve.cut(write("a")).stopped == Position(left, 0)


def write(key: str, stopped: Position | None = None) -> Write:
    return Write(key, 0, Entity(key, 1), Position(0, 0), (), (), stopped)


@pytest.mark.parametrize(("stopped", "cut"), [(None, 2), (1, 1), (2, 2), (3, 2)])
def test_a_key_waits_from_where_it_was_cut_or_where_it_stopped_before(stopped: int | None, cut: int) -> None:
    sieve = Sieve()
    sieve.again([arrival("a", n) for n in range(4)], {"a": "why"})
    assert sieve.cut(write("a", None if stopped is None else Position(stopped, 0))).stopped == Position(cut, 0)
    for other in (write("b"), write("b", Position(7, 0))):
        assert sieve.cut(other) == other


def test_keys_are_condemned_each_for_its_own_reason() -> None:
    sieve = Sieve()
    one, two, three = arrival("a", 1), arrival("b", 2), arrival("c", 3)
    condemned = sieve.again([one, two, three], {"a": "too large", "b": "no such table"})
    assert [found.proof and found.proof.problem for found in condemned] == [
        f"{REFUSED}: too large",
        f"{REFUSED}: no such table",
        None,
    ]
    assert sieve.again([condemned[0]], {"a": "still too large"}) == []
    assert sieve.hopeless == {"a": "still too large"}
