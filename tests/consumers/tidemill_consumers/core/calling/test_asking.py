"""What a rule may do wrong, and what becomes of its request. Values only."""

import asyncio
import operator
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from enum import IntEnum, StrEnum
from typing import Any, NoReturn, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.values import storable_values
from tidemill.contract.request import Json, Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Emit, Position, Rejected, Rule, State
from tidemill_consumers.core.calling.asking import (
    MAX_ANSWER_BYTES,
    MAX_SAID,
    TICKS,
    Refused,
    RuleOutcome,
    Stopped,
    Taken,
    Watch,
    ask,
    unpacked,
)
from tidemill_consumers.core.item_limits import MAX_DEPTH, unstorable

encode_document = msgspec.msgpack.Encoder().encode

REQUEST = Request(id="1", cmd="c", key="k", client="ann", writer="w", counter=1, data={"n": 1})
ARRIVAL = Arrival("s", Position(1, 0), 1000.0, "k", REQUEST, encode(REQUEST))


def asked(rule: Any, document: State = None, watch: Watch | None = None) -> RuleOutcome:
    return ask(cast("Rule", rule), document, False, ARRIVAL, 0, watch or Watch())


def taken(document: State) -> Taken:
    """The outcome of a rule that returns this document, which is packed where it is checked."""
    return Taken(document, is_flat=False, packed=encode_document(document))


def refused(rule: Any, document: State = None, watch: Watch | None = None) -> str:
    """Why its request goes to the quarantine, without the place."""
    found = asked(rule, document, watch)
    assert isinstance(found, Refused)
    assert type(found.reason) is str
    return re.sub(
        r" \(tests/consumers/tidemill_consumers/core/calling/test_asking\.py:\d+, in [\w<>]+\)$", "", found.reason
    )


def raising(error: BaseException) -> Callable[[State, Request], NoReturn]:
    def rule(state: State, request: Request) -> NoReturn:
        raise error

    return rule


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no word")


class Fatal(BaseException):
    pass


class FatalWord(BaseException):
    def __str__(self) -> str:
        raise SystemExit(3)


class Text(str):
    __slots__ = ()

    def __getitem__(self, place: object) -> NoReturn:
        raise SystemExit

    def __str__(self) -> str:
        raise SystemExit

    def encode(self, *args: object, **more: object) -> NoReturn:
        raise SystemExit


class Wordy(Exception):
    def __str__(self) -> str:
        return Text("fine")


def no_class(_: object) -> NoReturn:
    raise SystemExit


Hidden = type("Hidden", (BaseException,), {"__class__": property(no_class)})


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("boom"), "the rule raised RuntimeError: boom"),
        (Unspeakable(), "the rule raised Unspeakable, which cannot say why"),
        (FatalWord(), "the rule raised FatalWord, which cannot say why"),
        (Wordy(), "the rule raised Wordy: fine"),
        (SystemExit(1), "the rule raised SystemExit: 1"),
        (KeyboardInterrupt(), "the rule raised KeyboardInterrupt: "),
        (asyncio.CancelledError(), "the rule raised CancelledError: "),
        (GeneratorExit(), "the rule raised GeneratorExit: "),
        (StopIteration(), "the rule raised StopIteration: "),
        (Fatal("end"), "the rule raised Fatal: end"),
        (Hidden(), "the rule raised Hidden: "),
        (BaseExceptionGroup("several", [Fatal()]), "the rule raised BaseExceptionGroup: several (1 sub-exception)"),
        (RecursionError(), "the rule raised RecursionError: "),
        (MemoryError(), "the rule raised MemoryError: "),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else "",
)
def test_whatever_a_rule_raises_is_its_requests_fate(error: BaseException, reason: str) -> None:
    watch = Watch()
    assert refused(raising(error), watch=watch) == reason
    assert watch.at_work is None


class Odd(Rejected, frozen=True):
    def __getattribute__(self, name: str) -> Any:
        if name == "reason":
            raise SystemExit
        return super().__getattribute__(name)


class Level(IntEnum):
    HIGH = 2


class Field(StrEnum):
    TITLE = "title"


def emitting() -> Iterator[Emit]:
    yield Emit("hear", "ear")
    raise SystemExit


def endless() -> Iterator[Emit]:
    while True:
        yield Emit("hear", "ear")


def within_itself() -> Json:
    value: list[Any] = []
    value += [value] * 8
    return value


def many_times_over() -> Json:
    value: Json = "x" * 10
    for _ in range(MAX_DEPTH - 2):
        value = [value] * 64
    return value


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (None, "the rule returned NoneType, which is neither Accepted(…) nor Rejected(…)"),
        ({"n": 1}, "the rule returned dict, which is neither Accepted(…) nor Rejected(…)"),
        (Accepted, "the rule returned a class, which is neither Accepted(…) nor Rejected(…)"),
        (Rejected(cast("Any", 7)), "the rule rejects for a reason that is int, not text"),
        (Rejected(cast("Any", None)), "the rule rejects for a reason that is NoneType, not text"),
        (Odd("no"), "the rule raised SystemExit: "),
        (Accepted(cast("Any", "text")), "the document cannot be stored: it is str, and must be a dict or None"),
        (Accepted(cast("Any", [{}])), "the document cannot be stored: it is list, and must be a dict or None"),
        (Accepted({"x": {1}}), "the document cannot be stored: set is not JSON"),
        (Accepted({"x": Level.HIGH}), "the document cannot be stored: Level is not JSON"),
        (Accepted({"x": Text("y")}), "the document cannot be stored: Text is not JSON"),
        (Accepted({"x": within_itself()}), "the document cannot be stored: nested deeper than 30 levels"),
        (Accepted({"x": many_times_over()}), "262144 are the most"),
        (Accepted(None, {"x": float("nan")}), "the answer cannot be kept: the number nan is out of range"),
        (Accepted(None, "x" * 20_000), "the answer cannot be kept: 20002 bytes; 16384 are the most"),
        (Accepted(None, emits=cast("Any", emitting())), "the rule raised SystemExit: "),
        (Accepted(None, emits=cast("Any", 7)), "the rule's emits are int, and must be a tuple of Emit"),
        (Accepted(None, emits=cast("Any", Emit("a", "b"))), "the rule's emits are Emit, and must be a tuple of Emit"),
        (Accepted(None, emits=cast("Any", ("a",))), "cannot be sent: follow-up request 1: str is no Emit"),
        (
            Accepted(None, emits=cast("Any", endless())),
            "cannot be sent: follow-up requests of more than",
        ),
    ],
)
def test_whatever_a_rule_returns_is_its_requests_fate(returned: object, reason: str) -> None:
    assert reason in refused(lambda state, request: returned, {"n": 1})


def test_a_reason_is_kept_as_plain_text() -> None:
    found = asked(lambda state, request: Rejected(Text("no")))
    assert found == Rejected("no")
    assert isinstance(found, Rejected)
    assert type(found.reason) is str


def test_a_document_becomes_plain_json() -> None:
    def rule(state: State, request: Request) -> Accepted:
        counts: dict[str, Json] = defaultdict(int, {"n": 1})
        return Accepted({Field.TITLE: "t", "counts": counts, "order": OrderedDict(a=[1])})

    found = asked(rule)
    assert found == Taken({"title": "t", "counts": {"n": 1}, "order": {"a": [1]}}, is_flat=False)
    assert isinstance(found, Taken)
    assert found.state is not None
    assert [type(name) for name in found.state] == [str] * 3
    assert [type(child) for child in found.state.values()] == [str, dict, dict]


@given(some.dictionaries(some.text(min_size=1, max_size=5), storable_values, max_size=4))
def test_what_a_rule_gets_and_leaves_is_equal_and_shares_nothing(document: dict[str, Json]) -> None:
    if unstorable(document):
        return
    given_to: list[State] = []

    def rule(state: State, request: Request) -> Accepted:
        given_to.append(state)
        return Accepted(state)

    found = asked(rule, document)
    assert isinstance(found, Taken)
    assert found.state == document == given_to[0]
    assert not containers(found.state) & containers(given_to[0])
    assert not containers(document) & (containers(found.state) | containers(given_to[0]))
    assert not found.is_flat or len(containers(document)) == 1
    assert not found.packed or encode_document(unpacked(found.packed)) == encode_document(document)


def test_a_document_that_is_lent_is_the_rules_own() -> None:
    document = {"n": 1, "in": {"x": [1]}}
    given_to: list[State] = []

    def rule(state: State, request: Request) -> Accepted:
        given_to.append(state)
        return Accepted(state)

    found = ask(rule, document, False, ARRIVAL, 0, Watch(), may_lend=True)
    assert given_to[0] is document
    assert isinstance(found, Taken)
    assert found.state == document
    assert not containers(found.state) & containers(document)


@pytest.mark.parametrize("value", [2**64, 1e-120, "x" * 20_000])
def test_what_is_unusual_is_not_packed(value: Json) -> None:
    assert asked(lambda state, request: Accepted({"v": [value]})) == Taken({"v": [value]}, is_flat=False)


def containers(value: Json) -> set[int]:
    if isinstance(value, dict):
        return {id(value)}.union(*map(containers, value.values()))
    return {id(value)}.union(*map(containers, value)) if isinstance(value, list) else set()


# ── A rule's time ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_at_work_on_one_request_is_out_of_time_at_the_fifth_tick_after_the_first() -> None:
    watch = Watch()
    watch.at_work = ARRIVAL
    assert [watch.tick() for _ in range(TICKS + 2)] == [False] * TICKS + [True] * 2


def test_a_request_that_others_follow_is_not() -> None:
    watch = Watch()
    found = []
    for number in range(20):
        watch.at_work = msgspec.structs.replace(ARRIVAL, arrived=float(number))
        found += [watch.tick() for _ in range(TICKS)]
    assert not any(found)


def test_no_rule_at_work_is_never_out_of_time() -> None:
    watch = Watch()
    assert not any(watch.tick() for _ in range(20))
    watch.at_work = ARRIVAL
    watch.tick()
    watch.at_work = None
    watch.tick()
    watch.at_work = ARRIVAL
    assert not any(watch.tick() for _ in range(TICKS))


def test_a_rule_that_is_stopped_has_that_for_its_reason() -> None:
    assert refused(raising(Stopped("took longer"))) == "took longer"


def test_a_rule_that_is_stopped_while_it_says_what_it_raised_has_that_for_its_reason() -> None:
    class Slow(Exception):
        def __str__(self) -> str:
            raise Stopped("took longer")

    watch = Watch()
    assert refused(raising(Slow()), watch=watch) == "took longer"
    assert watch.at_work is None


def test_the_watch_knows_of_all_that_is_the_rules() -> None:
    watch, seen = Watch(), list[Arrival | None]()

    class Looking(Exception):
        def __str__(self) -> str:
            seen.append(watch.at_work)
            return "seen"

    def emits() -> Iterator[Emit]:
        seen.append(watch.at_work)
        yield Emit("hear", "ear")

    assert refused(raising(Looking()), watch=watch) == "the rule raised Looking: seen"
    assert isinstance(asked(lambda *_: Accepted(None, emits=cast("Any", emits())), watch=watch), Taken)
    assert seen == [ARRIVAL] * 2


def test_counting_in_a_document_of_numbers_and_texts_leaves_one_that_nothing_can_change() -> None:
    def count(state: State, request: Request) -> Accepted:
        assert state is not None
        return Accepted(state | {"n": state["n"] + 1})

    assert asked(count, {"n": 1, "name": "x"}) == Taken({"n": 2, "name": "x"}, is_flat=True)
    assert asked(count, {"n": 1, "in": {}}) == taken({"n": 2, "in": {}})
    assert asked(lambda state, request: Accepted({"n": 1})) == taken({"n": 1})


@pytest.mark.parametrize("document", [{"n": 1}, {"n": 1, "in": {}}])
def test_what_else_a_rule_that_counts_says_is_taken_over_with_its_document(document: dict[str, Json]) -> None:
    def count(state: State, request: Request) -> Accepted:
        assert state is not None
        return Accepted(state | {"n": state["n"] + 1}, {"left": 1}, (Emit("hear", "ear", {"n": 2}),))

    found = asked(count, document)
    assert isinstance(found, Taken)
    assert (found.state, found.is_flat, found.answer) == (document | {"n": 2}, "in" not in document, {"left": 1})
    assert [(one.cmd, one.key, one.data, one.counter) for one in found.requests] == [("hear", "ear", {"n": 2}, 1)]


@pytest.mark.parametrize(("emitted", "counters"), [(0, [1, 2]), (7, [8, 9])])
def test_follow_up_requests_are_counted_on_from_those_before(emitted: int, counters: list[int]) -> None:
    def emit(state: State, request: Request) -> Accepted:
        return Accepted(None, emits=(Emit("hear", "ear"), Emit("hear", "ear")))

    found = ask(emit, None, False, ARRIVAL, emitted, Watch())
    assert isinstance(found, Taken)
    assert [one.counter for one in found.requests] == counters


@pytest.mark.parametrize("emits", [(), [], None])
def test_a_rule_that_emits_nothing_may_say_so_in_any_way(emits: Any) -> None:
    assert asked(lambda state, request: Accepted(None, emits=emits)) == Taken(None, is_flat=True)


@pytest.mark.parametrize("size", [MAX_ANSWER_BYTES - 1, MAX_ANSWER_BYTES, MAX_ANSWER_BYTES + 1])
def test_an_answer_may_have_as_many_bytes_as_its_json_has(size: int) -> None:
    answer = "é" * 100 + "x" * (size - 202)
    found = asked(lambda state, request: Accepted(None, answer))
    if size <= MAX_ANSWER_BYTES:
        assert found == Taken(None, True, answer)
    else:
        assert isinstance(found, Refused)
        assert found.reason.startswith("the answer cannot be kept: 16385 bytes; 16384 are the most (")


def test_a_rule_that_cannot_be_called_with_two_is_told_by_its_own_place() -> None:
    def short(state: State) -> Accepted:
        return Accepted(state)

    found = asked(short)
    assert isinstance(found, Refused)
    line = short.__code__.co_firstlineno
    assert found.reason.endswith(
        f"(tests/consumers/tidemill_consumers/core/calling/test_asking.py:{line}, in {short.__name__})"
    )
    assert found.reason.startswith("the rule raised TypeError: ")
    assert found.trace == ()


def test_a_rule_that_is_no_function_of_pythons_is_told_without_a_place() -> None:
    with pytest.raises(TypeError) as raised:
        cast("Any", operator.neg)(None, REQUEST)
    assert asked(operator.neg) == Refused(f"the rule raised TypeError: {raised.value}")


@pytest.mark.parametrize("raised", [MAX_SAID - 40, 3 * MAX_SAID])
def test_of_what_a_rule_raised_its_first_800_characters_stand_in_the_reason(raised: int) -> None:
    assert refused(raising(RuntimeError("x" * raised))) == ("the rule raised RuntimeError: " + "x" * raised)[:800]


def test_stopped_says_why() -> None:
    assert (str(Stopped("took longer")), Stopped("took longer").reason) == ("took longer", "took longer")


def test_the_limits_of_what_a_rule_says() -> None:
    assert (MAX_ANSWER_BYTES, MAX_SAID, TICKS) == (16_384, 800, 5)
