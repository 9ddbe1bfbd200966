"""An alarm's state is what AWS's documentation says of data points that are there, breaching or missing."""

from dataclasses import replace
from typing import Any, get_args

import pytest

from tidemill_local.watching.alarm import Missing, UnknownAlarm, metric, read
from tidemill_local.watching.datapoints import Datapoints
from tidemill_local.watching.evaluation import State, result_of, state_of

PROPERTIES: dict[str, Any] = {
    "Namespace": "N",
    "MetricName": "m",
    "Dimensions": [{"Name": "of", "Value": "a"}],
    "Statistic": "Sum",
    "Period": 300,
    "EvaluationPeriods": 3,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 0,
}
BEFORE: State = "INSUFFICIENT_DATA"


def points(text: str) -> list[float | None]:
    return [{"0": 0.0, "X": 1.0, "-": None}[one] for one in text.split()]


# The tables of the page, row by row: data points, then the states for missing, ignore, breaching and notBreaching.
ALL_OF_THREE = [
    ("0 - X - X", "OK OK OK OK"),
    ("0 - - - -", "OK OK OK OK"),
    ("- - - - -", "INSUFFICIENT_DATA retain ALARM OK"),
    ("0 X X - X", "ALARM ALARM ALARM ALARM"),
    ("- - X - -", "ALARM retain ALARM OK"),
]
TWO_OF_THREE = [
    ("0 - X - X", "ALARM ALARM ALARM ALARM"),
    ("0 0 X 0 X", "ALARM ALARM ALARM ALARM"),
    ("0 - X - -", "OK OK ALARM OK"),
    ("- - - - 0", "OK OK ALARM OK"),
    ("- - - X -", "ALARM retain ALARM OK"),
]


@pytest.mark.parametrize("before", get_args(State))
@pytest.mark.parametrize(
    ("to_alarm", "text", "states"),
    [(3, *row) for row in ALL_OF_THREE] + [(2, *row) for row in TWO_OF_THREE],
)
def test_the_tables_of_awss_page_hold(to_alarm: int, text: str, states: str, before: State) -> None:
    for missing, state in zip(("missing", "ignore", "breaching", "notBreaching"), states.split(), strict=True):
        alarm = read("a", {**PROPERTIES, "DatapointsToAlarm": to_alarm, "TreatMissingData": missing})
        assert state_of(alarm, points(text), before) == (before if state == "retain" else state), missing


@pytest.mark.parametrize("text", ["- - - - X", "- - - X -"])
def test_an_alarm_is_not_on_before_the_next_points_can_still_be_good(text: str) -> None:
    """The page's paragraph on premature transitions."""
    for missing in get_args(Missing)[:2]:
        alarm = read("a", {**PROPERTIES, "TreatMissingData": missing})
        assert state_of(alarm, points(text), BEFORE) == BEFORE


def test_enough_breaching_points_are_an_alarm_though_some_are_missing() -> None:
    for missing in get_args(Missing):
        alarm = read("a", {**PROPERTIES, "DatapointsToAlarm": 2, "TreatMissingData": missing})
        assert state_of(alarm, points("X X - - -"), "OK") == "ALARM"


def test_a_point_that_is_older_than_the_periods_says_nothing_alone() -> None:
    alarm = read("a", PROPERTIES)
    assert state_of(alarm, points("X - - - -"), "OK") == "OK"


def test_statistics_of_several_periods_are_an_error() -> None:
    def stat(name: str, period: int) -> dict[str, Any]:
        return {"Id": name, "MetricStat": {"Metric": PROPERTIES, "Period": period, "Stat": "Sum"}, "ReturnData": False}

    sums = [stat("one", 60), stat("other", 300), {"Id": "sum", "Expression": "one + other"}]
    with pytest.raises(UnknownAlarm, match=r"\[60, 300\]"):
        read("a", {**PROPERTIES, "Metrics": sums})


def test_only_the_very_dimensions_count() -> None:
    alarm = read("a", {**PROPERTIES, "EvaluationPeriods": 1})
    measured = Datapoints()
    measured.add(metric("N", "m", of="b"), 1000.0, [5.0])
    measured.add(metric("N", "m"), 1000.0, [5.0])
    measured.add(metric("N", "m", of="a", also="c"), 1000.0, [5.0])
    assert result_of(alarm, measured, 1000.0) == [None] * 3
    measured.add(metric("N", "m", of="a"), 1000.0, [5.0, 2.0])
    assert result_of(alarm, measured, 1000.0) == [None, None, 7.0]
    assert result_of(alarm, measured, 1300.0) == [None, 7.0, None]
    assert result_of(alarm, measured, 1199.9) == [None, None, 7.0]
    assert result_of(alarm, measured, 1800.0) == [None] * 3


def test_an_expression_is_evaluated_over_its_statistics() -> None:
    def stat(name: str) -> dict[str, Any]:
        of = {"Namespace": "N", "MetricName": name, "Dimensions": []}
        return {"Id": name, "ReturnData": False, "MetricStat": {"Metric": of, "Period": 60, "Stat": "Sum"}}

    several = {key: PROPERTIES[key] for key in ("ComparisonOperator", "Threshold")} | {"EvaluationPeriods": 1}
    metrics = [stat("came"), stat("went"), {"Id": "left", "Expression": "came - went"}]
    alarm = read("a", {**several, "Metrics": metrics})
    measured = Datapoints()
    measured.add(metric("N", "came"), 60.0, [5.0])
    measured.add(metric("N", "went"), 120.0, [2.0])
    assert result_of(alarm, measured, 179.0) == [None, 5.0, -2.0]
    assert state_of(alarm, [None, None, 5.0], "OK") == "ALARM"


@pytest.mark.parametrize(
    "changed",
    [{"ComparisonOperator": "GreaterThanUpperThreshold"}, {"TreatMissingData": "unknown"}],
)
def test_what_is_not_evaluated_here_is_an_error(changed: dict[str, str]) -> None:
    with pytest.raises(UnknownAlarm):
        read("a", PROPERTIES | changed)


def test_an_alarm_that_is_lower_than_its_threshold_is_on() -> None:
    alarm = replace(read("a", {**PROPERTIES, "EvaluationPeriods": 1}), comparison="LessThanThreshold", threshold=1.0)
    assert [state_of(alarm, points(text), "OK") for text in ("- - 0", "- - X")] == ["ALARM", "OK"]
