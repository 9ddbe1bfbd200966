"""An alarm, read from its properties in the template.

Room: local platform, pure. Only what CloudWatch evaluates here is taken; the rest is an error, not passed over.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudwatch-alarm.html
Tests: tests/infra/tidemill_local/watching/test_evaluation.py.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

TYPE = "AWS::CloudWatch::Alarm"

Missing: TypeAlias = Literal["missing", "ignore", "breaching", "notBreaching"]

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


class UnknownAlarm(ValueError):
    """The alarm has something that is not evaluated here."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch: only these very dimensions are the same metric."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Statistic:
    """A metric's statistic, such as Sum or p99, of each period of so many seconds."""

    metric: Metric
    stat: str
    period: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm.

    Attributes:
        name: its name.
        statistics: by id.
        expressions: by id, in the template's order.
        result: the id of what is compared.
        period: seconds.
        periods: how many of the most recent data points are looked at.
        to_alarm: how many of them must be breaching.
        comparison: with the threshold.
        threshold: in the result's unit.
        missing: how data points that are missing count.
        actions: ARNs that hear that it is on.
        ok_actions: ARNs that hear that it is off.
        description: what it means, and its place in the runbook.
    """

    name: str
    statistics: Mapping[str, Statistic]
    expressions: Mapping[str, str]
    result: str
    period: int
    periods: int
    to_alarm: int
    comparison: str
    threshold: float
    missing: Missing
    actions: tuple[str, ...]
    ok_actions: tuple[str, ...]
    description: str = ""

    def is_breaching(self, value: float) -> bool:
        """Whether the value is beyond the threshold."""
        return COMPARISONS[self.comparison](value, self.threshold)


def metric(namespace: str, name: str, **dimensions: str) -> Metric:
    """A metric, for reading."""
    return Metric(namespace, name, frozenset(dimensions.items()))


def read(name: str, properties: Mapping[str, Any]) -> Alarm:
    """The alarm with these properties.

    Raises:
        UnknownAlarm: it has something that is not evaluated here.
    """
    given = properties.get("Metrics") or [{"Id": "result", "MetricStat": _single(properties)}]
    statistics = {one["Id"]: _statistic(one["MetricStat"]) for one in given if "MetricStat" in one}
    (result,) = [one["Id"] for one in given if one.get("ReturnData", True)]
    periods = {one.period for one in statistics.values()}
    if len(periods) != 1:
        raise UnknownAlarm(f"{name} has the periods {sorted(periods)}: one is needed")
    count = int(properties["EvaluationPeriods"])
    comparison, missing = properties["ComparisonOperator"], properties.get("TreatMissingData", "missing")
    if comparison not in COMPARISONS or missing not in get_args(Missing):
        raise UnknownAlarm(f"{name} compares by {comparison} and has {missing} data")
    return Alarm(
        name,
        statistics,
        {one["Id"]: one["Expression"] for one in given if "Expression" in one},
        result,
        periods.pop(),
        count,
        int(properties.get("DatapointsToAlarm", count)),
        comparison,
        float(properties["Threshold"]),
        missing,
        tuple(properties.get("AlarmActions", ())),
        tuple(properties.get("OKActions", ())),
        properties.get("AlarmDescription", ""),
    )


def _single(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    stat = properties.get("ExtendedStatistic") or properties["Statistic"]
    return {"Metric": properties, "Period": properties["Period"], "Stat": stat}


def _statistic(given: Mapping[str, Any]) -> Statistic:
    of = given["Metric"]
    dimensions = frozenset((one["Name"], one["Value"]) for one in of.get("Dimensions", ()))
    return Statistic(Metric(of["Namespace"], of["MetricName"], dimensions), given["Stat"], int(given["Period"]))
