"""The ledger: each request once, timed from when it was due, and its key's order numbered."""

from __future__ import annotations

import pytest

from tidemill.contract.request import MAX_KEY_CHARACTERS
from tidemill_load.results.faults import Sent
from tidemill_load.results.request_tracker import Item, Ledger, own_key
from tidemill_load.workloads.scheduled_request import Planned


def planned(key: str = "content/1") -> Planned:
    return Planned(0.0, "content.view", key, "ann", {"note": "x"})


def sent(ledger: Ledger, request_id: str, due: float, key: str = "content/1") -> Item:
    item = ledger.item(planned(key), due)
    ledger.sending(request_id, item, 100)
    ledger.sent(due + 0.5)
    return item


def test_requests_of_a_key_are_numbered_under_a_key_of_their_own() -> None:
    ledger = Ledger("a")
    items = [ledger.item(planned(key), 0.0) for key in ("content/1", "content/2", "content/1")]
    assert [(one.key, one.data["serial"]) for one in items] == [
        ("a/content/1", 1),
        ("a/content/2", 1),
        ("a/content/1", 2),
    ]
    assert items[0].data["note"] == "x"
    assert ledger.entities == 2


def test_a_latency_is_from_due_to_answered_and_counts_once() -> None:
    ledger = Ledger("a")
    sent(ledger, "r1", 10.0)
    sent(ledger, "r2", 11.0)
    ledger.answered("r2", "accepted", 11.25)
    ledger.answered("r2", "accepted", 12.0)  # a repeat
    ledger.answered("r1", "rejected", 12.0)
    ledger.answered("other", "accepted", 13.0)
    assert ledger.latencies == [0.25, 2.0]
    assert ledger.statuses == {"accepted": 1, "rejected": 1}
    assert (ledger.first_due, ledger.last_due, ledger.last_sent, ledger.last_answer) == (10.0, 11.0, 11.5, 12.0)
    assert (ledger.requests, ledger.settled, ledger.bytes) == (2, 2, 200)


def test_what_was_given_up_is_settled_and_an_error_whatever_comes_later() -> None:
    ledger = Ledger("a")
    sent(ledger, "r1", 0.0)
    ledger.failed("r1", "no answer")
    ledger.answered("r1", "accepted", 9.0)
    assert (ledger.settled, ledger.errors, ledger.latencies) == (1, 1, [])
    assert ledger.problems == {"no answer": 1}
    assert ledger.by_key() == {"a/content/1": Sent((), unanswered=1)}


def test_by_key_it_knows_what_was_answered_with_what() -> None:
    ledger = Ledger("a")
    for number in range(1, 4):
        sent(ledger, f"r{number}", 0.0)
    sent(ledger, "r4", 0.0, key="content/2")
    ledger.answered("r3", "accepted", 1.0)
    ledger.answered("r1", "accepted", 1.0)
    ledger.answered("r4", "rejected", 1.0)
    assert ledger.by_key() == {"a/content/1": Sent((1, 3), unanswered=1), "a/content/2": Sent()}


def test_the_live_p95_is_that_of_the_latest_answers() -> None:
    ledger = Ledger("a")
    assert ledger.live_p95 == 0.0
    for number in range(3_000):
        sent(ledger, str(number), 0.0)
        ledger.answered(str(number), "accepted", 1.0 if number < 2_000 else 3.0)
    assert ledger.live_p95 == 3.0


@pytest.mark.parametrize("key", ["k" * 254, "k" * 255, "k" * 256])
def test_a_key_never_becomes_too_long_nor_another_s(key: str) -> None:
    assert len(own_key("a", key)) <= MAX_KEY_CHARACTERS
    assert own_key("a", key).startswith("a/")
    assert own_key("a", key) != own_key("a", key[:-1] + "x")
