"""Event patterns: each operator by itself, then side by side with the emulator's own EventBridge."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidemill_event_source.decisions.pattern import InvalidPattern, parse_pattern
from tidemill_local.emulator import Emulator

Json = Any

ENVELOPE = {
    "id": "1",
    "account": "000000000000",
    "source": "test",
    "time": "2025-11-25T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail-type": "test",
}
"""What an event has for EventBridge beside its detail."""


def matches(pattern: Json, document: Json) -> bool:
    return parse_pattern(pattern).matches(document)


def emulated(emulator: Emulator, pattern: Json, document: Json) -> bool | str:
    """Whether EventBridge says so of an event with that detail; its error's code if it refuses the pattern."""
    events = emulator.client("events")
    event = json.dumps({**ENVELOPE, "detail": document})
    try:
        result: bool = events.test_event_pattern(EventPattern=json.dumps({"detail": pattern}), Event=event)["Result"]
    except events.exceptions.InvalidEventPatternException:
        return "refused"
    return result


def ours(pattern: Json, document: Json) -> bool | str:
    try:
        return matches({"detail": pattern}, {"detail": document})
    except InvalidPattern:
        return "refused"


MATCHES: list[tuple[Json, Json, bool]] = [
    # Equals, empty, null
    ({"a": ["x"]}, {"a": "x"}, True),
    ({"a": ["x"]}, {"a": "X"}, False),
    ({"a": ["x"]}, {"a": "xy"}, False),
    ({"a": ["x"]}, {"a": "x", "b": "y"}, True),
    ({"a": ["x"]}, {}, False),
    ({"a": [""]}, {"a": ""}, True),
    ({"a": [""]}, {"a": None}, False),
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {"a": ""}, False),
    ({"a": [None]}, {"a": 0}, False),
    ({"a": [None]}, {"a": False}, False),
    ({"a": [None]}, {}, False),
    # JSON's types, where Python holds some of them equal
    ({"a": [True]}, {"a": True}, True),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": [1]}, {"a": True}, False),
    ({"a": [0]}, {"a": False}, False),
    ({"a": [False]}, {"a": 0}, False),
    ({"a": [1]}, {"a": 1}, True),
    ({"a": [1]}, {"a": "1"}, False),
    ({"a": ["1"]}, {"a": 1}, False),
    ({"a": [1.5]}, {"a": 1.5}, True),
    # Or, and
    ({"a": ["x", "y"]}, {"a": "y"}, True),
    ({"a": ["x", 1, None]}, {"a": 1}, True),
    ({"a": ["x", "y"]}, {"a": "z"}, False),
    ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "y"}, True),
    ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "z"}, False),
    ({"a": ["x"], "b": ["y"]}, {"a": "x"}, False),
    # Or over fields
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "x"}, True),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": "y"}, True),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "y", "b": "x"}, False),
    ({"c": [1], "$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "x", "c": 1}, True),
    ({"c": [1], "$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "x", "c": 2}, False),
    ({"$or": [{"a": ["x"], "b": ["y"]}, {"c": [1]}]}, {"a": "x"}, False),
    ({"$or": [{"a": ["x"], "b": ["y"]}, {"c": [1]}]}, {"a": "x", "b": "y"}, True),
    ({"$or": [{"a": ["x"]}, {"$or": [{"b": [1]}, {"c": [2]}]}]}, {"c": 2}, True),
    ({"$or": [{"a": ["x"]}, {"$or": [{"b": [1]}, {"c": [2]}]}]}, {"c": 1}, False),
    ({"o": {"$or": [{"a": ["x"]}, {"b": ["y"]}]}}, {"o": {"b": "y"}}, True),
    ({"o": {"$or": [{"a": ["x"]}, {"b": ["y"]}]}}, {"b": "y"}, False),
    # Prefix, suffix
    ({"a": [{"prefix": "us-"}]}, {"a": "us-east-1"}, True),
    ({"a": [{"prefix": "us-"}]}, {"a": "US-east-1"}, False),
    ({"a": [{"prefix": "us-"}]}, {"a": "eu-us-"}, False),
    ({"a": [{"prefix": "1"}]}, {"a": 12}, False),
    ({"a": [{"prefix": "us-"}]}, {}, False),
    ({"a": [{"prefix": ""}]}, {"a": ""}, True),
    ({"a": [{"prefix": ""}]}, {"a": 1}, False),
    ({"a": [{"suffix": ".png"}]}, {"a": "cat.png"}, True),
    ({"a": [{"suffix": ".png"}]}, {"a": "cat.PNG"}, False),
    ({"a": [{"suffix": ".png"}]}, {"a": ".png.gz"}, False),
    ({"a": [{"suffix": "2"}]}, {"a": 12}, False),
    # Equals, ignoring case: each character in either of its cases
    ({"a": [{"equals-ignore-case": "alice"}]}, {"a": "ALIcE"}, True),
    ({"a": [{"equals-ignore-case": "ALICE"}]}, {"a": "alice"}, True),
    ({"a": [{"equals-ignore-case": "alice"}]}, {"a": "alices"}, False),
    ({"a": [{"equals-ignore-case": "a.c"}]}, {"a": "abc"}, False),
    ({"a": [{"equals-ignore-case": "straße"}]}, {"a": "STRASSE"}, True),
    ({"a": [{"equals-ignore-case": "straße"}]}, {"a": "strasse"}, False),
    ({"a": [{"equals-ignore-case": "true"}]}, {"a": True}, False),
    ({"a": [{"equals-ignore-case": ""}]}, {"a": ""}, True),
    # Anything but
    ({"a": [{"anything-but": "x"}]}, {"a": "y"}, True),
    ({"a": [{"anything-but": "x"}]}, {"a": "x"}, False),
    ({"a": [{"anything-but": "x"}]}, {"a": None}, True),
    ({"a": [{"anything-but": "1"}]}, {"a": 1}, True),
    ({"a": [{"anything-but": "x"}]}, {}, False),
    ({"a": [{"anything-but": 1}]}, {"a": 2}, True),
    ({"a": [{"anything-but": 1}]}, {"a": 1}, False),
    ({"a": [{"anything-but": 1}]}, {"a": True}, True),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "y"}, False),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "z"}, True),
    ({"a": [{"anything-but": [1, 2]}]}, {"a": 2}, False),
    ({"a": [{"anything-but": ["x"]}]}, {"a": ["x", "y"]}, True),
    ({"a": [{"anything-but": ["x"]}]}, {"a": ["x", "x"]}, False),
    ({"a": [{"anything-but": ["x"]}]}, {"a": []}, False),
    ({"a": [{"anything-but": {"prefix": "us-"}}]}, {"a": "eu-west-1"}, True),
    ({"a": [{"anything-but": {"prefix": "us-"}}]}, {"a": "us-east-1"}, False),
    ({"a": [{"anything-but": {"prefix": ["us-", "eu-"]}}]}, {"a": "eu-west-1"}, False),
    ({"a": [{"anything-but": {"prefix": ["us-", "eu-"]}}]}, {"a": "ap-south-1"}, True),
    ({"a": [{"anything-but": {"suffix": ".png"}}]}, {"a": "cat.png"}, False),
    ({"a": [{"anything-but": {"suffix": ".png"}}]}, {"a": "cat.jpg"}, True),
    ({"a": [{"anything-but": {"equals-ignore-case": "x"}}]}, {"a": "X"}, False),
    ({"a": [{"anything-but": {"equals-ignore-case": ["x", "y"]}}]}, {"a": "z"}, True),
    # Numeric
    ({"a": [{"numeric": ["=", 100]}]}, {"a": 100}, True),
    ({"a": [{"numeric": ["=", 100]}]}, {"a": 1e2}, True),
    ({"a": [{"numeric": ["=", 100]}]}, {"a": 101}, False),
    ({"a": [{"numeric": ["=", 1]}]}, {"a": True}, False),
    ({"a": [{"numeric": ["=", 1]}]}, {"a": "1"}, False),
    ({"a": [{"numeric": ["<", 10]}]}, {"a": 9.99}, True),
    ({"a": [{"numeric": ["<", 10]}]}, {"a": 10}, False),
    ({"a": [{"numeric": ["<=", 10]}]}, {"a": 10}, True),
    ({"a": [{"numeric": ["<=", 10]}]}, {"a": 10.01}, False),
    ({"a": [{"numeric": [">", -1]}]}, {"a": 0}, True),
    ({"a": [{"numeric": [">", -1]}]}, {"a": -1}, False),
    ({"a": [{"numeric": [">=", -1]}]}, {"a": -1}, True),
    ({"a": [{"numeric": [">=", -1]}]}, {"a": -2}, False),
    ({"a": [{"numeric": [">", 10, "<=", 20]}]}, {"a": 10}, False),
    ({"a": [{"numeric": [">", 10, "<=", 20]}]}, {"a": 11}, True),
    ({"a": [{"numeric": [">", 10, "<=", 20]}]}, {"a": 20}, True),
    ({"a": [{"numeric": [">", 10, "<=", 20]}]}, {"a": 21}, False),
    ({"a": [{"numeric": [">=", 10, "<", 20]}]}, {"a": 10}, True),
    ({"a": [{"numeric": [">=", 10, "<", 20]}]}, {"a": 20}, False),
    # Exists: null does; "Exists matching only works on leaf nodes. It does not work on intermediate nodes."
    ({"a": [{"exists": True}]}, {"a": None}, True),
    ({"a": [{"exists": True}]}, {"a": ""}, True),
    ({"a": [{"exists": True}]}, {"a": [1]}, True),
    ({"a": [{"exists": True}]}, {"b": 1}, False),
    ({"a": [{"exists": False}]}, {"b": 1}, True),
    ({"a": [{"exists": False}]}, {"a": None}, False),
    ({"a": [{"exists": True}]}, {"a": {"c": 1}}, False),
    ({"a": [{"exists": False}]}, {"a": {"c": 1}}, True),
    ({"a": [{"exists": True}]}, {"a": []}, False),
    ({"a": [{"exists": False}]}, {"a": []}, True),
    ({"a": [{"exists": False}, "x"]}, {}, True),
    ({"a": [{"exists": False}, "x"]}, {"a": "x"}, True),
    ({"a": [{"exists": False}, "x"]}, {"a": "y"}, False),
    # Objects within
    ({"o": {"a": ["x"]}}, {"o": {"a": "x", "b": 1}}, True),
    ({"o": {"a": ["x"]}}, {"o": {"b": "x"}}, False),
    ({"o": {"a": ["x"]}}, {"a": "x"}, False),
    ({"o": {"p": {"a": ["x"]}}}, {"o": {"p": {"a": "x"}}}, True),
    ({"o": {"a": ["x"]}}, {"o": "x"}, False),
    ({"o": {"a": ["x"]}}, {"o": None}, False),
    ({"o": {"a": [{"exists": False}]}}, {}, True),
    ({"o": {"a": [{"exists": False}]}}, {"o": {}}, True),
    ({"o": {"a": [{"exists": False}]}}, {"o": "x"}, True),
    ({"o": {"a": [{"exists": False}]}}, {"o": {"a": 1}}, False),
    ({"a": ["x"]}, {"a": {"a": "x"}}, False),
    # Lists: "if the intersection of the event pattern array and the event array is non-empty"
    ({"a": ["x", "y"]}, {"a": ["z", "y"]}, True),
    ({"a": ["x", "y"]}, {"a": ["z"]}, False),
    ({"a": ["x"]}, {"a": []}, False),
    ({"a": ["x"]}, {"a": [["z"], ["x"]]}, True),
    ({"a": [{"prefix": "x"}]}, {"a": ["z", "xyz"]}, True),
    ({"a": [None]}, {"a": [1, None]}, True),
    # Lists of objects: all fields from one of them
    ({"o": {"a": ["x"]}}, {"o": [{"a": "z"}, {"a": "x"}]}, True),
    ({"o": {"a": ["x"]}}, {"o": [[{"a": "z"}], [{"a": "x"}]]}, True),
    ({"o": {"a": ["x"], "b": ["y"]}}, {"o": [{"a": "x", "b": "z"}, {"a": "z", "b": "y"}]}, False),
    ({"o": {"a": ["x"], "b": ["y"]}}, {"o": [{"a": "z"}, {"a": "x", "b": "y"}]}, True),
    ({"o": {"a": ["x"]}}, {"o": ["x", 1]}, False),
]
"""Pattern, document, and whether it matches: by the documentation of EventBridge, whose syntax filters have.

Left out, for the emulator is another opinion than the documentation:

- 300 against 300.0: "For numbers, EventBridge uses string representation. For example, 300, 300.0, and 3.0e2 are
  not considered equal." The emulator, and AWS's own matcher that it follows, aws/event-ruler, hold them equal;
  so do we.
- anything-but against an object: "Comparison operators only work on leaf nodes, with the exception of $or and
  anything-but." The emulator, and event-ruler, find no leaf there, and so no match; so do we.
- a missing field where another object of the list has it: "matches any event that does not have a detail.c-count
  field". The emulator is content with one object that does not have it; so are we.
- a field within $or and beside it: "$or" makes it one of several patterns, all of which stand beside the rest. The
  emulator lets the last of the field's patterns replace the others.
"""


@pytest.mark.parametrize(("pattern", "document", "expected"), MATCHES)
def test_a_document_matches_or_does_not(pattern: Json, document: Json, expected: bool) -> None:
    assert matches(pattern, document) is expected


@pytest.mark.parametrize("document", [None, 1, "x", [], [{"a": "x"}]])
def test_what_is_no_object_matches_nothing(document: Json) -> None:
    assert not matches({"a": [{"exists": False}]}, document)


def test_a_field_beside_or_and_in_it_must_be_both() -> None:
    pattern = {"a": [{"prefix": "x"}], "$or": [{"a": [{"suffix": "y"}]}, {"b": [1]}]}
    assert matches(pattern, {"a": "xy"})
    assert not matches(pattern, {"a": "zy"})
    assert not matches(pattern, {"a": "xz"})


def test_numbers_are_equal_however_they_are_written() -> None:
    assert matches({"a": [300]}, json.loads('{"a": 3.0e2}'))
    assert not matches({"a": [{"anything-but": 300}]}, json.loads('{"a": 300.0}'))


def test_a_list_may_be_nested_deeper_than_python_recurses() -> None:
    deep: list[Json] = ["x"]
    for _ in range(10_000):
        deep = [deep]
    assert matches({"a": ["x"]}, {"a": deep})


REFUSED: list[tuple[Json, str]] = [
    ({}, "the pattern must be an object with fields"),
    ({"a": []}, "the pattern: a: an empty list matches nothing"),
    ({"a": {}}, "the pattern: a must be an object with fields"),
    ({"a": "x"}, "the pattern: a must be an object with fields"),
    ({"a": None}, "the pattern: a must be an object with fields"),
    ({"o": {"a": 1}}, "the pattern: o: a must be an object with fields"),
    ({"a": [["x"]]}, "the pattern: a: a text, number, flag or null is wanted"),
    ({"a": [{}]}, "the pattern: a: an operator stands alone in its object"),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "the pattern: a: an operator stands alone in its object"),
    ({"a": [{"matches": "x"}]}, "the pattern: a: no operator 'matches' here; there are prefix, .*, exists"),
    ({"a": [{"prefix": 1}]}, "the pattern: a: a text is wanted"),
    ({"a": [{"prefix": ["x"]}]}, "the pattern: a: a text is wanted"),
    ({"a": [{"suffix": None}]}, "the pattern: a: a text is wanted"),
    ({"a": [{"equals-ignore-case": True}]}, "the pattern: a: a text is wanted"),
    ({"a": [{"exists": "true"}]}, "the pattern: a: exists is true or false"),
    ({"a": [{"exists": 1}]}, "the pattern: a: exists is true or false"),
    # "You can use anything-but matching with strings and numeric values, including lists that contain only strings,
    # or only numbers."
    ({"a": [{"anything-but": []}]}, "the pattern: a: anything-but takes texts or numbers"),
    ({"a": [{"anything-but": None}]}, "the pattern: a: anything-but takes texts or numbers"),
    ({"a": [{"anything-but": True}]}, "the pattern: a: anything-but takes texts or numbers"),
    ({"a": [{"anything-but": ["x", 1]}]}, "the pattern: a: anything-but takes texts or numbers"),
    ({"a": [{"anything-but": [["x"]]}]}, "the pattern: a: anything-but takes texts or numbers"),
    ({"a": [{"anything-but": {"prefix": 1}}]}, "the pattern: a: a text is wanted"),
    ({"a": [{"anything-but": {"prefix": []}}]}, "the pattern: a: anything-but takes texts or numbers"),
    ({"a": [{"anything-but": {}}]}, "the pattern: a: an operator stands alone in its object"),
    ({"a": [{"anything-but": {"exists": True}}]}, "the pattern: a: no operator 'exists' here; there are prefix, "),
    ({"a": [{"anything-but": {"numeric": ["=", 1]}}]}, "the pattern: a: no operator 'numeric' here"),
    ({"a": [{"numeric": 1}]}, "the pattern: a: numeric is a comparison and a number, or two of both"),
    ({"a": [{"numeric": []}]}, "the pattern: a: numeric is a comparison and a number, or two of both"),
    ({"a": [{"numeric": ["="]}]}, "the pattern: a: numeric is a comparison and a number, or two of both"),
    ({"a": [{"numeric": [">", 1, "<"]}]}, "the pattern: a: numeric is a comparison and a number, or two of both"),
    ({"a": [{"numeric": [">", 1, "<", 2, "<", 3]}]}, "the pattern: a: numeric is a comparison"),
    ({"a": [{"numeric": ["!=", 1]}]}, "the pattern: a: '!=', 1 is no comparison with a number"),
    ({"a": [{"numeric": ["=", "1"]}]}, "the pattern: a: '=', '1' is no comparison with a number"),
    ({"a": [{"numeric": ["=", True]}]}, "the pattern: a: '=', True is no comparison with a number"),
    ({"a": [{"numeric": [["="], 1]}]}, r"the pattern: a: \['='\], 1 is no comparison with a number"),
    ({"a": [{"numeric": ["<", 5, ">", 1]}]}, "the pattern: a: a range has its lower bound first"),
    ({"a": [{"numeric": [">", 5, "<", 1]}]}, "the pattern: a: a range has its lower bound first"),
    ({"a": [{"numeric": [">", 1, ">", 5]}]}, "the pattern: a: a range has its lower bound first"),
    ({"a": [{"numeric": [">", 1, "=", 5]}]}, "the pattern: a: a range has its lower bound first"),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "the pattern: a: a range has its lower bound first"),
    ({"a": [{"numeric": ["=", 1, "<", 2]}]}, "the pattern: a: a range has its lower bound first"),
    ({"$or": [{"a": ["x"]}]}, r"the pattern: \$or must be a list of two or more patterns"),
    ({"$or": [{"a": ["x"]}, {}]}, r"the pattern: \$or must be an object with fields"),
]


@pytest.mark.parametrize(("pattern", "why"), REFUSED)
def test_what_is_no_pattern_is_refused_with_the_place(pattern: Json, why: str) -> None:
    with pytest.raises(InvalidPattern, match=f"^{why}"):
        parse_pattern(pattern)


@pytest.mark.parametrize("pattern", [None, 1, "x", [], ["x"]])
def test_a_pattern_is_an_object(pattern: Json) -> None:
    with pytest.raises(InvalidPattern, match=r"^the pattern must be an object with fields$"):
        parse_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        # The operators of EventBridge that the documentation of filter criteria does not list, and an "$or" that
        # is a field's name: refused, so that nobody filters by what would do nothing on AWS.
        {"a": [{"wildcard": "x*"}]},
        {"a": [{"cidr": "10.0.0.0/24"}]},
        {"a": [{"exactly": "x"}]},
        {"a": [{"prefix": {"equals-ignore-case": "x"}}]},
        {"a": [{"anything-but": {"wildcard": "x*"}}]},
        {"$or": {"a": ["x"]}},
        {"$or": ["x", "y"]},
    ],
)
def test_what_eventbridge_has_beyond_filter_criteria_is_refused(pattern: Json) -> None:
    with pytest.raises(InvalidPattern):
        parse_pattern(pattern)


@pytest.mark.parametrize("choices", [7, None, "xy", [], [{"a": ["x"]}], {"a": ["x"], "b": ["y"]}])
def test_a_choice_is_a_list_of_patterns(choices: Json) -> None:
    with pytest.raises(InvalidPattern, match=r"^the pattern: \$or must be a list of two or more patterns$"):
        parse_pattern({"$or": choices})


def test_eventbridge_is_of_the_same_opinion(emulator: Emulator) -> None:
    told = [(pattern, document, emulated(emulator, pattern, document)) for pattern, document, _ in MATCHES]
    assert told == MATCHES


def test_eventbridge_refuses_the_same(emulator: Emulator) -> None:
    told = {json.dumps(pattern): emulated(emulator, pattern, {"a": "x"}) for pattern, _ in REFUSED}
    assert told == dict.fromkeys(told, "refused")


TEXTS = st.sampled_from(["", "a", "A", "ab", "Ab", "ba", "1"])
AFFIXES = st.sampled_from(["a", "A", "ba", "1"])  # an empty one is refused, by a rule that is not documented
NUMBERS = st.sampled_from([-1, 0, 1, 1.5, 2])
SCALARS = st.none() | st.booleans() | TEXTS | NUMBERS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
LEAVES = VALUES | st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=1)


def objects(fields: str, values: st.SearchStrategy[Json], least: int = 0) -> st.SearchStrategy[dict[str, Json]]:
    return st.dictionaries(st.sampled_from(fields), values, min_size=least, max_size=2)


def lists(values: st.SearchStrategy[Json], most: int) -> st.SearchStrategy[list[Json]]:
    return st.lists(values, min_size=1, max_size=most)


def some(*fields: st.SearchStrategy[dict[str, Json]]) -> st.SearchStrategy[dict[str, Json]]:
    """A pattern of one of the fields, or of two."""
    return st.one_of(fields) | st.lists(st.one_of(fields), min_size=2, max_size=2).map(lambda two: two[0] | two[1])


DOCUMENTS = st.fixed_dictionaries(
    {"inner": objects("ab", LEAVES) | SCALARS, "rows": st.lists(objects("ab", VALUES), max_size=3)},
    optional={"a": LEAVES, "b": VALUES},
)

RANGES = st.sampled_from([(-1, 1), (0, 1), (0, 2), (1, 1.5)])
NEGATED = TEXTS | NUMBERS | lists(TEXTS, 2) | lists(NUMBERS, 2)
OPERATORS = st.one_of(
    st.builds(lambda kind, text: {kind: text}, st.sampled_from(["prefix", "suffix", "equals-ignore-case"]), TEXTS),
    st.builds(lambda kind, text: {"anything-but": {kind: text}}, st.sampled_from(["prefix", "suffix"]), AFFIXES),
    st.builds(lambda excluded: {"anything-but": excluded}, NEGATED),
    st.builds(lambda sign, number: {"numeric": [sign, number]}, st.sampled_from(["=", "<", "<=", ">", ">="]), NUMBERS),
    st.builds(lambda bounds: {"numeric": [">=", bounds[0], "<", bounds[1]]}, RANGES),
)
EXISTS = st.builds(lambda flag: {"exists": flag}, st.booleans())
WANTED = lists(SCALARS | OPERATORS | EXISTS, 3)
FIELDS = some(
    st.builds(lambda wanted: {"a": wanted}, WANTED),
    st.builds(lambda wanted: {"b": wanted}, WANTED),
    st.builds(lambda wanted: {"inner": wanted}, objects("ab", WANTED, 1)),
    # Not whether a field of theirs is there; see MATCHES for what is left out.
    st.builds(lambda wanted: {"rows": wanted}, objects("ab", lists(SCALARS | OPERATORS, 3), 1)),
)
PATTERNS = FIELDS | st.builds(lambda one, other: {"$or": [one, other]}, FIELDS, FIELDS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=PATTERNS, document=DOCUMENTS)
def test_eventbridge_finds_the_same_matches(emulator: Emulator, pattern: Json, document: Json) -> None:
    assert ours(pattern, document) == emulated(emulator, pattern, document)
