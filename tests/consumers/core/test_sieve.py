"""On the way to the request for which the table refuses an entity. Values only."""

from tidemill.request import Request, encode
from tidemill_consumers.core.batch import Arrival, Entity, Position, Write
from tidemill_consumers.core.sieve import Sieve


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
    assert condemned != one
    assert sieve.again([condemned], {"a": "why"}) == []
    assert sieve.hopeless == {"a": "why"}
