"""What is said of a log: when requests came, how often their keys and clients did."""

from __future__ import annotations

import numpy as np
import pytest

from tests.tree import NASA
from tidemill_load.assessment.survey import MAX_HOURS, Survey, TooLong, fitted, survey
from tidemill_load.cost_model.assumptions import Assumptions
from tidemill_load.cost_model.cost import cost
from tidemill_load.cost_model.prices import list_prices
from tidemill_load.logs import Columns, read_log
from tidemill_load.workloads.scheduled_request import ScheduledRequest


def columns(*rows: tuple[float, str, str]) -> Columns:
    times, clients, keys = zip(*rows, strict=True)
    return Columns(np.array(times), [text.encode() for text in clients], [text.encode() for text in keys])


def test_seconds_minutes_keys_and_clients() -> None:
    found = survey([columns((100.5, "a", "/x"), (100.9, "b", "/x")), columns((101.6, "a", "/y"), (170.0, "a", "/x"))])
    assert found.begin == 100.5
    traffic = found.traffic
    assert (traffic.requests, traffic.seconds, traffic.busiest) == (4, 120, 2)
    assert traffic.slots.nonzero()[0].tolist() == [0, 1, 69]
    assert found.minutes.tolist() == [3, 1]
    assert (found.keys.count, found.clients, found.key_bytes) == (2, 2, 2)
    assert found.keys.hottest == pytest.approx(0.75, abs=0.01)
    assert traffic.keys.counts.sum() == 4
    assert traffic.keys.counts[-1] == 2, "two keys were asked for first"
    assert traffic.clients
    assert traffic.clients.counts[-1] == 2


def test_a_log_without_clients_says_so() -> None:
    assert survey([columns((0.0, "-", "/x"))]).traffic.clients is None


def test_speed_and_seconds_take_what_a_replay_takes() -> None:
    log = [columns((1000.0, "a", "/"), (1059.0, "a", "/")), columns((1060.0, "b", "/"), (1061.0, "b", "/"))]
    found = survey(log, speed=60, seconds=1)
    assert (found.traffic.requests, found.traffic.seconds) == (2, 1)
    assert found.traffic.slots.tolist() == [2]
    whole = survey(log, speed=2, seconds=100)
    assert whole.traffic.slots.nonzero()[0].tolist() == [0, 29, 30]
    assert whole.traffic.rate == pytest.approx(0.04), "silence is a part of it"


def test_time_never_goes_back() -> None:
    found = survey([columns((10.0, "a", "/"), (15.0, "a", "/"), (12.0, "a", "/"))])
    assert found.traffic.slots.nonzero()[0].tolist() == [0, 5]


def test_hours_add_up() -> None:
    rows = [(float(at), "a", f"/{at % 7}") for at in range(0, 3 * 3600, 50)]
    found = survey([columns(*rows)])
    assert list(found.hours) == [0, 1, 2]
    assert sum(one.requests for one in found.hours.values()) == found.traffic.requests == len(rows)
    by_hour = np.sum([one.keys.counts for one in found.hours.values()], axis=0)
    assert by_hour.tolist() == found.traffic.keys.counts.tolist()
    assert [one.seconds for one in found.hours.values()] == [3600, 3600, 3600]


def test_a_log_of_too_many_hours_is_refused() -> None:
    rows = [(3600.0 * hour, "a", "/") for hour in range(MAX_HOURS + 1)]
    with pytest.raises(TooLong, match="name fewer of its files"):
        survey([columns(*rows)])


def test_planned_requests_are_surveyed_likewise() -> None:
    scheduled = [
        ScheduledRequest(0.5, "content.view", "content/1", "a", {}),
        ScheduledRequest(3.0, "content.view", "content/1", "b", {}),
    ]
    found = Survey().plan(scheduled).done(10.0)
    assert found.traffic.slots.nonzero()[0].tolist() == [0, 3]
    assert (found.traffic.rate, found.keys.count, found.clients) == (0.2, 1, 2)


def test_a_law_that_gives_the_most_popular_key_its_share() -> None:
    assert fitted(1000, 0.13).hottest == pytest.approx(0.13, rel=0.02)
    assert fitted(1000, 0.001).skew == 0


def test_traffic_of_few_seconds_is_searched_whole() -> None:
    rows = [(float(at), "a", "/") for at in range(0, 40 * 3600, 4)]
    traffic = survey([columns(*rows)]).traffic
    assert np.count_nonzero(traffic.slots) == 36_000
    assert traffic.sample is traffic


@pytest.mark.parametrize(("hours", "apart"), [(40, 3), (101, 600)])
def test_long_traffic_is_searched_by_a_sample_of_the_same_rate(hours: int, apart: int) -> None:
    rows = [(float(at), "a", "/") for at in range(0, hours * 3600, apart)]
    traffic = survey([columns(*rows)]).traffic
    assert len(traffic.sample.slots) == 36_000
    assert traffic.sample.rate == pytest.approx(traffic.rate)
    assert traffic.at(10).rate == pytest.approx(10)


def test_a_sample_keeps_the_busiest_second_that_it_does_not_hold() -> None:
    rows = [(float(at), "a", "/") for at in range(0, 40 * 3600, 2)]
    rows[1400:1400] = [(2800.5, "a", "/")] * 5_000  # between the first two of the parts
    traffic = survey([columns(*rows)]).traffic
    assert (traffic.sample.slots.max(), traffic.busiest) == (1, 5_001)
    for searched in (
        traffic.sample,
        traffic.sample.at(traffic.rate),
        traffic.at(traffic.rate / 2).sample.at(traffic.rate),
    ):
        assert searched.rate == pytest.approx(traffic.rate)
        assert searched.busiest == pytest.approx(5_001)
    whole, part = (cost("buffered", one, Assumptions(), list_prices()).flow.shards for one in (traffic, traffic.sample))
    assert whole == part == 6


def test_the_real_trace() -> None:
    if not NASA.exists():
        pytest.skip(f"the real trace is not at {NASA}")
    found = survey(read_log([NASA]))
    assert found.traffic.requests == 30_969
    assert (found.keys.count, found.clients, found.traffic.busiest) == (1_746, 2_365, 17)
    assert found.keys.hottest == pytest.approx(0.069, abs=0.002)
