"""Alarms that go on and off, told once each."""

from typing import Any

from botocore.exceptions import ClientError

from tidemill_cli.commands.up.alarms import LOOK_SECONDS, WatchedAlarms
from tidemill_local.watching.alarm import metric, read
from tidemill_local.watching.alarms import Alarms
from tidemill_local.watching.datapoints import Datapoints

ERRORS = metric("AWS/Lambda", "Errors")
START = 1_764_000_000.0
PROPERTIES = {
    "AlarmDescription": "The function raises. docs/runbook.md#applyfails",
    "Namespace": "AWS/Lambda",
    "MetricName": "Errors",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 0,
    "TreatMissingData": "notBreaching",
}


class Function:
    """Measures what it is told to have failed."""

    def __init__(self) -> None:
        self.errors = 0.0
        self.answers = True

    def measure(self, points: Datapoints, at: float) -> None:
        if not self.answers:
            raise ClientError({"Error": {"Code": "Stopping", "Message": ""}}, "FilterLogEvents")
        points.add(ERRORS, at, [self.errors])


def test_an_alarm_is_told_when_it_goes_on_and_when_it_is_over() -> None:
    function, now = Function(), [START]
    watched = WatchedAlarms(alarms(function), lambda: now[0])
    assert (list(watched.changed()), watched.on) == ([], ())
    function.errors = 1.0
    assert list(watched.changed()) == []  # too early
    now[0] += LOOK_SECONDS
    assert list(watched.changed()) == ["alarm ApplyFails: The function raises. docs/runbook.md#applyfails"]
    assert watched.on == ("ApplyFails",)
    function.answers = False
    now[0] += 60
    assert (list(watched.changed()), watched.on) == ([], ("ApplyFails",))
    function.answers, function.errors = True, 0.0
    now[0] += 60
    assert list(watched.changed()) == ["alarm ApplyFails is over"]
    assert list(watched.on) == []


def alarms(function: Function) -> Alarms:
    told: list[Any] = []
    return Alarms([read("ApplyFails", PROPERTIES)], [function], lambda *one: told.append(one))
