"""The tracker: each request once, timed from when it was due, and its key's order numbered."""

from __future__ import annotations

import pytest

from tidemill.contract.request import MAX_KEY_CHARACTERS
from tidemill_load.results.faults import KeyHistory
from tidemill_load.results.request_tracker import Item, RequestTracker, own_key
from tidemill_load.workloads.scheduled_request import ScheduledRequest


def scheduled(key: str = "content/1") -> ScheduledRequest:
    return ScheduledRequest(0.0, "content.view", key, "ann", {"note": "x"})


def sent(tracker: RequestTracker, request_id: str, due: float, key: str = "content/1") -> Item:
    item = tracker.item(scheduled(key), due)
    tracker.sending(request_id, item, 100, "w")
    tracker.sent(due + 0.5)
    return item


def test_requests_of_a_key_are_numbered_under_a_key_of_their_own() -> None:
    tracker = RequestTracker("a")
    items = [tracker.item(scheduled(key), 0.0) for key in ("content/1", "content/2", "content/1")]
    assert [(one.key, one.data["serial"]) for one in items] == [
        ("a/content/1", 1),
        ("a/content/2", 1),
        ("a/content/1", 2),
    ]
    assert items[0].data["note"] == "x"
    assert tracker.entities == 2


def test_a_latency_is_from_due_to_answered_and_counts_once() -> None:
    tracker = RequestTracker("a")
    sent(tracker, "r1", 10.0)
    sent(tracker, "r2", 11.0)
    tracker.answered("r2", "accepted", 11.25)
    tracker.answered("r2", "accepted", 12.0)  # a repeat
    tracker.answered("r1", "rejected", 12.0)
    tracker.answered("other", "accepted", 13.0)
    assert tracker.latencies == [0.25, 2.0]
    assert tracker.statuses == {"accepted": 1, "rejected": 1}
    assert (tracker.first_due, tracker.last_due, tracker.last_sent, tracker.last_answer) == (10.0, 11.0, 11.5, 12.0)
    assert (tracker.requests, tracker.settled, tracker.bytes) == (2, 2, 200)


def test_what_was_given_up_is_settled_and_an_error_whatever_comes_later() -> None:
    tracker = RequestTracker("a")
    sent(tracker, "r1", 0.0)
    tracker.failed("r1", "no answer")
    tracker.answered("r1", "accepted", 9.0)
    assert (tracker.settled, tracker.errors, tracker.latencies) == (1, 1, [])
    assert tracker.problems == {"no answer": 1}
    assert tracker.by_key() == {"a/content/1": KeyHistory((), unanswered=1)}


def test_by_key_it_knows_what_was_answered_with_what() -> None:
    tracker = RequestTracker("a")
    for number in range(1, 4):
        sent(tracker, f"r{number}", 0.0)
    sent(tracker, "r4", 0.0, key="content/2")
    tracker.answered("r3", "accepted", 1.0)
    tracker.answered("r1", "accepted", 1.0)
    tracker.answered("r4", "rejected", 1.0)
    assert tracker.by_key() == {"a/content/1": KeyHistory((1, 3), unanswered=1), "a/content/2": KeyHistory()}


def test_the_live_p95_is_that_of_the_latest_answers() -> None:
    tracker = RequestTracker("a")
    assert tracker.live_p95 == 0.0
    for number in range(3_000):
        sent(tracker, str(number), 0.0)
        tracker.answered(str(number), "accepted", 1.0 if number < 2_000 else 3.0)
    assert tracker.live_p95 == 3.0


@pytest.mark.parametrize("key", ["k" * 254, "k" * 255, "k" * 256])
def test_a_key_never_becomes_too_long_nor_another_s(key: str) -> None:
    assert len(own_key("a", key)) <= MAX_KEY_CHARACTERS
    assert own_key("a", key).startswith("a/")
    assert own_key("a", key) != own_key("a", key[:-1] + "x")


def test_of_several_writers_each_request_names_its_client_s_previous_one() -> None:
    tracker = RequestTracker("a", several=True)
    for number, client in enumerate(("ann", "ben", "ann", "ann", "ben"), 1):
        item = tracker.item(ScheduledRequest(0.0, "content.view", "content/1", client, {}), 0.0)
        tracker.sending(f"r{number}", item, 100, client)
        assert item.data["after"] == [0, 0, 1, 3, 2][number - 1]
        tracker.answered(f"r{number}", "rejected" if number == 3 else "accepted", 1.0)
    assert tracker.by_key() == {"a/content/1": KeyHistory((1, 2, 4, 5), excused=1)}
    assert tracker.writers == 2


def test_one_writer_s_requests_name_none() -> None:
    assert "after" not in RequestTracker("a").item(scheduled(), 0.0).data
