"""From saved and failed keys to a verdict. Values only."""

import pytest
from msgspec.structs import replace

from tests.values import places
from tidemill.contract.request import Reply, Request
from tidemill_consumers.core.batch import (
    Arrival,
    Asker,
    Emitted,
    Entity,
    Plan,
    Position,
    Quarantined,
    Receipt,
    Unreadable,
    Verdict,
    Write,
)
from tidemill_consumers.core.folding.depth import why_looped
from tidemill_consumers.core.settle import Counts, is_proven_when_saved, lowest, refusals, settle, waiting


def write(key: str, first: int, stopped: Position | None = None) -> Write:
    return Write(key, 0, Entity(key, 1), Position(first, 0), (receipt(first), receipt(first + 100)), (), stopped)


def receipt(sequence: int) -> Receipt:
    return Receipt("c", Reply(f"i{sequence}", "accepted"), Position(sequence, 0))


def arrival(key: str, sequence: int, sub: int) -> Arrival:
    return Arrival("s", Position(sequence, sub), 1.0, key, Request(id="i", cmd="c", key=key, data={}), b"{}")


def test_when_all_is_saved_all_are_answered_and_nothing_comes_again() -> None:
    verdict = settle(Plan((write("a", 1), write("b", 2))), set())
    assert verdict == Verdict((receipt(1), receipt(101), receipt(2), receipt(102)), (), {})


def test_a_failed_key_comes_again_from_its_first_request_and_is_not_answered() -> None:
    planned = Plan((write("a", 5), write("b", 2), write("c", 9)))
    assert settle(planned, {"a"}) == Verdict((receipt(2), receipt(102), receipt(9), receipt(109)), tuple(places(5)), {})
    assert settle(planned, {"a", "c"}).retry_from == tuple(places(5, 9))
    assert settle(planned, {"a", "b", "c"}) == Verdict((), tuple(places(5, 2, 9)), {})


def test_a_stopped_key_is_answered_and_the_rest_of_it_waits() -> None:
    stop = Position(7, 3)
    planned = Plan((write("a", 1, stop), write("b", 2)))
    verdict = settle(planned, {"b"})
    assert verdict == Verdict((receipt(1), receipt(101)), tuple(places(2)), {"a": stop})
    before, at, after = arrival("a", 7, 2), arrival("a", 7, 3), arrival("a", 8, 0)
    assert waiting([before, arrival("b", 7, 4), at, after, arrival("b", 8, 1)], verdict) == [at, after]


def test_a_stopped_key_that_failed_does_not_wait_but_comes_again() -> None:
    verdict = settle(Plan((write("a", 1, Position(7, 3)),)), {"a"})
    assert verdict == Verdict((), tuple(places(1)), {})
    assert waiting([arrival("a", 7, 3)], verdict) == []


def test_what_was_emitted_leaves_once_its_entity_is_saved() -> None:
    kept, lost = (Emitted("s", Position(n, 0), ()) for n in (1, 2))
    planned = Plan((replace(write("a", 1), emits=(kept,)), replace(write("b", 2), emits=(lost,))))
    assert settle(planned, {"b"}).emits == (kept,)


@pytest.mark.parametrize("becomes", [Entity("a", 1), None])
@pytest.mark.parametrize("receipts", [(receipt(1),), ()])
@pytest.mark.parametrize("poison", [(Quarantined(arrival("a", 1, 0), "no"),), ()])
@pytest.mark.parametrize("emits", [(Emitted("s", Position(1, 0), ()),), ()])
def test_a_save_proves_what_comes_of_it_only(
    becomes: Entity | None,
    receipts: tuple[Receipt, ...],
    poison: tuple[Quarantined, ...],
    emits: tuple[Emitted, ...],
) -> None:
    write = Write("a", 0, becomes, Position(1, 0), receipts, poison, None, emits)
    nothing_comes_of_it = not (receipts or poison or emits)
    assert is_proven_when_saved(write) is (nothing_comes_of_it or (becomes is not None and not poison))


def test_what_is_no_request_is_answered_where_it_names_somebody() -> None:
    named, other = (
        Unreadable("s", Position(7, n), 1.0, "k", b"", "misrouted", asker)
        for n, asker in enumerate((Asker("c", "i"), None))
    )
    assert refusals([named, other]) == [Receipt("c", Reply("i", "quarantined", error="misrouted"), Position(7, 0))]


def test_an_empty_batch_is_done() -> None:
    assert settle(Plan(()), set()) == Verdict((), (), {})


def test_the_lowest_is_so_by_number() -> None:
    assert lowest([*places(10, 9, 10**56), Position(9, 1)]) == Position(9, 0)
    assert lowest([]) is None


def test_what_saved_writes_did_is_counted_and_failed_keys_are_not() -> None:
    poison = (Quarantined(arrival("a", 3, 0), "bad"), Quarantined(arrival("a", 4, 0), why_looped(17, 16)))
    busy = replace(
        write("a", 1), taken=9, rejected=1, repeated=2, redelivered=3, quarantine=poison, untold=1, evicted=4
    )
    still = replace(write("b", 2), taken=1, redelivered=1, new_entity=None)
    counts = Counts()
    counts.add(Plan((busy, still, replace(busy, key="c"))), {"c"})
    counts.add(Plan((replace(write("b", 7), taken=12),)), set())
    assert counts == Counts(1, 2, 4, 2, 2, 4, 1, 1, 0, {"a": 9, "b": 13})
    assert (counts.applied, counts.hottest_key) == (22 - 9, "b")


def test_nothing_has_no_hottest_key() -> None:
    assert (Counts().applied, Counts().hottest_key) == (0, "")
