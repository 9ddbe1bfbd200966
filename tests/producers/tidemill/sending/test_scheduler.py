"""The scheduler: what leaves, when, and in which order, whatever fails."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from math import inf
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from tidemill.contract.aggregation import unpack
from tidemill.contract.lanes import lane_of
from tidemill.contract.request import Request, decode
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill.sending.backoff import (
    FIRST_BACKOFF,
    LONGEST_BACKOFF,
    backoff,
)
from tidemill.sending.giving_up import DROPPED, EXPIRY_STEP
from tidemill.sending.records import (
    CALL_BYTES,
    CALL_RECORDS,
    RECORD_REQUESTS,
    Acknowledged,
    Call,
    Outcome,
    Record,
    Refused,
)
from tidemill.sending.scheduler import LINGER, Scheduler
from tidemill.sending.tally import Stats

STORED = Acknowledged("shardId-000000000000", "1")
THROTTLED = Refused("ProvisionedThroughputExceededException", "slow down", again=True)
LOST = Refused("ReadTimeoutError", "no answer", again=True, lost=True)
DENIED = Refused("AccessDeniedException", "no", again=False)


def made(**options: Any) -> Scheduler:
    return Scheduler(Random(7), **{"linger": 1.0} | options)


def send(scheduler: Scheduler, key: str, now: float = 0.0, data: dict[str, Any] | None = None) -> Record:
    return scheduler.add(Request(id="1", cmd="c", key=key, data=data or {}), now)


def call_at(scheduler: Scheduler, now: float) -> Call:
    call = scheduler.next_call(now)
    assert isinstance(call, Call)
    return call


def requests_in(record: Record) -> list[Request]:
    if record.hash_key is None:
        return [decode(record.data)]
    return [decode(user_record.data) for user_record in unpack(record.data)]


def keys_in_other_lanes(count: int, lanes: int = 64) -> list[str]:
    """Keys of which no two share a lane."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < count:
        found.setdefault(lane_of(f"key-{number}", lanes), f"key-{number}")
        number += 1
    return list(found.values())


SHARD_BYTES = st.sampled_from([None, 3_000])
"""What a shard takes in a second, so that records are held: None for what the service's shards take."""


@contextmanager
def shards_that_take(size: int | None) -> Iterator[None]:
    with nullcontext() if size is None else patch("tidemill.sending.pacing.bucket.SHARD_BYTES", size):
        yield


class World:
    """A stream that fails: some entries, some calls, some calls after it has stored them, or long after."""

    def __init__(self, scheduler: Scheduler, chance: Random) -> None:
        self.scheduler = scheduler
        self.chance = chance
        self.now = 0.0
        self.under_way: list[Call] = []
        self.late: list[Call] = []
        self.log: dict[int, list[Request]] = defaultdict(list)

    def store(self, records: list[Record]) -> None:
        for record in records:
            self.log[record.lane] += requests_in(record)

    def fetch(self) -> None:
        """Takes the calls that are to be had: a lane may be in one only."""
        while isinstance(call := self.scheduler.next_call(self.now), Call):
            busy = [record.lane for other in self.under_way for record in other.records]
            lanes = [record.lane for record in call.records]
            assert len({*busy, *lanes}) == len(busy) + len(lanes)
            assert len(lanes) <= CALL_RECORDS
            self.under_way.append(call)
        self.wait_until = call

    def answer(self) -> None:
        """Answers any one of the calls under way."""
        call = self.under_way.pop(self.chance.randrange(len(self.under_way)))
        fate = self.chance.random()
        if fate < 0.1:
            self.scheduler.failed(call, LOST, self.now)
        elif fate < 0.2:
            self.store(call.records)
            self.scheduler.failed(call, LOST, self.now)
        elif fate < 0.25:
            self.store(call.records)
            self.scheduler.acknowledged(call, [STORED] * (len(call.records) - 1), self.now)
        else:
            outcomes = [THROTTLED if self.chance.random() < 0.3 else STORED for _ in call.records]
            self.store([record for record, outcome in zip(call.records, outcomes, strict=True) if outcome == STORED])
            self.scheduler.acknowledged(call, outcomes, self.now)

    def step(self) -> None:
        self.fetch()
        if self.under_way and self.chance.random() < 0.7:
            self.answer()
        elif self.under_way:
            self.now += self.chance.random()
        else:
            self.now = max(self.now, min(self.wait_until, self.now + 100))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 4, 64]),
    st.sampled_from([300, 2_000, 25 * 1024]),
    st.sampled_from([True, True, False]),
    SHARD_BYTES,
)
def test_order_and_completeness_whatever_fails(
    seed: int, lanes: int, record_bytes: int, aggregate: bool, shard_bytes: int | None
) -> None:
    with shards_that_take(shard_bytes):
        check_order_and_completeness(seed, lanes, record_bytes, aggregate)


def check_order_and_completeness(seed: int, lanes: int, record_bytes: int, aggregate: bool) -> None:
    chance = Random(seed)
    scheduler = Scheduler(
        Random(seed),
        lanes=lanes,
        record_bytes=record_bytes,
        linger=chance.random(),
        aggregate=aggregate,
    )
    world = World(scheduler, chance)
    sent: dict[str, list[int]] = defaultdict(list)
    for number in range(1, 301):
        key = f"key-{int(chance.paretovariate(0.5)) % 50}"
        sent[key].append(number)
        data: Any = {"pad": "x" * chance.randrange(200)}
        scheduler.add(Request(id=f"{number}", cmd="c", key=key, counter=number, data=data), world.now)
        if chance.random() < 0.3:
            world.step()
    unsettled = scheduler.flush(world.now)
    steps = 0
    while any(record.outcome is None for record in unsettled):
        world.step()
        steps += 1
        assert steps < 100_000
    stored = [request for log in world.log.values() for request in log]
    first: dict[str, list[int]] = defaultdict(list)
    copies: dict[str, Request] = {}
    for request in stored:
        if request.id in copies:
            assert request == copies[request.id]  # a repeat is an exact copy, counter and all
            continue
        copies[request.id] = request
        first[request.key or ""].append(request.counter or 0)
    assert first == sent
    stats = scheduler.stats(0.0)
    assert (stats.requests, stats.pending, stats.refused) == (300, 0, 0)
    assert scheduler.pending_bytes == 0
    assert scheduler.due == inf


def assert_in_order(world: World) -> None:
    """The first copies of a key's requests lie in the order of their counters."""
    for log in world.log.values():
        first = dict.fromkeys((request.key, request.counter or 0) for request in log)
        for key in {key for key, _ in first}:
            counters = [counter for other, counter in first if other == key]
            assert counters == sorted(counters)


def test_what_waits_behind_a_dropped_record_goes_at_once() -> None:
    scheduler = made(lanes=1, linger=0.0)
    send(scheduler, "a")
    scheduler.acknowledged(call_at(scheduler, 0.0), [Refused("InternalFailure", "", again=True)], 0.0)
    later = send(scheduler, "b")
    scheduler.flush(0.0)
    assert scheduler.drop_oldest()
    assert scheduler.due <= 0.0
    assert call_at(scheduler, 0.0).records == [later]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 4, 64]), st.sampled_from([300, 2_000]), st.booleans(), SHARD_BYTES)
def test_each_outcome_is_true_when_requests_expire_and_are_dropped(
    seed: int, lanes: int, record_bytes: int, aggregate: bool, shard_bytes: int | None
) -> None:
    with shards_that_take(shard_bytes):
        check_outcomes(seed, lanes, record_bytes, aggregate)


def check_outcomes(seed: int, lanes: int, record_bytes: int, aggregate: bool) -> None:
    chance = Random(seed)
    scheduler = Scheduler(
        Random(seed),
        lanes=lanes,
        record_bytes=record_bytes,
        linger=chance.random(),
        aggregate=aggregate,
    )
    world = World(scheduler, chance)
    sent: dict[int, tuple[Record, int]] = {}
    spooled: set[int] = set()
    for number in range(1, 201):
        key = f"key-{int(chance.paretovariate(0.5)) % 20}"
        payload = to_payload(Request(id=f"{number}", cmd="c", key=key, counter=number, data={}))
        deadline = world.now + chance.choice([0.5, 2.0, 20.0, inf])
        record = scheduler.buffer(key, payload, world.now, deadline)
        sent[number] = record, record.last
        record.spooled[record.last] = number
        spooled.add(number)
        if chance.random() < 0.4:
            world.step()
        if chance.random() < 0.02:
            scheduler.drop_oldest()
    scheduler.flush(world.now)
    for _ in range(100_000):
        if not scheduler.pending:
            break
        world.step()
    for record in scheduler.take_news():
        spooled.difference_update(record.take_ended())
    stored = {request.counter or 0 for log in world.log.values() for request in log}
    outcomes = {number: record.outcome_of(place) for number, (record, place) in sent.items()}
    assert None not in outcomes.values()
    assert {number for number, outcome in outcomes.items() if outcome == STORED} <= stored
    refused = [outcome for outcome in outcomes.values() if isinstance(outcome, Refused)]
    assert not stored & {number for number, one in outcomes.items() if isinstance(one, Refused) and not one.lost}
    assert_in_order(world)
    stats = scheduler.stats(world.now)
    assert (stats.pending, stats.refused, stats.pending_bytes) == (0, len(refused), 0)
    assert stats.unknown == sum(outcome.lost for outcome in refused)
    assert stats.expired == sum(outcome.code == "Expired" for outcome in refused)
    assert stats.dropped == sum(outcome.code == "Dropped" for outcome in refused)
    assert not spooled  # each number was given back, once
    assert scheduler.next_call(world.now + 100) == inf


def test_plain_records_wait_for_company_even_if_a_key_has_two() -> None:
    scheduler = made(aggregate=False)
    for key in ("hot", "hot", "hot", *keys_in_other_lanes(20, 512)):
        send(scheduler, key)
    assert scheduler.next_call(0.5) == 1.0
    first = call_at(scheduler, 1.0)
    assert first.count == 21
    scheduler.acknowledged(first, [STORED] * 21, 1.0)
    assert [record.partition_key for record in call_at(scheduler, 1.0).records] == ["hot"]


@given(st.integers(0, 2**32))
def test_the_same_chance_gives_the_same_calls(seed: int) -> None:
    def run() -> list[bytes]:
        scheduler = Scheduler(Random(seed), linger=0.0)
        for number in range(20):
            send(scheduler, f"key-{number % 3}")
        sent: list[bytes] = []
        while isinstance(call := scheduler.next_call(0.0), Call):
            sent += [record.data for record in call.records]
        return sent

    assert run() == run()


# ---- requests


def test_a_refused_request_leaves_no_trace() -> None:
    scheduler = made()
    send(scheduler, "a")
    before = (scheduler.stats(0.0), scheduler.pending_bytes)
    with pytest.raises(UnsendableRequest, match=r"data\.x"):
        send(scheduler, "a", data={"x": b""})
    assert (scheduler.stats(0.0), scheduler.pending_bytes) == before


def test_a_ready_request_goes_as_it_is() -> None:
    scheduler = made()
    request = Request(id="1", cmd="c", key="k", writer="another", counter=9, at=5, data={"a": 1})
    assert requests_in(scheduler.add(request, 0.0)) == [request]


def test_a_record_goes_to_its_lane() -> None:
    record = send(made(), "content/42")
    assert record.lane == lane_of("content/42")
    assert record.partition_key == f"lane-{record.lane}"
    assert {user_record.hash_key for user_record in unpack(record.data)} == {record.hash_key}


# ---- when a call leaves


def test_nothing_to_do_is_forever() -> None:
    assert made().next_call(0.0) == inf


def test_a_request_waits_for_company_until_its_deadline() -> None:
    scheduler = made()
    send(scheduler, "a", 5.0)
    assert scheduler.due == 6.0
    assert scheduler.next_call(5.9) == 6.0
    assert call_at(scheduler, 6.0).count == 1
    assert scheduler.next_call(6.0) == inf


def test_one_deadline_takes_all_lanes_along() -> None:
    scheduler = made()
    for number, key in enumerate(keys_in_other_lanes(5)):
        send(scheduler, key, number / 10)
    assert call_at(scheduler, 1.0).count == 5


def test_a_full_record_waits_for_others_but_not_for_the_next_of_its_lane() -> None:
    scheduler = made(record_bytes=1000)
    pad = {"pad": "x" * 700}
    send(scheduler, "a", 0.0, pad)
    send(scheduler, "a", 0.1, pad)
    assert scheduler.next_call(0.2) == 1.0
    send(scheduler, "a", 0.2, pad)
    assert scheduler.due == -inf
    assert call_at(scheduler, 0.2).count == 1


def test_a_call_leaves_when_every_lane_is_aboard() -> None:
    scheduler = made(lanes=2, record_bytes=1000)
    pad = {"pad": "x" * 700}
    for key in keys_in_other_lanes(2, lanes=2):
        send(scheduler, key, 0.0, pad)
        send(scheduler, key, 0.0, pad)
    assert call_at(scheduler, 0.0).count == 2


def test_a_call_carries_500_records_at_most() -> None:
    scheduler = made(lanes=1024)
    for key in keys_in_other_lanes(700, lanes=1024):
        send(scheduler, key)
    scheduler.flush(0.0)
    assert [call_at(scheduler, 0.0).count, call_at(scheduler, 0.0).count] == [500, 200]


def test_flush_does_not_wait() -> None:
    scheduler = made(linger=1e9)
    record = send(scheduler, "a")
    assert scheduler.flush(0.0) == [record]
    assert call_at(scheduler, 0.0).records == [record]


def test_flush_reaches_what_waits_behind_a_record_on_its_way() -> None:
    scheduler = made(linger=1e9)
    send(scheduler, "a")
    scheduler.flush(0.0)
    first = call_at(scheduler, 0.0)
    send(scheduler, "a")
    scheduler.flush(0.0)
    assert scheduler.next_call(0.0) == inf
    scheduler.acknowledged(first, [STORED], 0.0)
    assert call_at(scheduler, 0.0).count == 1


def test_a_request_larger_than_a_record_travels_alone() -> None:
    scheduler = made(record_bytes=1000)
    records = [send(scheduler, "a", 0.0, {"pad": "x" * size}) for size in (1, 50_000, 1)]
    assert len(set(map(id, records))) == 3


# ---- what became of a call


def one_call(scheduler: Scheduler, *keys: str) -> Call:
    for key in keys:
        send(scheduler, key)
    scheduler.flush(0.0)
    return call_at(scheduler, 0.0)


def test_only_failed_entries_are_sent_again_as_the_same_bytes() -> None:
    scheduler = made()
    call = one_call(scheduler, *keys_in_other_lanes(3))
    second = call.records[1]
    sent = second.data
    scheduler.acknowledged(call, [STORED, THROTTLED, STORED], 0.0)
    send(scheduler, decode(unpack(sent)[0].data).key or "", 0.0)
    again = call_at(scheduler, FIRST_BACKOFF)
    assert again.records == [second]
    assert second.data == sent
    scheduler.acknowledged(again, [STORED], 0.0)
    stats = scheduler.stats(0.0)
    assert (stats.put_calls, stats.records, stats.retried_entries, stats.throttled_entries) == (2, 3, 1, 1)


def test_a_lane_waits_for_its_acknowledgement() -> None:
    scheduler = made()
    first = one_call(scheduler, "a")
    send(scheduler, "a")
    scheduler.flush(0.0)
    assert scheduler.next_call(1e9) == inf
    scheduler.acknowledged(first, [STORED], 0.0)
    assert call_at(scheduler, 0.0).records != first.records


def test_other_lanes_do_not_wait() -> None:
    scheduler = made()
    one, other = keys_in_other_lanes(2)
    one_call(scheduler, one)
    assert one_call(scheduler, other).count == 1


def test_a_failed_call_is_tried_again_after_a_back_off() -> None:
    scheduler = made()
    call = one_call(scheduler, "a")
    scheduler.failed(call, LOST, 100.0)
    until = scheduler.next_call(100.0)
    assert isinstance(until, float)
    assert 100.0 < until <= 100.0 + FIRST_BACKOFF
    assert call_at(scheduler, until).records == call.records


UNREACHED = Refused("EndpointConnectionError", "nobody there", again=True)


def calls_until(scheduler: Scheduler, now: float, end: float, error: Refused = UNREACHED) -> list[tuple[float, int]]:
    """When calls leave, and with how many records, if each fails at once with an error."""
    made = []
    while isinstance(call := scheduler.next_call(now), Call) or call <= end:
        if isinstance(call, Call):
            made.append((now, call.count))
            scheduler.failed(call, error, now)
        else:
            now = call
    return made


def test_an_endpoint_that_does_not_answer_has_one_back_off_for_all_lanes() -> None:
    scheduler = made(linger=0.0)
    for key in keys_in_other_lanes(64):
        send(scheduler, key)
    made_calls = calls_until(scheduler, 0.0, 3600.0)
    waits = [later - before for (before, _), (later, _) in pairwise(made_calls)]
    assert all(wait <= min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**n) for n, wait in enumerate(waits))
    assert 3600 / 6 < len(made_calls) < 3600 / 4  # one each 5 s, which is the mean of a full jitter up to 10
    assert [count for _, count in made_calls[:8]] == [64, 32, 16, 8, 4, 2, 1, 1]
    assert scheduler.pending == 64


def test_while_nobody_answers_what_comes_waits_too_and_one_call_finds_out() -> None:
    scheduler = made(linger=0.0)
    one, *others = keys_in_other_lanes(64)
    scheduler.failed(one_call(scheduler, one), UNREACHED, 100.0)
    for key in others:
        send(scheduler, key, 100.0)
    until = scheduler.next_call(100.0)
    assert isinstance(until, float)
    assert until > 100.0
    probe = call_at(scheduler, until)
    assert probe.count == 1
    assert scheduler.next_call(1e9) == inf  # until that is answered
    scheduler.acknowledged(probe, [STORED], until)
    counts = []
    while isinstance(call := scheduler.next_call(until), Call):
        counts.append(call.count)
        scheduler.acknowledged(call, [STORED] * call.count, until)
    assert counts == [2, 4, 8, 16, 32, 1]
    assert scheduler.pending == 0
    for key in others:
        send(scheduler, key, until)
    assert call_at(scheduler, until).count == 63
    assert scheduler.next_call(until) == inf


def test_a_record_that_no_call_with_it_survives_does_not_hold_the_others() -> None:
    scheduler = made(linger=0.0)
    bad, *good = [send(scheduler, key) for key in keys_in_other_lanes(64)]
    now = 0.0
    for _ in range(200):
        call = scheduler.next_call(now)
        if not isinstance(call, Call):
            now = call
        elif bad in call.records:
            scheduler.failed(call, LOST, now)
        else:
            scheduler.acknowledged(call, [STORED] * call.count, now)
    assert {record.outcome for record in good} == {STORED}
    assert bad.outcome is None


def test_a_throttled_call_is_no_sign_that_nobody_answers() -> None:
    scheduler = made(linger=0.0)
    one, other = keys_in_other_lanes(2)
    scheduler.failed(one_call(scheduler, one), Refused("ThrottlingException", "slow down", again=True), 0.0)
    assert not scheduler.is_failing
    send(scheduler, other)
    assert call_at(scheduler, 0.0).count == 1


def test_time_is_over_while_nobody_answers() -> None:
    scheduler = made(linger=0.0)
    payload = to_payload(Request(id="1", cmd="c", key="k", data={}))
    records = [scheduler.buffer(key, payload, 0.0, 50.0) for key in keys_in_other_lanes(64)]
    made_calls = calls_until(scheduler, 0.0, 100.0)
    assert {record.outcome.code for record in records if isinstance(record.outcome, Refused)} == {"Expired"}
    assert len(made_calls) < 40
    assert (scheduler.pending, scheduler.pending_bytes, scheduler.is_failing) == (0, 0, False)


def test_the_oldest_makes_room_while_nobody_answers() -> None:
    scheduler = made(linger=0.0)
    records = [send(scheduler, key) for key in keys_in_other_lanes(64)]
    calls_until(scheduler, 0.0, 60.0)
    while scheduler.drop_oldest():
        pass
    assert {record.outcome.code for record in records if isinstance(record.outcome, Refused)} == {"Dropped"}
    assert (scheduler.pending, scheduler.pending_bytes, scheduler.is_failing) == (0, 0, False)
    later = send(scheduler, "later", 1000.0)
    assert call_at(scheduler, 1000.0).records == [later]


def test_something_fails_until_all_that_failed_is_stored() -> None:
    scheduler = made(linger=0.0)
    call = one_call(scheduler, *keys_in_other_lanes(3))
    failing = [scheduler.is_failing]
    internal = Refused("InternalFailure", "", again=True, lost=True)
    scheduler.acknowledged(call, [STORED, internal, internal], 0.0)
    failing.append(scheduler.is_failing)
    for now in range(1, 20):
        call_or_time = scheduler.next_call(now)
        if isinstance(call_or_time, Call):
            scheduler.acknowledged(call_or_time, [STORED if now > 3 else THROTTLED] * call_or_time.count, now)
            failing.append(scheduler.is_failing)
    assert failing[:3] == [False, True, True]
    assert not failing[-1]
    assert scheduler.pending == 0


def test_an_answer_of_another_length_says_nothing() -> None:
    scheduler = made()
    call = one_call(scheduler, *keys_in_other_lanes(2))
    scheduler.acknowledged(call, [STORED], 0.0)
    assert [record.outcome for record in call.records] == [None, None]
    assert scheduler.stats(0.0).retried_entries == 2


def test_an_error_that_no_retry_cures_ends_the_record_and_not_the_lane() -> None:
    scheduler = made()
    call = one_call(scheduler, "a")
    send(scheduler, "a")
    scheduler.failed(call, DENIED, 0.0)
    assert call.records[0].outcome == DENIED
    assert (scheduler.stats(0.0).refused, scheduler.stats(0.0).pending) == (1, 1)
    assert call_at(scheduler, 1.0).count == 1


def test_back_off_grows_up_to_a_limit_and_starts_again_after_success() -> None:
    assert [backoff(attempts, 1.0) for attempts in range(3)] == [
        FIRST_BACKOFF,
        2 * FIRST_BACKOFF,
        4 * FIRST_BACKOFF,
    ]
    assert backoff(10_000, 1.0) == LONGEST_BACKOFF
    assert backoff(5, 0.0) == 0.0


@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True))
def test_back_off_has_full_jitter(attempts: int, chance: float) -> None:
    assert 0 <= backoff(attempts, chance) <= min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**attempts)


def test_what_is_abandoned_is_settled_wherever_it_is() -> None:
    scheduler = made(record_bytes=300)
    pad = {"pad": "x" * 200}
    one, other = keys_in_other_lanes(2)
    records = [send(scheduler, one, 0.0, pad) for _ in range(4)]
    call = call_at(scheduler, 0.0)
    records.append(send(scheduler, other))
    scheduler.abandon(DENIED)
    on_its_way, *waiting = dict.fromkeys(records)
    assert on_its_way.outcome == DENIED._replace(lost=True)  # its answer may come, and nobody will hear it
    assert {record.outcome for record in waiting} == {DENIED}
    assert (scheduler.pending, scheduler.pending_bytes, scheduler.due) == (0, 0, inf)
    scheduler.acknowledged(call, [STORED], 0.0)
    assert scheduler.stats(0.0).records == 0
    assert scheduler.next_call(1e9) == inf


@pytest.mark.parametrize("lanes", [1, 1024])
def test_after_all_was_abandoned_only_what_comes_then_leaves(lanes: int) -> None:
    """Records in a call, in a full call, and behind one of either: nobody got them, so none may be stored."""
    scheduler = made(lanes=lanes, linger=0.0)
    keys = keys_in_other_lanes(min(lanes, CALL_RECORDS + 1), lanes)
    records = []
    for _ in range(2):
        records += [send(scheduler, key) for key in keys]
        scheduler.flush(0.0)
    scheduler.abandon(DENIED)
    assert {record.outcome for record in records} == {DENIED}
    assert (scheduler.pending, scheduler.pending_bytes, scheduler.due, scheduler.next_call(9.0)) == (0, 0, inf, inf)
    later = [send(scheduler, key, 10.0) for key in keys[:2]]
    assert set(map(id, call_at(scheduler, 10.0).records)) == set(map(id, later))
    assert scheduler.next_call(10.0) == inf


def test_news_are_told_once() -> None:
    scheduler = made(lanes=1, linger=0.0)
    call = one_call(scheduler, "a")
    assert scheduler.take_news() == []
    scheduler.acknowledged(call, [STORED], 0.0)
    assert scheduler.take_news() == call.records
    assert scheduler.take_news() == []


def test_what_is_dropped_is_counted_by_its_requests() -> None:
    scheduler = made(lanes=1, linger=60.0)
    for _ in range(3):
        send(scheduler, "a")
    assert scheduler.drop_oldest()
    assert scheduler.stats(0.0) == Stats(requests=3, refused=3, dropped=3)
    assert not scheduler.drop_oldest()


def test_only_what_was_handed_out_may_be_stored() -> None:
    scheduler = made(lanes=1, linger=0.0)
    send(scheduler, "a")
    send(scheduler, "a")
    scheduler.flush(0.0)
    assert scheduler.maybe_stored == 0
    call = call_at(scheduler, 0.0)
    assert scheduler.maybe_stored == 2
    scheduler.acknowledged(call, [STORED], 0.0)
    assert scheduler.maybe_stored == 0


def test_a_request_behind_one_on_its_way_wakes_nobody() -> None:
    scheduler = made(lanes=1, linger=1.0)
    call = one_call(scheduler, "a")
    assert scheduler.due == inf
    send(scheduler, "a", 5.0)
    assert scheduler.due == inf
    scheduler.acknowledged(call, [STORED], 5.5)
    assert scheduler.due == 6.0


def test_of_a_record_only_the_requests_whose_time_is_over_end() -> None:
    scheduler = made(lanes=2, linger=60.0)
    one, other = keys_in_other_lanes(2, lanes=2)
    record, _, _ = (scheduler.buffer(one, b"{%d}" % place, 0.0, end) for place, end in enumerate((1.0, 9.0, inf)))
    for end in (3.0, 5.0):
        scheduler.buffer(other, b"{}", 0.0, end)
    assert scheduler.next_call(1.0) == 3.0, "the next deadline"
    assert scheduler.take_news() == [record], "nothing of the other has ended"
    stats = scheduler.stats(1.0)
    assert (stats.expired, stats.refused, stats.unknown, stats.pending) == (1, 1, 0, 4)
    assert scheduler.pending_bytes == sum(one.size for one in scheduler.flush(1.0))
    assert record.size == len(record.data)


def test_a_record_all_of_whose_time_is_over_after_a_lost_answer_may_be_stored() -> None:
    scheduler = made(lanes=1, linger=0.0)
    record = scheduler.buffer("k", b"{}", 0.0, 5.0)
    scheduler.buffer("k", b"{}", 0.0, 4.0)
    scheduler.failed(call_at(scheduler, 0.0), LOST, 0.0)
    behind = scheduler.buffer("k", b"{}", 0.0, 7.0)
    scheduler.flush(0.0)
    again = call_at(scheduler, 3.0)
    scheduler.failed(again, LOST, 4.5)
    scheduler.next_call(4.5)
    assert (scheduler.stats(4.5).unknown, scheduler.unknown, record.count) == (1, 1, 1)
    scheduler.take_news()
    scheduler.next_call(5.5)
    assert record.outcome == Refused("Expired", "the time of all its requests was over", again=False, lost=True)
    assert (scheduler.unknown, scheduler.take_news(), scheduler.pending_bytes) == (2, [record], behind.size)


def test_what_expires_behind_a_record_on_its_way_never_leaves() -> None:
    scheduler = made(lanes=1, linger=0.0)
    call = one_call(scheduler, "k")
    behind = scheduler.buffer("k", b"{}", 0.0, 1.0)
    scheduler.flush(0.0)
    scheduler.next_call(1.0)
    assert isinstance(behind.outcome, Refused)
    scheduler.acknowledged(call, [STORED], 2.0)
    assert scheduler.next_call(9.0) == inf


def test_what_stands_in_a_full_call_does_not_expire() -> None:
    scheduler = made(lanes=1024, linger=0.0)
    for key in keys_in_other_lanes(CALL_RECORDS + 1, lanes=1024):
        scheduler.buffer(key, b"{}", 0.0, 5.0)
    scheduler.flush(0.0)
    assert call_at(scheduler, 6.0).count == CALL_RECORDS
    assert scheduler.stats(6.0).expired == 1


def test_full_calls_leave_one_behind_the_other() -> None:
    scheduler = made(lanes=1024, linger=1.0)
    first, *others = keys_in_other_lanes(2 * CALL_RECORDS + 1, lanes=1024)
    send(scheduler, first, 0.0)
    for key in others:
        send(scheduler, key, 0.5)
    assert [call_at(scheduler, 1.0).count for _ in range(2)] == [CALL_RECORDS] * 2


def test_a_deadline_hurries_no_call() -> None:
    scheduler = made(lanes=4, record_bytes=1000)
    full, late, flying = keys_in_other_lanes(3, lanes=4)
    one_call(scheduler, flying)
    pad = {"pad": "x" * 700}
    for key in (full, full, flying, flying, flying):
        send(scheduler, key, 0.0, pad)  # the first waits for others, the last behind one that is on its way
    scheduler.buffer(late, b"{}", 0.0, 0.5)
    assert scheduler.next_call(0.5) == 1.0


def test_trouble_is_abandoned_too() -> None:
    scheduler = made(linger=0.0)
    scheduler.failed(one_call(scheduler, "a"), UNREACHED, 0.0)
    scheduler.abandon(DENIED)
    assert not scheduler.is_failing
    send(scheduler, "a")
    assert call_at(scheduler, 0.0).count == 1


def test_pending_bytes_are_the_records_bytes() -> None:
    scheduler = made()
    call = one_call(scheduler, *keys_in_other_lanes(3))
    assert scheduler.pending_bytes == sum(len(record.data) for record in call.records)
    outcomes: list[Outcome] = [STORED, DENIED, STORED]
    sizes = [len(record.data) for record in call.records]
    scheduler.acknowledged(call, outcomes, 0.0)
    assert scheduler.pending_bytes == 0
    assert scheduler.stats(0.0).bytes == sizes[0] + sizes[2]


@pytest.mark.parametrize(
    "options", [{"lanes": 3}, {"record_bytes": 0}, {"record_bytes": 1024 * 1024}, {"linger": -1.0}, {"linger": inf}]
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        made(**options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"record_bytes": 0}, "record_bytes=0: use 1 to 1048543"),
        ({"record_bytes": 1_048_544}, "record_bytes=1048544: use 1 to 1048543"),
        ({"record_bytes": 1_048_545, "lanes": 1}, "record_bytes=1048545: use 1 to 1048544"),
        ({"linger": -0.001}, "linger=-0.001: use seconds, 0 or more"),
        ({"linger": inf}, "linger=inf: use seconds, 0 or more"),
    ],
)
def test_an_argument_just_out_of_its_range_is_refused_with_the_range(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}$"):
        made(**options)


@pytest.mark.parametrize(
    "options",
    [{"record_bytes": 1}, {"record_bytes": 1_048_543}, {"record_bytes": 1_048_544, "lanes": 1}, {"linger": 0}],
)
def test_an_argument_at_the_edge_of_its_range_is_taken(options: dict[str, Any]) -> None:
    scheduler = made(**options)
    record = send(scheduler, "a")
    scheduler.flush(0.0)
    assert call_at(scheduler, 0.0).records == [record]


@pytest.mark.parametrize(
    ("options", "lanes"),
    [({}, 64), ({"aggregate": False}, 512), ({"lanes": 16}, 16), ({"lanes": 8, "aggregate": False}, 8)],
)
def test_it_has_as_many_lanes_as_it_is_told_or_as_fit_a_call(options: dict[str, Any], lanes: int) -> None:
    scheduler = Scheduler(Random(7), **options)
    for key in ("a", "content/42", "\N{WATER WAVE}"):
        assert send(scheduler, key).lane == lane_of(key, lanes)


def test_a_new_outbox_has_done_nothing() -> None:
    assert made().stats(5.0) == Stats()
    assert not any(asdict(Stats()).values())


def test_once_the_endpoint_has_answered_calls_leave_side_by_side_again() -> None:
    scheduler = made(lanes=2, linger=0.0)
    one, other = keys_in_other_lanes(2, lanes=2)
    send(scheduler, one)
    scheduler.failed(call_at(scheduler, 0.0), LOST, 0.0)
    scheduler.acknowledged(call_at(scheduler, 60.0), [STORED], 60.0)
    for key in (one, other):
        send(scheduler, key, 60.0)
        call_at(scheduler, 60.0)  # the first is on its way still


def test_what_stands_in_a_full_call_is_not_dropped() -> None:
    scheduler = made(lanes=1024, linger=0.0)
    records = [send(scheduler, key) for key in keys_in_other_lanes(CALL_RECORDS + 1, lanes=1024)]
    scheduler.flush(0.0)
    assert scheduler.drop_oldest()
    assert not scheduler.drop_oldest()
    (dropped,) = [record for record in records if record.outcome]
    assert dropped.outcome == Refused("Dropped", "newer requests needed its room", again=False)
    leaving = call_at(scheduler, 0.0).records
    assert {id(record) for record in [dropped, *leaving]} == {id(record) for record in records}


def test_what_waits_behind_a_record_in_a_full_call_may_be_dropped() -> None:
    scheduler = made(lanes=1024, linger=0.0)
    keys = keys_in_other_lanes(CALL_RECORDS + 1, lanes=1024)
    records = {key: send(scheduler, key) for key in keys}
    scheduler.flush(0.0)
    assert scheduler.drop_oldest(), "one is in no full call"
    first, second, *_ = (key for key, record in records.items() if record.outcome is None)
    behind = [send(scheduler, first, 2.0), send(scheduler, second, 1.0)]
    for one in reversed(behind):
        assert scheduler.drop_oldest()
        assert one.outcome == Refused("Dropped", "newer requests needed its room", again=False)
    assert not scheduler.drop_oldest()
    assert call_at(scheduler, 0.0).count == CALL_RECORDS


@pytest.mark.parametrize(("patient", "outcome"), [(True, None), (False, DENIED)])
def test_a_call_that_fails_for_good_is_made_again_if_someone_may_mend_it(
    patient: bool, outcome: Outcome | None
) -> None:
    scheduler = made(lanes=1, linger=0.0, patient=patient)
    call = one_call(scheduler, "a")
    scheduler.failed(call, DENIED, 0.0)
    (record,) = call.records
    assert (record.outcome, record.maybe_stored, scheduler.is_failing) == (outcome, False, patient)
    assert scheduler.stats(0.0).retried_entries == patient
    if patient:
        assert call_at(scheduler, 60.0).records == [record]


@pytest.mark.parametrize("answer", [THROTTLED, DENIED])
def test_an_endpoint_that_refuses_a_call_answers_again(answer: Refused) -> None:
    scheduler = made(lanes=2, linger=0.0)
    one, other = keys_in_other_lanes(2, lanes=2)
    scheduler.failed(one_call(scheduler, one), LOST, 0.0)
    scheduler.failed(call_at(scheduler, 60.0), answer, 60.0)
    send(scheduler, other, 60.0)
    assert call_at(scheduler, 60.0).count == 1


def test_what_is_on_its_way_or_was_and_has_no_answer_may_be_stored() -> None:
    scheduler = made(lanes=1, linger=0.0)
    assert scheduler.maybe_stored == 0
    send(scheduler, "a")
    assert scheduler.maybe_stored == 0
    scheduler.failed(call_at(scheduler, 0.0), LOST, 0.0)
    send(scheduler, "b")
    assert scheduler.maybe_stored == 1
    again = call_at(scheduler, 60.0)
    assert scheduler.maybe_stored == 1
    scheduler.acknowledged(again, [STORED], 60.0)
    assert scheduler.maybe_stored == 0


def test_the_times_are_those_of_the_documentation() -> None:
    assert (LINGER, FIRST_BACKOFF, LONGEST_BACKOFF) == (0.1, 0.1, 10.0)
    assert (EXPIRY_STEP, DROPPED, RECORD_REQUESTS) == (0.1, "Dropped", 10_000)
    assert Scheduler(Random(7)).next_call(0.0) == inf
    scheduler = Scheduler(Random(7))
    send(scheduler, "a")
    assert scheduler.due == 0.1


def test_requests_end_at_their_deadline_or_a_tenth_of_a_second_later() -> None:
    scheduler = made(lanes=1, linger=60.0)
    payload = to_payload(Request(id="1", cmd="c", key="k", data={}))
    record, _, _ = (scheduler.buffer("k", payload, 0.0, deadline) for deadline in (1.05, 1.0, 9.0))
    assert scheduler.due == 1.0
    assert scheduler.next_call(0.999) == 1.0
    assert scheduler.next_call(1.0) == 1.1
    assert [record.outcome_of(place) is None for place in range(3)] == [True, False, True]
    assert scheduler.next_call(1.1) == 9.0
    assert [record.outcome_of(place) is None for place in range(3)] == [False, False, True]
    assert (scheduler.stats(1.1).expired, scheduler.refused, scheduler.unknown, scheduler.pending) == (2, 2, 0, 1)


def test_a_call_that_leaves_shortly_before_a_deadline_does_not_put_it_off() -> None:
    scheduler = made(lanes=2, linger=0.0)
    one, other = keys_in_other_lanes(2, lanes=2)
    one_call(scheduler, one)
    behind = scheduler.buffer(one, b"{}", 0.0, 1.0)
    send(scheduler, other, 0.95)
    call_at(scheduler, 0.95)
    assert scheduler.due == 1.0
    scheduler.next_call(1.0)
    assert behind.outcome is not None


def test_a_record_of_as_many_requests_as_may_be_is_due_at_once() -> None:
    scheduler = made(lanes=1, record_bytes=900_000, linger=60.0)
    for _ in range(RECORD_REQUESTS - 1):
        scheduler.buffer("k", b"{}", 0.0)
    assert scheduler.next_call(0.0) == 60.0
    last = scheduler.buffer("k", b"{}", 0.0)
    assert (scheduler.due, scheduler.pending_bytes) == (-inf, last.size)
    assert scheduler.buffer("k", b"{}", 0.0) is not last
    (record,) = call_at(scheduler, 0.0).records
    assert record is last
    assert record.count == RECORD_REQUESTS
    assert scheduler.pending == RECORD_REQUESTS + 1


def test_a_call_leaves_when_it_has_no_room_for_the_next_record() -> None:
    scheduler = made(lanes=64, record_bytes=1, linger=60.0, paced=False)
    size, keys = 261_600, keys_in_other_lanes(41)
    for key in keys[:40]:
        scheduler.buffer(key, bytes(size), 0.0)
        scheduler.buffer(key, b"{}", 0.0)  # ends the record of the one before
    assert scheduler.due == 60.0
    scheduler.buffer(keys[40], bytes(size), 0.0)
    scheduler.buffer(keys[40], b"{}", 0.0)
    call = call_at(scheduler, 0.0)
    assert (call.count, CALL_BYTES - size < call.size <= CALL_BYTES) == (40, True)
    assert scheduler.next_call(0.0) == 60.0


def test_a_record_of_another_shard_does_not_wait_behind_held_ones() -> None:
    scheduler = made(lanes=2, linger=0.0, record_bytes=1)
    one, other = keys_in_other_lanes(2, lanes=2)
    for key, shard in ((one, "a"), (other, "b")):
        scheduler.acknowledged(one_call(scheduler, key), [Acknowledged(shard, "1")], 0.0)
    scheduler.buffer(one, bytes(1_000_000), 0.0)
    call = call_at(scheduler, 0.0)
    scheduler.acknowledged(call, [THROTTLED], 0.0)
    held_until = scheduler.next_call(0.1)
    assert isinstance(held_until, float)
    assert 0.1 < held_until < 2.0
    sent = send(scheduler, other, 0.1)
    assert call_at(scheduler, 0.1).records == [sent]
    assert scheduler.next_call(0.1) == held_until
    assert call_at(scheduler, held_until).records == call.records


def test_what_is_abandoned_while_it_is_held_holds_nothing_that_comes_later() -> None:
    scheduler = made(lanes=1, linger=0.0)
    scheduler.acknowledged(one_call(scheduler, "a"), [STORED], 0.0)
    scheduler.buffer("a", bytes(1_000_000), 0.0)
    scheduler.acknowledged(call_at(scheduler, 0.0), [THROTTLED], 0.0)
    assert not isinstance(scheduler.next_call(0.1), Call)
    assert scheduler.due > 0.1
    scheduler.abandon(DENIED)
    assert scheduler.next_call(0.2) == inf
    send(scheduler, "a", 0.3)
    assert scheduler.due == 0.3


def test_a_lane_that_is_not_paced_goes_on_at_once() -> None:
    scheduler = made(lanes=1, linger=0.0, paced=False)
    scheduler.acknowledged(one_call(scheduler, "a"), [THROTTLED], 0.0)
    assert scheduler.due <= FIRST_BACKOFF
    scheduler.acknowledged(call_at(scheduler, 1.0), [STORED], 1.0)
    send(scheduler, "a", 1.0)
    assert scheduler.due == 1.0


def test_what_was_done_is_counted() -> None:
    scheduler = made(lanes=2, linger=0.0)
    one, other = keys_in_other_lanes(2, lanes=2)
    records = [send(scheduler, one, 0.0), send(scheduler, other, 1.0)]
    size = sum(record.size for record in records)
    assert scheduler.stats(3.0) == Stats(requests=2, pending=2, pending_bytes=size, oldest=3.0)
    call = call_at(scheduler, 3.0)
    scheduler.acknowledged(call, [THROTTLED, LOST], 3.0)
    assert scheduler.stats(4.0) == Stats(
        requests=2, pending=2, pending_bytes=size, oldest=4.0, put_calls=1, retried_entries=2, throttled_entries=1
    )
    scheduler.flush(60.0)
    again = call_at(scheduler, 60.0)
    assert again.count == 2
    scheduler.acknowledged(again, [STORED if record is call.records[0] else DENIED for record in again.records], 60.0)
    assert scheduler.stats(61.0) == Stats(
        requests=2,
        refused=1,
        unknown=1,
        records=1,
        bytes=call.records[0].size,
        put_calls=2,
        retried_entries=2,
        throttled_entries=1,
    )
    assert (scheduler.refused, scheduler.unknown, scheduler.pending, scheduler.maybe_stored) == (1, 1, 0, 0)


def test_a_call_that_is_refused_for_good_holds_nothing_that_comes_later() -> None:
    scheduler = made(lanes=1, linger=0.0)
    scheduler.failed(one_call(scheduler, "a"), DENIED, 0.0)
    assert not scheduler.is_failing
    send(scheduler, "a")
    assert scheduler.due == 0.0
    call_at(scheduler, 0.0)


def test_a_record_fills_while_the_one_before_is_on_its_way_however_often_others_leave() -> None:
    scheduler = made(lanes=2)
    one, other = keys_in_other_lanes(2, lanes=2)
    one_call(scheduler, one)
    behind = send(scheduler, one, 0.0)
    send(scheduler, other, 0.5)
    assert call_at(scheduler, 1.5).count == 1
    assert send(scheduler, one, 1.6) is behind
    assert behind.count == 2


class Highest:
    def random(self) -> float:
        return 1.0


def test_each_throttled_try_of_a_record_doubles_the_longest_wait_and_the_next_record_begins_anew() -> None:
    scheduler = Scheduler(Highest(), lanes=1, linger=0.0, paced=False)
    for _ in range(2):
        send(scheduler, "a")
        call = call_at(scheduler, 0.0)
        for wait in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0):
            scheduler.acknowledged(call, [THROTTLED], 0.0)
            assert scheduler.due == pytest.approx(wait)
            call = call_at(scheduler, wait)
        scheduler.acknowledged(call, [STORED], 0.0)


def test_each_call_that_fails_doubles_the_longest_wait_and_an_answer_begins_anew() -> None:
    scheduler = Scheduler(Highest(), lanes=1, linger=0.0)
    for _ in range(2):
        send(scheduler, "a")
        call = call_at(scheduler, 0.0)
        for wait in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0):
            scheduler.failed(call, LOST, 0.0)
            assert scheduler.due == pytest.approx(wait)
            call = call_at(scheduler, wait)
        scheduler.acknowledged(call, [STORED], 0.0)


def test_a_request_whose_time_ends_on_its_way_ends_when_its_call_fails() -> None:
    scheduler = made(lanes=1, linger=0.0)
    record = scheduler.buffer("k", b"{}", 0.0, 5.0)
    call = call_at(scheduler, 0.0)
    assert scheduler.next_call(5.5) == inf
    scheduler.failed(call, LOST, 6.0)
    assert scheduler.due == 5.0
    scheduler.next_call(6.0)
    assert isinstance(record.outcome, Refused)
    assert (record.outcome.code, record.outcome.lost) == ("Expired", True)
    assert (scheduler.pending, scheduler.pending_bytes, scheduler.is_failing, scheduler.maybe_stored) == (
        0,
        0,
        False,
        0,
    )
