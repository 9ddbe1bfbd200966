"""What is wrong with a table of rules, by the command's name. Values only."""

import inspect
import operator
from collections import ChainMap
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.tree import ROOT
from tidemill.contract.request import Request
from tidemill_consumers.core.batch import Accepted, Aggregatable, Internal, State, Verified
from tidemill_consumers.core.calling.routing import problem_of
from tidemill_consumers.media import RULES


def rule(state: State, request: Request) -> Accepted:
    return Accepted(state)


class Shop:
    def reserve(self, state: State, request: Request) -> Accepted:
        return Accepted(state)

    def __call__(self, state: State, request: Request, count: int = 1) -> Accepted:
        return Accepted(state)


async def waiting(state: State, request: Request) -> Accepted:
    return Accepted(state)


def generating(state: State, request: Request) -> Iterator[Accepted]:
    yield Accepted(state)


async def both(state: State, request: Request) -> AsyncIterator[Accepted]:
    yield Accepted(state)


def short(state: State) -> Accepted:
    return Accepted(state)


def long(state: State, request: Request, count: int) -> Accepted:
    return Accepted(state)


@pytest.mark.parametrize(
    "rules",
    [
        RULES,
        {},
        ChainMap({"a": rule}),
        {
            "a": rule,
            "b": Verified(rule),
            "c": Shop().reserve,
            "d": Shop(),
            "e": partial(long, count=2),
            "f": lambda *_: Accepted(None),
            "g": operator.add,
        },
    ],
)
def test_what_can_be_asked_is_right(rules: Any) -> None:
    assert problem_of(rules) is None


FUNCTION = "and must be a function of a document and a request"
PLAIN = "is a coroutine or a generator ({}), and must be a plain function that returns its outcome"


def at(function: Any) -> str:
    file = Path(__file__).relative_to(ROOT).as_posix()
    return f"{file}:{function.__code__.co_firstlineno}, in {function.__name__}"


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        (5, f"is int, {FUNCTION}"),
        (None, f"is NoneType, {FUNCTION}"),
        (Accepted, f"is the class Accepted, {FUNCTION}"),
        (Shop.reserve, f"({at(Shop.reserve)}), and must take a document and a request"),
        (short, f"({at(short)}), and must take a document and a request"),
        (long, f"({at(long)}), and must take a document and a request"),
        (waiting, PLAIN.format(at(waiting))),
        (generating, PLAIN.format(at(generating))),
        (both, PLAIN.format(at(both))),
    ],
)
@pytest.mark.parametrize("wrap", [lambda rule: rule, Verified, Internal])
def test_what_cannot_is_named(wrap: Any, found: Any, problem: str) -> None:
    said = problem_of({"fine": rule, "a.b": wrap(found)})
    assert said is not None
    assert said.startswith("RULES['a.b'] ")
    assert problem in said


def total(state: State, amount: int) -> Accepted:
    return Accepted(state)


def test_a_rule_for_a_total_takes_an_amount() -> None:
    assert problem_of({"a": Aggregatable(total), "b": Aggregatable(total, sum="count")}) is None
    said = problem_of({"a": Aggregatable(short)})  # type: ignore[arg-type] # what is wrong with it
    assert said is not None
    assert f"({at(short)}), and must take a document and an amount" in said


def test_what_the_stage_cannot_add_up_is_named() -> None:
    said = problem_of({"event.track": Aggregatable(total), "x" * 99: Aggregatable(total)})
    assert said is not None
    without_contract, too_long = said.split("; ")
    assert without_contract.startswith("RULES['event.track'] is in Aggregatable, and the stage does not see records")
    assert too_long.endswith("is in Aggregatable, so that it may have 98 characters: a writer is named by it")


def test_no_more_totals_are_kept_than_an_item_has_room_for() -> None:
    rules = {f"c{number}": Aggregatable(total) for number in range(17)}
    assert problem_of(rules) == "RULES has 17 commands in Aggregatable, and an item has room for 16"
    assert problem_of({**rules, "c0": rule}) is None


@pytest.mark.parametrize("cmd", [7, "", "x" * 129, None])
def test_a_command_that_no_request_can_have_is_named(cmd: Any) -> None:
    assert problem_of({cmd: rule}) == f"RULES has the command {cmd!r:.40}, which is no text of 1 to 128 characters"


def test_no_mapping_is_named() -> None:
    assert problem_of([rule]) == "RULES is no mapping of commands to rules, but a list"


def test_three_problems_are_told() -> None:
    said = problem_of(dict.fromkeys("abcde", 5))
    assert said is not None
    assert said.split("; ") == [f"RULES[{cmd!r}] is int, {FUNCTION}" for cmd in "abc"]


def test_a_command_may_have_as_many_characters_as_the_contract_allows() -> None:
    assert problem_of({"x" * 128: rule, "x": rule}) is None


class Narrow:
    def __call__(self, state: State) -> Accepted:
        return Accepted(state)


def test_what_has_no_place_is_told_without_one() -> None:
    taken = inspect.signature(Narrow())
    assert problem_of({"a": Narrow()}) == f"RULES['a'] takes {taken}, and must take a document and a request"


def test_a_function_whose_parameters_nobody_knows_may_be_asked() -> None:
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(max)
    assert problem_of({"a": max}) is None
