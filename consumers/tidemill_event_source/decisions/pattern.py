"""Event patterns: which records a filter lets through.

Room: event source, pure. The syntax that filter criteria know:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html#filtering-syntax

Of our own because no maintained library offers it: PyPI's `event-ruler` wraps a Go program, was last released
in 2023 and changes the working directory as it is imported; AWS's own is Java.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""A value of a record's document: JSON."""

Test: TypeAlias = Callable[[Value], bool]

Operator: TypeAlias = Callable[[Value, str], Test]
"""Makes a test of an operator's argument; the text says where that stands, for errors."""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class InvalidPattern(ValueError):
    """Not an event pattern; the message says where."""


class _Absent:
    """Stands for a field that is not there, which is something else than null."""


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Pattern:
    """A document matches if each of `fields` fits and, for each of `choices`, one of its patterns matches."""

    fields: Mapping[str, Pattern | tuple[Test, ...]]
    choices: tuple[tuple[Pattern, ...], ...]

    def matches(self, document: Value) -> bool:
        """Whether the document, JSON's values as Python's, matches."""
        if not isinstance(document, Mapping):
            return False
        return all(_fits(wanted, document.get(name, ABSENT)) for name, wanted in self.fields.items()) and all(
            any(pattern.matches(document) for pattern in patterns) for patterns in self.choices
        )


def parse_pattern(document: Value) -> Pattern:
    """The pattern that a JSON document describes.

    Raises:
        InvalidPattern: it describes none, or one that filter criteria do not know.
    """
    return _pattern(document, "the pattern")


def _fits(wanted: Pattern | tuple[Test, ...], value: Value) -> bool:
    found = _flat(value)
    if isinstance(wanted, Pattern):
        # A list of objects matches if one of them does; what is no object, or is missing, has no fields.
        objects = [one for one in found if isinstance(one, Mapping)]
        return any(wanted.matches(one) for one in objects or [{}])
    # "If the value in the event is an array, then the event pattern matches if the intersection of the event
    # pattern array and the event array is non-empty." "Exists matching only works on leaf nodes. It does not work
    # on intermediate nodes": an object is as good as absent, and so is an empty list.
    leaves = [one for one in found if not isinstance(one, Mapping)]
    return any(test(one) for one in leaves or [ABSENT] for test in wanted)


def _flat(value: Value) -> list[Value]:
    """The value, or what is in the list and in the lists within it, however deep."""
    found, left = [], [value]
    while left:
        one = left.pop()
        if isinstance(one, list):
            left += one
        else:
            found.append(one)
    return found


def _pattern(document: Value, where: str) -> Pattern:
    if not isinstance(document, Mapping) or not document:
        raise InvalidPattern(f"{where} must be an object with fields")
    fields: dict[str, Pattern | tuple[Test, ...]] = {}
    choices: list[tuple[Pattern, ...]] = []
    for name, wanted in document.items():
        inside = f"{where}: {name}"
        if name == "$or":
            if not isinstance(wanted, list) or len(wanted) < 2:
                raise InvalidPattern(f"{inside} must be a list of two or more patterns")
            choices.append(tuple(_pattern(one, inside) for one in wanted))
        elif isinstance(wanted, list):
            if not wanted:
                raise InvalidPattern(f"{inside}: an empty list matches nothing")
            fields[name] = tuple(_test(one, inside) for one in wanted)
        else:
            fields[name] = _pattern(wanted, inside)
    return Pattern(fields, tuple(choices))


def _test(wanted: Value, where: str) -> Test:
    if not isinstance(wanted, Mapping):
        return _equals(wanted, where)
    name, argument = _operator(wanted, _OPERATORS, where)
    return _OPERATORS[name](argument, where)


def _operator(wanted: Mapping[str, Value], known: Collection[str], where: str) -> tuple[str, Value]:
    if len(wanted) != 1:
        raise InvalidPattern(f"{where}: an operator stands alone in its object")
    name, argument = next(iter(wanted.items()))
    if name not in known:
        raise InvalidPattern(f"{where}: no operator {name!r} here; there are {', '.join(known)}")
    return name, argument


def _text(value: Value, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidPattern(f"{where}: a text is wanted")
    return value


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equals(argument: Value, where: str) -> Test:
    if isinstance(argument, list | Mapping):
        raise InvalidPattern(f"{where}: a text, number, flag or null is wanted")
    if _is_number(argument):
        return lambda value: _is_number(value) and value == argument
    # The types too: Python holds True equal to 1, and JSON does not.
    return lambda value: type(value) is type(argument) and value == argument


def _prefix(argument: Value, where: str) -> Test:
    start = _text(argument, where)
    return lambda value: isinstance(value, str) and value.startswith(start)


def _suffix(argument: Value, where: str) -> Test:
    end = _text(argument, where)
    return lambda value: isinstance(value, str) and value.endswith(end)


def _ignoring_case(argument: Value, where: str) -> Test:
    # Each character in either of its cases: "straße" is "STRASSE" too, and not "strasse".
    cases = (f"(?:{re.escape(one.lower())}|{re.escape(one.upper())})" for one in _text(argument, where))
    wanted = re.compile("".join(cases))
    return lambda value: isinstance(value, str) and wanted.fullmatch(value) is not None


def _exists(argument: Value, where: str) -> Test:
    if not isinstance(argument, bool):
        raise InvalidPattern(f"{where}: exists is true or false")
    return lambda value: (value is not ABSENT) == argument


def _anything_but(argument: Value, where: str) -> Test:
    make: Operator = _equals
    if isinstance(argument, Mapping):
        name, argument = _operator(argument, _NEGATED, where)
        make = _NEGATED[name]
    excluded = argument if isinstance(argument, list) else [argument]
    # "You can use anything-but matching with strings and numeric values, including lists that contain only
    # strings, or only numbers."
    if not excluded or not (all(map(_is_number, excluded)) or all(isinstance(one, str) for one in excluded)):
        raise InvalidPattern(f"{where}: anything-but takes texts or numbers")
    tests = [make(one, where) for one in excluded]
    return lambda value: value is not ABSENT and not any(test(value) for test in tests)


def _numeric(argument: Value, where: str) -> Test:
    if not isinstance(argument, list) or len(argument) not in (2, 4):
        raise InvalidPattern(f"{where}: numeric is a comparison and a number, or two of both")
    pairs = list(zip(argument[::2], argument[1::2], strict=True))
    for comparison, number in pairs:
        if not isinstance(comparison, str) or comparison not in _COMPARISONS or not _is_number(number):
            raise InvalidPattern(f"{where}: {comparison!r}, {number!r} is no comparison with a number")
    if len(pairs) == 2 and not (pairs[0][0][0] == ">" and pairs[1][0][0] == "<" and pairs[0][1] < pairs[1][1]):
        raise InvalidPattern(f"{where}: a range has its lower bound first, with > or >=, then its upper one")
    return lambda value: (
        _is_number(value) and all(_COMPARISONS[comparison](value, number) for comparison, number in pairs)
    )


_NEGATED: Mapping[str, Operator] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _ignoring_case,
}
"""The operators that anything-but takes."""

_OPERATORS: Mapping[str, Operator] = {
    **_NEGATED,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "exists": _exists,
}
