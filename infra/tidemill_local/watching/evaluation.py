"""Decides an alarm's state by its most recent data points.

Room: local platform, pure.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html

| data points | state |
|---|---|
| none of the most recent is missing | by the most recent |
| enough in the range beyond them | by the most recent that are there |
| fewer, and missing ones count as breaching or not | by those there are, and as many filled as are needed |
| none at all | `missing`: insufficient; `ignore`: as it was |
| fewer, one of them not breaching | by those there are |
| fewer, all breaching, and the oldest as old as are needed for an alarm | `missing`: alarm; `ignore`: as it was |
| fewer, all breaching, and later ones may still be good | as it was |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from tidemill_local.watching.alarm import Alarm
from tidemill_local.watching.datapoints import Datapoints, Series
from tidemill_local.watching.expressions import evaluate

State: TypeAlias = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]

MORE_POINTS = 2
"""Data points beyond the alarm's that are looked at if some are missing. CloudWatch does not say how many; its example
has five for an alarm of three."""


def result_of(alarm: Alarm, points: Datapoints, now: float) -> list[float | None]:
    """The data points that the alarm is evaluated by, the oldest first; None where one is missing.

    Args:
        alarm: the alarm.
        points: what was measured.
        now: seconds since 1970; the period that it is in is the last one.
    """
    last = int(now // alarm.period) * alarm.period
    begins = [last - alarm.period * back for back in range(alarm.periods + MORE_POINTS)][::-1]
    series: dict[str, Series] = {name: points.series(one, begins) for name, one in alarm.statistics.items()}
    for name, expression in alarm.expressions.items():
        series[name] = evaluate(expression, series, begins)
    return [series[alarm.result].get(begin) for begin in begins]


def state_of(alarm: Alarm, points: Sequence[float | None], before: State) -> State:
    """The alarm's state.

    Args:
        alarm: the alarm.
        points: at least as many as it looks at, the oldest first; None where one is missing.
        before: its state so far.
    """
    breaching = [None if one is None else alarm.is_breaching(one) for one in points]
    there = [one for one in breaching if one is not None]
    if len(there) >= alarm.periods:
        return _by(sum(there[-alarm.periods :]), alarm)
    if alarm.missing in ("breaching", "notBreaching"):
        filled = alarm.periods - len(there) if alarm.missing == "breaching" else 0
        return _by(sum(there) + filled, alarm)
    if not there:
        return "INSUFFICIENT_DATA" if alarm.missing == "missing" else before
    if sum(there) >= alarm.to_alarm or not all(there):
        return _by(sum(there), alarm)
    age = alarm.periods - breaching[-alarm.periods :].index(True) if True in breaching[-alarm.periods :] else 0
    return "ALARM" if alarm.missing == "missing" and age >= alarm.to_alarm else before


def _by(count: int, alarm: Alarm) -> State:
    return "ALARM" if count >= alarm.to_alarm else "OK"
