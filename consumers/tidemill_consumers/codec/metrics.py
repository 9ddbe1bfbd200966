"""What a batch did, as a log line from which CloudWatch extracts metrics, and back.

Room: codec, no I/O. The embedded metric format, as AWS Lambda Powertools writes it; docs/metrics.md says what each
metric counts.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

NAMESPACE, DIMENSION = "Tidemill", "FunctionName"

MOST_VALUES = 100
"""Values of a metric in one line, at most."""

COUNT, PERCENT, MILLISECONDS = "Count", "Percent", "Milliseconds"


class Figures(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a batch did. docs/metrics.md says what each field counts."""

    records: int = 0
    requests: int = 0
    applied: int = 0
    rejected: int = 0
    quarantined: int = 0
    repeats: int = 0
    conflicts: int = 0
    cache_hits: int = 0
    write_calls: int = 0
    write_units: float = 0.0
    replies: int = 0
    reply_failures: int = 0
    unanswered_requests: int = 0
    emits: int = 0
    untold_repeats: int = 0
    emit_loops: int = 0
    evicted_marks: int = 0
    partial_failures: int = 0
    hottest_key_share: float = 0.0
    reply_latency: tuple[float, ...] = ()
    left_to_stage: int = 0
    redelivered: int = 0
    keys: int = 0
    hottest_key: str = ""
    object_puts: int = 0


UNITS = {
    **{one.encode_name: COUNT for one in msgspec.structs.fields(Figures)},
    "HottestKeyShare": PERCENT,
    "ReplyLatency": MILLISECONDS,
}
"""The unit of each figure."""

PROPERTIES = ("Redelivered", "Keys", "HottestKey", "ObjectPuts")
"""Figures that a line states and that are no metrics: CloudWatch charges for each metric, and not for these."""

METRICS = tuple(name for name in UNITS if name not in PROPERTIES)

ALARMING = ("Quarantined", "EvictedMarks", "UntoldRepeats", "EmitLoops")
"""The metrics of the direct function. It has a line only where one of these is not zero: an invocation has one request,
and a line each would cost more than the invocation."""


class Line(msgspec.Struct, frozen=True):
    """A line of metrics, of whatever function.

    Attributes:
        at: milliseconds since 1970.
        namespace: of the metrics.
        dimensions: name -> value.
        metrics: name -> values.
        stated: everything that the line states, by name.
    """

    at: int
    namespace: str
    dimensions: Mapping[str, str]
    metrics: Mapping[str, Sequence[float]]
    stated: Mapping[str, Any]

    @property
    def figures(self) -> Figures:
        """The line as what a batch did; what it does not state is zero."""
        singles = {
            name: values[0] if values and name != "ReplyLatency" else values for name, values in self.metrics.items()
        }
        return msgspec.convert({**self.stated, **singles}, Figures, strict=False)


def line_of(figures: Figures, function: str, at: float, names: Sequence[str] = METRICS) -> str:
    """The line, without its end.

    Args:
        figures: what to state.
        function: the function's name.
        at: seconds since 1970.
        names: the metrics to state.
    """
    every: dict[str, Any] = msgspec.to_builtins(figures)
    metrics = [{"Name": name, "Unit": UNITS[name]} for name in names]
    directive = {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": metrics}
    line: dict[str, Any] = {
        "_aws": {"Timestamp": int(at * 1000), "CloudWatchMetrics": [directive]},
        DIMENSION: function,
    }
    for name in names:
        value = every.pop(name)
        line[name] = value if type(value) is tuple else [float(value)]
    line |= {name: every[name] for name in PROPERTIES if every[name]}
    return msgspec.json.encode(line).decode()


def lines_in(message: str) -> Iterator[Line]:
    """The lines of metrics in a log event's message; other lines are passed over."""
    for text in message.splitlines():
        if text.startswith('{"_aws":') and (line := _read(text)):
            yield line


class _Name(msgspec.Struct):
    Name: str


class _Directive(msgspec.Struct):
    Namespace: str
    Dimensions: list[list[str]]
    Metrics: list[_Name]


class _Meta(msgspec.Struct):
    Timestamp: int
    CloudWatchMetrics: list[_Directive]


def _read(text: str) -> Line | None:
    try:
        stated: dict[str, Any] = msgspec.json.decode(text)
        meta = msgspec.convert(stated.pop("_aws"), _Meta)
        (directive,) = meta.CloudWatchMetrics
        (names,) = directive.Dimensions
        dimensions = {name: str(stated.pop(name)) for name in names}
        metrics = {one.Name: _values(stated.pop(one.Name)) for one in directive.Metrics if one.Name in stated}
    except (msgspec.MsgspecError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return Line(meta.Timestamp, directive.Namespace, dimensions, metrics, stated)


def _values(value: Any) -> tuple[float, ...]:
    return tuple(map(float, value)) if isinstance(value, list) else (float(value),)


def spread(values: Sequence[T], most: int = MOST_VALUES) -> Sequence[T]:
    """Evenly spread ones of the values, at most so many."""
    step = -(-len(values) // most) or 1
    return values[step // 2 :: step]
