"""Figures of a stack on AWS: which metrics CloudWatch is asked for, and what they come to.

Room: page, pure: an answer in, figures out. A minute is a step of the history. CloudWatch knows a minute some minutes
late; until then nothing is known of it. A minute of which it has no value by then had none.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tidemill_consumers.codec.metrics import DIMENSION, NAMESPACE
from tidemill_deploy.metric import MINUTE, Metric
from tidemill_page.figures import Figures, History, QuarantinedObject, ShardFigures

MINUTES: Final = 60
"""Of the history, and of the totals."""

LATE_MINUTES: Final = 3
"""For how long a minute without a value may yet get one."""

MOST_SHARDS: Final = 50
"""Shards that are asked for, each a metric: shard-level metrics must be switched on for the stream."""

DOLLARS_A_METRIC: Final = 0.01 / 1_000
"""For each metric that GetMetricData is asked for: https://aws.amazon.com/cloudwatch/pricing/"""

HIGHEST = "Maximum"

Series = Mapping[str, Mapping[int, float]]
"""By a metric's name here, its value in each minute that has one, by the minute's start in seconds since 1970."""


def metrics(function: str, stream: str, shards: Sequence[str]) -> dict[str, Metric]:
    """What CloudWatch is asked for, by a name each.

    Args:
        function: the name of the function that applies requests.
        stream: the stream's name.
        shards: the ids of shards that have metrics of their own.
    """
    own = {DIMENSION: function}
    found = {
        "invocations": Metric("AWS/Lambda", "Invocations", own),
        "errors": Metric("AWS/Lambda", "Errors", own),
        "throttles": Metric("AWS/Lambda", "Throttles", own),
        "lag": Metric("AWS/Lambda", "IteratorAge", own, HIGHEST),
        "applied": Metric(NAMESPACE, "Applied", own),
        "rejected": Metric(NAMESPACE, "Rejected", own),
        "repeats": Metric(NAMESPACE, "Repeats", own),
        "quarantined": Metric(NAMESPACE, "Quarantined", own),
        "write_calls": Metric(NAMESPACE, "WriteCalls", own),
        "write_units": Metric(NAMESPACE, "WriteUnits", own),
        "p50": Metric(NAMESPACE, "ReplyLatency", own, "p50"),
        "p99": Metric(NAMESPACE, "ReplyLatency", own, "p99"),
    }
    for shard in shards[:MOST_SHARDS]:
        found[shard] = Metric("AWS/Kinesis", "IncomingRecords", {"StreamName": stream, "ShardId": shard})
    return found


def minutes(now: float) -> range:
    """The starts of the minutes that are asked for, in seconds since 1970: up to the one that has begun last."""
    last = int(now) // MINUTE * MINUTE
    return range(last - MINUTES * MINUTE, last, MINUTE)


def figures(
    series: Series,
    now: float,
    shards: Sequence[str] = (),
    problem: str | None = None,
    newest: Sequence[QuarantinedObject] = (),
) -> Figures:
    """The figures that the metrics come to; totals are those of the last hour.

    Args:
        series: the metrics' values.
        now: in seconds since 1970.
        shards: the stream's, by their ids.
        problem: what is wrong now, in words.
        newest: objects of the quarantine, the newest first.
    """
    asked = minutes(now)
    requests = {
        minute: sum(series.get(name, {}).get(minute, 0.0) for name in ("applied", "rejected", "repeats", "quarantined"))
        for minute in asked
        if any(minute in series.get(name, {}) for name in ("applied", "rejected", "repeats", "quarantined"))
    }
    a_second = _filled(requests, asked)
    writes = _filled(series.get("write_units", {}), asked)
    lag, p50, p99 = (_steps(series.get(name, {}), asked) for name in ("lag", "p50", "p99"))
    return Figures(
        source="cloudwatch",
        at=round(now, 3),
        since=float(asked.start),
        requests=round(sum(requests.values())),
        invocations=_total(series, "invocations"),
        requests_per_second=_per_second(_last(a_second)),
        lag_ms=_last_whole(lag),
        applied=_total(series, "applied"),
        rejected=_total(series, "rejected"),
        repeats=_total(series, "repeats"),
        quarantined=_total(series, "quarantined"),
        write_calls=_total(series, "write_calls"),
        write_units=float(_total(series, "write_units")),
        p50_ms=_last_whole(p50),
        p99_ms=_last_whole(p99),
        errors=_total(series, "errors"),
        throttles=_total(series, "throttles"),
        problem=problem,
        shards=tuple(ShardFigures(one, None, _of_shard(series, one, asked)) for one in shards),
        newest_quarantined=tuple(newest),
        history=History(
            float(MINUTE),
            tuple(map(_per_second, a_second)),
            tuple(map(_whole, lag)),
            tuple(map(_whole, p99)),
            tuple(map(_per_second, writes)),
        ),
    )


def dollars_an_hour(count: int) -> float:
    """What it costs to ask for so many metrics once a minute."""
    return count * MINUTES * DOLLARS_A_METRIC


def _steps(values: Mapping[int, float], asked: range) -> list[float | None]:
    return [values.get(minute) for minute in asked]


def _filled(values: Mapping[int, float], asked: range) -> list[float | None]:
    """The minutes' values; 0 where there is none, unless it may yet come."""
    known = _steps(values, asked)
    late = len(known) - LATE_MINUTES
    return [0.0 if value is None and place < late else value for place, value in enumerate(known)]


def _last(steps: Sequence[float | None]) -> float | None:
    """The last value of the minutes that may be the newest one with a value; None if none of them has any."""
    return next((one for one in reversed(steps[-LATE_MINUTES - 1 :]) if one is not None), None)


def _of_shard(series: Series, shard: str, asked: range) -> float | None:
    return _per_second(_last(_filled(series[shard], asked))) if shard in series else None


def _total(series: Series, name: str) -> int:
    return round(sum(series.get(name, {}).values()))


def _per_second(in_a_minute: float | None) -> float | None:
    return None if in_a_minute is None else round(in_a_minute / MINUTE, 2)


def _last_whole(steps: Sequence[float | None]) -> int | None:
    return _whole(_last(steps))


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
