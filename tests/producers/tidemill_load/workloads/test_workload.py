"""What the demo and the load test rely on in the built-in workload."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import pytest

from tidemill.contract.request import MAX_KEY_CHARACTERS
from tidemill_load.workloads.calibration import CLIENTS, MINUTES, PAGES, REQUESTS, REQUESTS_PER_QUARTER_HOUR
from tidemill_load.workloads.workload import MEAN_RATE, generate

if TYPE_CHECKING:
    from tidemill_load.workloads.scheduled_request import ScheduledRequest

NAME = re.compile(r"[A-Za-z ]+")
FIELDS = {
    "user.create": {"name", "email"},
    "content.publish": {"title", "owner"},
    "content.update": {"title"},
    "content.view": set[str](),
    "content.like": set[str](),
    "content.delete": set[str](),
}


@pytest.fixture(scope="module")
def day() -> list[ScheduledRequest]:
    return list(generate(REQUESTS, seed=7))


def test_the_figures_agree_with_each_other() -> None:
    assert sum(REQUESTS_PER_QUARTER_HOUR) == REQUESTS
    assert sum(requests * pages for requests, pages in PAGES) == REQUESTS
    assert sum(requests * clients for requests, clients in CLIENTS) == REQUESTS
    assert len(REQUESTS_PER_QUARTER_HOUR) == -(-MINUTES // 15)


def test_a_seed_means_the_same_requests_every_time() -> None:
    assert list(generate(500, seed=1)) == list(generate(500, seed=1)) != list(generate(500, seed=2))


@pytest.mark.parametrize("requests", [0, 1, 17, 1000])
def test_it_yields_as_many_requests_as_asked_for(requests: int) -> None:
    assert len(list(generate(requests, seed=1))) == requests


def test_it_starts_at_once_however_long_it_is() -> None:
    assert len(list(islice(generate(10**12, seed=1), 10))) == 10


@pytest.mark.parametrize("requests", [200, 5000])
def test_its_mean_rate_is_the_real_sites_at_any_size(requests: int) -> None:
    moments = [scheduled.at for scheduled in generate(requests, seed=3)]

    assert all(earlier <= later for earlier, later in pairwise(moments))
    assert moments[0] >= 0
    assert 0.9 < moments[-1] / (requests / MEAN_RATE) <= 1


def test_requests_arrive_along_the_real_curve(day: list[ScheduledRequest]) -> None:
    arrived = Counter(int(scheduled.at // 900) for scheduled in day)

    for quarter, expected in enumerate(REQUESTS_PER_QUARTER_HOUR):
        assert abs(arrived[quarter] - expected) < 5 * expected**0.5 + 5


def test_popularity_and_activity_are_the_real_ones(day: list[ScheduledRequest]) -> None:
    views = Counter(scheduled.key for scheduled in day if scheduled.cmd == "content.view")
    clients = Counter(scheduled.client for scheduled in day)

    assert 0.75 < views.most_common(1)[0][1] / (PAGES[0][0] * 0.88) < 1.25
    assert 0.8 < clients["client-1"] / CLIENTS[0][0] < 1.2
    assert len(clients) > 1500


def test_it_is_mostly_views_and_has_every_command(day: list[ScheduledRequest]) -> None:
    commands = Counter(scheduled.cmd for scheduled in day)

    assert set(commands) == set(FIELDS)
    assert commands["content.view"] > 0.75 * len(day)
    assert commands["content.like"] > commands["content.update"] > commands["content.delete"] > 0


def test_every_request_keeps_the_contract_with_the_rules(day: list[ScheduledRequest]) -> None:
    for scheduled in day:
        assert set(scheduled.data) == FIELDS[scheduled.cmd]
        assert len(scheduled.key) <= MAX_KEY_CHARACTERS
        if scheduled.cmd == "user.create":
            assert scheduled.key == f"user/{scheduled.data['email'].lower()}"
        else:
            assert re.fullmatch(r"content/\d+", scheduled.key)


def test_contents_are_published_once_by_their_owner_before_anything_else(day: list[ScheduledRequest]) -> None:
    owners: dict[str, str] = {}
    strangers = 0
    for scheduled in day:
        match scheduled.cmd:
            case "content.publish":
                assert scheduled.key not in owners
                owners[scheduled.key] = scheduled.client
                assert scheduled.data["owner"] == scheduled.client
            case "content.update" | "content.delete":
                assert owners[scheduled.key] == scheduled.client
                if scheduled.cmd == "content.delete":
                    owners[scheduled.key] = "gone"
            case "content.like":
                assert owners[scheduled.key] != "gone"
            case "content.view":
                strangers += owners.get(scheduled.key, "gone") == "gone"

    assert 0 < strangers < 0.01 * len(day), "as many views of what does not exist as the real site had"


def test_users_come_valid_and_in_every_way_that_the_rules_refuse(day: list[ScheduledRequest]) -> None:
    users = [scheduled.data for scheduled in day if scheduled.cmd == "user.create"]
    accepted: set[str] = set()
    found = Counter[str]()
    for user in users:
        if not NAME.fullmatch(user["name"]):
            found["name"] += 1
        elif "@" not in user["email"]:
            found["email"] += 1
        elif user["email"].lower() in accepted:
            found["taken"] += 1
        else:
            found["valid"] += 1
            accepted.add(user["email"].lower())

    assert found["valid"] > len(users) / 2
    assert min(found["name"], found["email"], found["taken"]) > len(users) / 20
