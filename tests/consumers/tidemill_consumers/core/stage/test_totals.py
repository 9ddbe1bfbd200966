"""What a window of the analytics stage adds, by the totals that its key remembers. Values only."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidemill.contract.request import Request
from tidemill_consumers.core.batch import Totals, Window
from tidemill_consumers.core.fitting import BYTES_OF_TOTALS, MOST_GENERATIONS, MOST_TOTALS, fitting_totals
from tidemill_consumers.core.stage.totals import (
    CLOCKS_DIFFER,
    LONGEST_COMMAND,
    MOST_TOTAL,
    Step,
    read_totals,
    step,
    totals_text,
    window_of,
)

A, B, C, D, E = (f"2026010{number}T000000Z-abcdef" for number in range(1, 6))


def after(*windows: Window) -> tuple[list[int | None], Totals]:
    """The amounts that windows come to, one after another, and what is remembered in the end."""
    amounts: list[int | None] = []
    totals = Totals()
    for window in windows:
        following = step(totals, window)
        assert isinstance(following, Step)
        amounts.append(following.amount)
        totals = following.totals
    return amounts, totals


def test_a_window_adds_what_its_total_has_grown_by() -> None:
    amounts, totals = after(Window(A, 10, 3), Window(A, 20, 3), Window(A, 40, 10))
    assert amounts == [3, 0, 7]
    assert totals == Totals(40, (Window(A, 40, 10),))


def test_a_window_that_comes_again_adds_nothing() -> None:
    assert after(Window(A, 10, 3), Window(A, 20, 5), Window(A, 10, 3), Window(A, 20, 5))[0] == [3, 2, None, None]


def test_a_window_that_was_overtaken_came_with_the_one_that_overtook_it() -> None:
    assert after(Window(A, 10, 3), Window(A, 30, 9), Window(A, 20, 5), Window(A, 40, 10))[0] == [3, 6, None, 1]


def test_a_generation_that_begins_anew_adds_where_the_former_ended() -> None:
    first = [Window(A, 10, 3), Window(A, 20, 5), Window(A, 30, 6)]
    again = [Window(B, 20, 2), Window(B, 30, 3), Window(B, 40, 7)]
    amounts, totals = after(*first, *again)
    assert amounts == [3, 2, 1, None, None, 4]
    assert totals == Totals(40, (Window(A, 30, 6), Window(B, 40, 7)))


def test_a_generation_that_is_new_to_a_key_begins_at_nothing() -> None:
    assert after(Window(A, 10, 3), Window(B, 40, 4))[0] == [3, 4]


def test_two_generations_at_once_add_each_window_once() -> None:
    windows = [
        Window(A, 10, 1),
        Window(B, 10, 1),
        Window(B, 20, 3),
        Window(A, 20, 3),
        Window(A, 30, 6),
        Window(B, 30, 6),
    ]
    assert after(*windows)[0] == [1, None, 2, None, 3, None]


def test_the_latest_generations_are_remembered_and_earlier_ones_add_nothing_any_more() -> None:
    windows = [Window(one, 10 * number, number) for number, one in enumerate([A, B, C, D, E], 1)]
    amounts, totals = after(*windows, Window(A, 90, 90))
    assert amounts[-1] is None
    assert [one.generation for one in totals.seen] == [B, C, D, E]
    assert len(totals.seen) == MOST_GENERATIONS


def test_an_earlier_generation_is_taken_while_there_is_room_and_while_it_is_remembered() -> None:
    assert after(Window(B, 10, 1), Window(A, 20, 2))[0] == [1, 2]
    four = [Window(one, 10, 1) for one in (B, C, D, E)]
    assert after(*four, Window(B, 20, 2), Window(A, 30, 3))[0] == [1, None, None, None, 1, None]


def test_a_total_that_falls_is_no_total() -> None:
    said = step(Totals(10, (Window(A, 10, 5),)), Window(A, 20, 4))
    assert said == "the total of its generation falls, from 5 to 4"


@given(
    counts=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    begins=st.lists(st.integers(0, 7), min_size=1, max_size=3),
    chance=st.integers(0, 2**32).map(Random),
)
def test_however_generations_take_turns_each_window_is_added_once(
    counts: list[int], begins: list[int], chance: Random
) -> None:
    """The first counts all windows; the others begin anywhere, but not after the first that nobody has finished."""
    turns = [(0, A)]
    applied: list[int] = []
    totals = Totals()
    waiting = sorted(begins)
    names = iter([B, C, D])
    places = {A: 0}
    furthest = 0
    while any(place < len(counts) for place in places.values()):
        if waiting and waiting[0] <= furthest and chance.random() < 0.5:
            name = next(names)
            places[name] = waiting.pop(0)
            turns.append((places[name], name))
        begin, name = chance.choice(turns)
        place = places[name]
        if place == len(counts):
            continue
        if chance.random() < 0.3:  # killed, and restored from where it had been: what it wrote comes again
            place = places[name] = chance.randint(begin, place)
        if counts[place]:  # a window in which there is nothing is not written
            following = step(totals, Window(name, 10 * (place + 1), sum(counts[begin : place + 1])))
            assert isinstance(following, Step)
            totals = following.totals
            applied.append(following.amount or 0)
        places[name] = place + 1
        furthest = max(furthest, place + 1)
    assert sum(applied) == sum(counts)


@given(
    st.builds(
        Totals,
        st.integers(0, 10**11),
        st.lists(
            st.builds(Window, st.sampled_from([A, B]), st.integers(1, 10**11), st.integers(0, MOST_TOTAL)), max_size=4
        ).map(tuple),
    )
)
def test_totals_come_back_from_their_text(totals: Totals) -> None:
    assert read_totals(totals_text(totals)) == totals


@pytest.mark.parametrize("text", ["", "a", "1/g", "1/g/2", "1/g/2/x", "1/g/2/3/h"])
def test_what_is_no_totals_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal|its totals"):
        read_totals(text)


REQUEST = Request(
    id="i", cmd="content.view", key="k", writer=f"stage/{A}/content.view", counter=20, data={"total": 7, "of": 20}
)


def test_a_request_of_the_stage_states_a_window() -> None:
    assert window_of(REQUEST, 20.0) == Window(A, 20, 7)
    assert window_of(REQUEST, 20.0 - CLOCKS_DIFFER) == Window(A, 20, 7), "the streams' clocks differ"
    for total in (0, MOST_TOTAL):
        assert window_of(replace(REQUEST, data={"total": total, "of": 20}), 20.0) == Window(A, 20, total)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"writer": f"stage/{A}/content.like"}, "its writer is not"),
        ({"writer": "stage/content.view"}, "its writer is not"),
        ({"writer": f"stage/{A}/"}, "its writer is not"),
        ({"writer": "stage/2026-01-01-abcdef/content.view"}, "its writer is not"),
        ({"counter": None}, "its window (n)"),
        ({"counter": None, "data": {"total": 7}}, "its window (n)"),
        ({"counter": 30}, "its window (n)"),
        ({"data": {"total": 7}}, "its window (n)"),
        ({"counter": 0, "data": {"total": 7, "of": 0}}, "its window 0 is not over"),
        ({"counter": 1000, "data": {"total": 7, "of": 1000}}, "its window 1000 is not over yet"),
        ({"data": {"of": 20}}, "total: a whole number"),
        ({"data": {"total": 7.0, "of": 20}}, "total: a whole number"),
        ({"data": {"total": True, "of": 20}}, "total: a whole number"),
        ({"data": {"total": -1, "of": 20}}, "total: a whole number"),
        ({"data": {"total": 2**63, "of": 20}}, "total: a whole number"),
    ],
)
def test_what_states_no_window_says_why(changes: dict[str, Any], said: str) -> None:
    found = window_of(replace(REQUEST, **changes), 20.0)
    assert isinstance(found, str)
    assert found.startswith(said)


def test_the_limits_of_a_window() -> None:
    assert (MOST_TOTAL, CLOCKS_DIFFER) == (9_223_372_036_854_775_807, 60.0)


def test_the_longest_command_has_a_writer_that_the_contract_allows() -> None:
    assert len(f"stage/{A}/{'x' * LONGEST_COMMAND}") == 128


def test_totals_of_commands_that_are_no_more_go_first_then_the_longest_unused() -> None:
    totals = {f"c{number}": Totals(number, ()) for number in range(MOST_TOTALS)}
    assert fitting_totals(totals, set()) is totals
    more = totals | {"new": Totals(0, ())}
    assert fitting_totals(more, {"new"}).keys() == more.keys() - {"c0"}
    assert fitting_totals(more, more.keys() - {"c7"}).keys() == more.keys() - {"c7"}


def test_no_commands_totals_take_more_than_their_room() -> None:
    window = Window(A, 10**11, MOST_TOTAL)
    text = totals_text(Totals(10**11, (window,) * MOST_GENERATIONS))
    assert len("\N{WATER WAVE}".encode()) * LONGEST_COMMAND + len(text) + 1 <= BYTES_OF_TOTALS
