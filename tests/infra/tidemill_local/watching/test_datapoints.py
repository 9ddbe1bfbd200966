"""Values and their statistics."""

import pytest

from tidemill_local.watching.alarm import Statistic, metric
from tidemill_local.watching.datapoints import KEPT_SECONDS, Datapoints, statistic


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("Sum", 10.0),
        ("Minimum", 1.0),
        ("Maximum", 4.0),
        ("SampleCount", 4.0),
        ("Average", 2.5),
        ("p50", 2.0),
        ("p99", 4.0),
        ("p1", 1.0),
    ],
)
def test_a_statistic(stat: str, expected: float) -> None:
    assert statistic(stat, [4.0, 1.0, 3.0, 2.0]) == expected


def test_values_belong_to_the_period_that_they_are_in() -> None:
    points, of = Datapoints(), metric("N", "m")
    for at in (59.9, 60.0, 119.9, 180.0):
        points.add(of, at, [1.0])
    assert points.series(Statistic(of, "Sum", 60), [0, 60, 120]) == {0: 1.0, 60: 2.0}


def test_what_no_alarm_looks_back_to_is_dropped() -> None:
    points, of = Datapoints(), metric("N", "m")
    hour = 3600.0
    points.add(of, 0.0, [1.0])
    points.add(of, hour, [2.0])
    points.add(of, KEPT_SECONDS, [3.0])
    assert points.of(of) == [(0.0, 1.0), (hour, 2.0), (KEPT_SECONDS, 3.0)]
    points.add(of, KEPT_SECONDS + 1.0, [4.0])
    assert points.of(of)[0] == (hour, 2.0)
    assert 2 * hour <= KEPT_SECONDS


def test_a_metric_that_was_never_measured_has_no_values() -> None:
    points, of = Datapoints(), metric("N", "m")
    assert list(points.of(of)) == []
    assert points.series(Statistic(of, "Sum", 60), [0]) == {}
