"""Metric math, as much of it as the template uses.

Room: local platform, pure.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html, of which the sentences below are.

| of | said |
|---|---|
| + - * / | "Missing values in a time series are treated as 0. If the value of a data point causes a function to attempt to divide by zero, the data point is dropped." |
| < <= > >= == != | "when comparison operators are used between two time series, and only one of the time series has a value for a particular time stamp, the function treats the missing value in the other time series as 0" |
| IF | "If the condition is a time series, it is evaluated separately for every timestamp." What is missing in the value for true is 0; in the value for false it is dropped |
| FILL | "Fills the missing values of a time series", said of sparse ones: one without any value stays so here |
"""  # noqa: E501 # a table

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from tidemill_local.watching.alarm import UnknownAlarm
from tidemill_local.watching.datapoints import Series

Value: TypeAlias = "float | Series | list[Series]"

ARITHMETIC: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARING: Mapping[type, Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
OVER_SEVERAL: Mapping[str, Callable[[Sequence[float]], float]] = {"MIN": min, "MAX": max, "SUM": sum}

_WORDS = (
    (re.compile(r"\bAND\b|&&"), " and "),
    (re.compile(r"\bOR\b|\|\|"), " or "),
    (re.compile(r"\bIF\b"), "_IF"),
)


def evaluate(expression: str, series: Mapping[str, Series], begins: Sequence[int]) -> Series:
    """The expression's time series.

    Args:
        expression: in CloudWatch's syntax.
        series: by id, the statistics and earlier expressions.
        begins: of the periods.

    Raises:
        UnknownAlarm: the expression has something that is not evaluated here, or is no time series.
    """
    text = expression
    for word, ours in _WORDS:
        text = word.sub(ours, text)
    value = _Reading(series, begins).of(ast.parse(text.strip(), mode="eval").body)
    if not isinstance(value, Mapping):
        raise UnknownAlarm(f"{expression} is no time series")
    return value


class _Reading:
    """The values of an expression's parts."""

    def __init__(self, series: Mapping[str, Series], begins: Sequence[int]) -> None:
        self._series = series
        self._begins = begins

    def of(self, node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=float() | int() as number):
                return float(number)
            case ast.Name(id=name) if name in self._series:
                return self._series[name]
            case ast.List(elts=parts):
                return [self._one(part) for part in parts]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _both(operator.sub, 0.0, self.of(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                return _both(ARITHMETIC[type(op)], self.of(left), self.of(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARING:
                return _both(COMPARING[type(op)], self.of(left), self.of(right))
            case ast.BoolOp(op=op, values=values):
                return self._logic(all if isinstance(op, ast.And) else any, values)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, arguments)
        raise UnknownAlarm(f"{ast.unparse(node)} is not evaluated here")

    def _one(self, node: ast.expr) -> Series:
        value = self.of(node)
        if not isinstance(value, Mapping):
            raise UnknownAlarm(f"{ast.unparse(node)} is no time series")
        return value

    def _logic(self, together: Callable[[Iterable[object]], bool], nodes: Sequence[ast.expr]) -> Series:
        several = [self._one(node) for node in nodes]
        return {at: float(together([one.get(at, 0.0) for one in several])) for at in _times(several)}

    def _call(self, name: str, arguments: Sequence[ast.expr]) -> Value:
        match name, arguments:
            case "FILL", [of, filler]:
                series, value = self._one(of), self.of(filler)
                if not isinstance(value, float):
                    raise UnknownAlarm("FILL with another series is not evaluated here")
                return {at: series.get(at, value) for at in self._begins} if series else {}
            case "_IF", [condition, yes, no]:
                return _chosen(self._one(condition), self.of(yes), self.of(no))
            case (("MIN" | "MAX" | "SUM"), [ast.List(elts=parts)]):
                several = [self._one(part) for part in parts]
                over = OVER_SEVERAL[name]
                return {at: over([one[at] for one in several if at in one]) for at in _times(several)}
        raise UnknownAlarm(f"{name} of {len(arguments)} arguments is not evaluated here")


def _both(operation: Callable[[float, float], float], left: Value, right: Value) -> Value:
    if isinstance(left, list) or isinstance(right, list):
        raise UnknownAlarm("arithmetic with arrays is not evaluated here")
    if isinstance(left, float) and isinstance(right, float):
        return float(operation(left, right))
    result: dict[int, float] = {}
    for at in _times([one for one in (left, right) if isinstance(one, Mapping)]):
        try:
            result[at] = float(operation(_at(left, at, 0.0), _at(right, at, 0.0)))
        except ZeroDivisionError:
            continue
    return result


def _chosen(condition: Series, yes: Value, no: Value) -> Series:
    result: dict[int, float] = {}
    # Where the condition is missing, the page's table of IF(metric1, metric2, scalar3) has the scalar.
    times = [condition, yes] if isinstance(no, float) and isinstance(yes, Mapping) else [condition]
    for at in _times(times):
        if condition.get(at, 0.0):
            result[at] = _at(yes, at, 0.0)
        elif isinstance(no, float) or (isinstance(no, Mapping) and at in no):
            result[at] = _at(no, at, 0.0)
    return result


def _at(value: Value, at: int, missing: float) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, list):
        raise UnknownAlarm("an array where one time series is needed")
    return value.get(at, missing)


def _times(several: Iterable[Series]) -> list[int]:
    return sorted({at for one in several for at in one})
