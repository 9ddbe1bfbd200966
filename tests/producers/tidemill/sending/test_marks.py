"""Marks: a record tells that it may have been stored, and since when; one that was refused for certain does not."""

from math import inf
from random import Random
from typing import Any

import pytest

from tests.producers.tidemill.sending.test_scheduler import (
    DENIED,
    LOST,
    STORED,
    THROTTLED,
    call_at,
    keys_in_other_lanes,
    requests_in,
    send,
)
from tidemill.contract.attempts import MAX_TRIED, tried_of, unmarked
from tidemill.contract.lanes import MAX_LANES
from tidemill.contract.request import Request, decode
from tidemill.sending.records import (
    CALL_BYTES,
    CALL_RECORDS,
    MARK_BYTES,
    MAX_RECORD_BYTES,
    Call,
    PlainRecord,
    Record,
    Refused,
)
from tidemill.sending.scheduler import Scheduler
from tidemill.sending.stream_clock import StreamClock

BEGUN = 1_764_360_001.0
CLOCK_BEGINS = 1_764_360_000_000
"""What the clock below shows at 0, in milliseconds."""


def made(**options: Any) -> tuple[Scheduler, StreamClock]:
    clock = StreamClock()
    settings: dict[str, Any] = {"linger": 0.0, "lanes": 1, "clock": clock} | options
    return Scheduler(Random(7), **settings), clock


def again(scheduler: Scheduler, call: Call, outcome: Refused, now: float = 0.0) -> Call:
    """The call that follows when all of this one's records had that outcome."""
    scheduler.acknowledged(call, [outcome] * call.count, now)
    return call_at(scheduler, now + 60)


def mark_of(record: Record) -> int | None:
    entry = record.entry
    return tried_of(entry["PartitionKey"]) if "ExplicitHashKey" in entry else unmarked(entry["Data"])[1]


@pytest.mark.parametrize("aggregate", [True, False])
def test_a_first_attempt_is_not_marked_and_one_after_a_lost_answer_is(aggregate: bool) -> None:
    scheduler, clock = made(aggregate=aggregate)
    clock.hear(BEGUN, 0.0)
    send(scheduler, "a")
    call = call_at(scheduler, 0.0)
    first = call.records[0].entry
    assert mark_of(call.records[0]) is None
    [record] = again(scheduler, call, LOST).records
    assert mark_of(record) == CLOCK_BEGINS
    assert record.entry.get("ExplicitHashKey") == first.get("ExplicitHashKey")
    if aggregate:
        assert record.entry["Data"] == first["Data"]
        assert record.entry["PartitionKey"] == f"{first['PartitionKey']} tried {CLOCK_BEGINS}"
    else:
        assert record.entry["PartitionKey"] == first["PartitionKey"] == "a"
        assert unmarked(record.entry["Data"]) == (first["Data"], CLOCK_BEGINS)
        assert decode(record.entry["Data"]).tried == CLOCK_BEGINS


@pytest.mark.parametrize("aggregate", [True, False])
def test_a_record_that_was_refused_for_certain_is_not_marked(aggregate: bool) -> None:
    scheduler, clock = made(aggregate=aggregate, patient=True)
    clock.hear(BEGUN, 0.0)
    send(scheduler, "a")
    call = call_at(scheduler, 0.0)
    first = call.records[0].entry
    for _ in range(3):
        call = again(scheduler, call, THROTTLED)
        assert call.records[0].entry == first
    scheduler.failed(call, DENIED, 100.0)
    assert call_at(scheduler, 200.0).records[0].entry == first


def test_a_call_without_an_answer_marks_all_of_its_records() -> None:
    scheduler, clock = made(lanes=4)
    clock.hear(BEGUN, 0.0)
    for key in keys_in_other_lanes(4, 4):
        send(scheduler, key)
    scheduler.failed(call_at(scheduler, 0.0), LOST, 0.0)
    marks: list[int | None] = []
    now = 0.0
    while isinstance(call := scheduler.next_call(now := now + 60), Call):
        marks += map(mark_of, call.records)
        scheduler.acknowledged(call, [STORED] * call.count, now)
    assert marks == [CLOCK_BEGINS] * 4


def test_a_mark_tells_the_first_attempt_at_every_further_one() -> None:
    scheduler, clock = made()
    clock.hear(BEGUN, 0.0)
    send(scheduler, "a")
    call = again(scheduler, call_at(scheduler, 0.0), LOST)
    clock.hear(BEGUN + 1000, 1000.0)
    for outcome in (LOST, THROTTLED, LOST):
        call = again(scheduler, call, outcome, 1000.0)
        assert mark_of(call.records[0]) == CLOCK_BEGINS


def test_the_first_attempt_of_the_next_record_is_later() -> None:
    scheduler, clock = made()
    clock.hear(BEGUN, 0.0)
    send(scheduler, "a")
    call = again(scheduler, call_at(scheduler, 0.0), LOST)
    scheduler.acknowledged(call, [STORED], 60.0)
    send(scheduler, "a", 100.0)
    call = call_at(scheduler, 100.0)
    assert mark_of(call.records[0]) is None
    mark = mark_of(again(scheduler, call, LOST, 100.0).records[0])
    assert mark == pytest.approx(CLOCK_BEGINS + 100_000, abs=101)


def test_a_first_attempt_before_any_answer_is_at_an_unknown_time() -> None:
    """Reckoned back from a later answer it could be too late: the client's clock may have stopped in between."""
    scheduler, clock = made()
    send(scheduler, "a")
    call = call_at(scheduler, 0.0)
    clock.hear(BEGUN, 1.0)
    assert mark_of(again(scheduler, call, LOST, 1.0).records[0]) == 0


def test_what_expires_takes_no_mark_away() -> None:
    scheduler, clock = made(linger=1.0)
    clock.hear(BEGUN, 0.0)
    scheduler.buffer("a", b'{"v":1,"id":"1","cmd":"c","key":"a","data":{}}', 0.0, 5.0)
    scheduler.buffer("a", b'{"v":1,"id":"2","cmd":"c","key":"a","data":{}}', 0.0, inf)
    call = call_at(scheduler, 1.0)
    scheduler.acknowledged(call, [LOST], 1.0)
    [record] = call_at(scheduler, 60.0).records
    assert [request.id for request in requests_in(record)] == ["2"]
    assert mark_of(record) == pytest.approx(CLOCK_BEGINS + 1000, abs=2)


# ── What was put before


def test_a_request_that_may_be_stored_already_is_marked_at_once() -> None:
    scheduler, clock = made()
    clock.hear(BEGUN, 0.0)
    record = scheduler.add(Request(id="1", cmd="c", key="a", data={}), 0.0, 17, maybe_stored=True)
    assert call_at(scheduler, 0.0).records == [record]
    assert mark_of(record) == 17


def test_a_request_that_may_be_stored_since_nobody_knows_when_has_the_mark_0() -> None:
    scheduler, clock = made()
    clock.hear(BEGUN, 0.0)
    record = scheduler.add(Request(id="1", cmd="c", key="a", data={}), 0.0, maybe_stored=True)
    call_at(scheduler, 0.0)
    assert mark_of(record) == 0


def test_a_fresh_request_may_tell_a_time_before_its_first_attempt() -> None:
    scheduler, _ = made()
    record = scheduler.add(Request(id="1", cmd="c", key="a", data={}), 0.0, 17)
    call = call_at(scheduler, 0.0)
    assert mark_of(record) is None
    assert mark_of(again(scheduler, call, LOST).records[0]) == 17


def test_of_several_such_times_the_earliest_holds() -> None:
    scheduler, _ = made(linger=1.0)
    for tried in (19, 17, 18):
        record = scheduler.add(Request(id=str(tried), cmd="c", key="a", data={}), 0.0, tried)
    call = call_at(scheduler, 1.0)
    assert call.records[0] is record
    assert record.count == 3
    assert mark_of(again(scheduler, call, LOST, 1.0).records[0]) == 17


def test_fresh_requests_are_not_marked_for_the_sake_of_others() -> None:
    scheduler, _ = made(linger=1.0)
    first = scheduler.add(Request(id="1", cmd="c", key="a", data={}), 0.0, 17, maybe_stored=True)
    second = scheduler.add(Request(id="2", cmd="c", key="a", data={}), 0.0, maybe_stored=True)
    third = send(scheduler, "a")
    fourth = scheduler.add(Request(id="4", cmd="c", key="a", data={}), 0.0, 17, maybe_stored=True)
    assert first is second
    assert len({first, third, fourth}) == 3
    sent, now = [], 1.0
    while isinstance(call := scheduler.next_call(now), Call):
        sent += call.records
        scheduler.acknowledged(call, [STORED], now)
    assert sent == [first, third, fourth]
    assert [mark_of(record) for record in sent] == [0, None, 17]


def test_a_request_that_may_be_stored_and_is_given_up_may_be_stored() -> None:
    scheduler, _ = made()
    record = scheduler.buffer_again("a", b'{"v":1,"id":"1","cmd":"c","key":"a","data":{}}', 0.0, 5.0, tried=17)
    scheduler.next_call(-1.0)
    scheduler.next_call(6.0)
    outcome = record.outcome_of(0)
    assert isinstance(outcome, Refused)
    assert outcome.lost
    assert scheduler.unknown == 1


# ── Sizes


def test_marked_records_fit_their_limits() -> None:
    record = Record(MAX_LANES - 1, "1")
    record.tried = MAX_TRIED
    grown = len(record.marked_entry["PartitionKey"]) - len(record.entry["PartitionKey"])
    assert 0 < grown <= MARK_BYTES
    plain = PlainRecord(0)
    plain.append("a", b'{"v":1}', 100)
    plain.tried = MAX_TRIED
    assert len(plain.marked_entry["Data"]) - len(plain.entry["Data"]) == MARK_BYTES
    assert CALL_BYTES + CALL_RECORDS * MARK_BYTES <= 10 * 1024 * 1024


def test_the_largest_record_fits_with_its_mark() -> None:
    with pytest.raises(ValueError, match="use 1 to 1048543"):
        Scheduler(Random(1), lanes=64, record_bytes=MAX_RECORD_BYTES)
    scheduler, clock = made(lanes=64, record_bytes=1_048_543)
    clock.hear(float(MAX_TRIED // 1000), 0.0)
    scheduler.buffer("a", bytes(1_000_000), 0.0)
    [record] = again(scheduler, call_at(scheduler, 0.0), LOST).records
    assert 1_048_543 + len(record.entry["PartitionKey"]) <= MAX_RECORD_BYTES
