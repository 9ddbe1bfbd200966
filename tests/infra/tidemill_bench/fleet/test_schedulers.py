"""Many producers' schedulers: nothing is lost, a record is one producer's, and each keeps the order of its keys."""

from __future__ import annotations

from collections import defaultdict, deque
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.contract.aggregation import unpack
from tidemill.sending.records import Acknowledged, Call, Outcome, Record, Refused
from tidemill_bench.fleet import Schedulers

THROTTLED = Refused("ProvisionedThroughputExceededException", "slow down", again=True)
LOST = Refused("ReadTimeoutError", "no answer", again=True, lost=True)


def payload(producer: int, number: int) -> bytes:
    return b"%d %d" % (producer, number)


def sent_by(record: Record) -> list[tuple[int, int]]:
    """Producer and number of each request in the record."""
    return [(int(first), int(second)) for first, second in (one.data.split() for one in unpack(record.data))]


class Stream:
    """Takes calls in order, and refuses some."""

    def __init__(self, schedulers: Schedulers, chance: Random, refused: float) -> None:
        self._schedulers, self._chance, self._refused = schedulers, chance, refused
        self._calls: deque[tuple[int, Call]] = deque()
        self.stored: list[list[tuple[int, int]]] = []
        self.ended = 0

    def turn(self, now: float) -> None:
        while isinstance(found := self._schedulers.next_call(now), tuple):
            self._calls.append(found)
        while self._calls:
            producer, call = self._calls.popleft()
            for one in self._schedulers.settle(producer, call, self._answer(call), now):
                self.ended += one.count

    def _answer(self, call: Call) -> list[Outcome] | Refused:
        if self._chance.random() < self._refused / 2:
            return LOST._replace(lost=False)
        answers: list[Outcome] = []
        for record in call.records:
            if self._chance.random() < self._refused:
                answers.append(THROTTLED)
            else:
                self.stored.append(sent_by(record))
                answers.append(Acknowledged("s", str(len(self.stored))))
        return answers


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 3, 50]), st.sampled_from([0.0, 0.3]))
def test_all_arrive_once_in_records_of_their_own_and_in_order(seed: int, producers: int, refused: float) -> None:
    chance = Random(seed)
    schedulers = Schedulers(chance)
    stream = Stream(schedulers, chance, refused)
    sent: defaultdict[int, int] = defaultdict(int)
    now = 0.0
    for _ in range(200):
        now += chance.expovariate(50)
        producer = chance.randrange(producers)
        schedulers.buffer(producer, f"k{producer % 4}", payload(producer, sent[producer]), now)
        sent[producer] += 1
        stream.turn(now)
    assert schedulers.pending == 200 - stream.ended
    schedulers.flush(now)
    while schedulers.due < inf:
        now = max(now, schedulers.due)
        stream.turn(now)
    assert stream.ended == 200
    assert schedulers.pending == 0
    assert all(len({producer for producer, _ in record}) == 1 for record in stream.stored)
    for producer, count in sent.items():
        assert [n for record in stream.stored for who, n in record if who == producer] == list(range(count))
    assert (schedulers.retries > 0) == (refused > 0)


def test_a_request_waits_for_company_and_no_longer() -> None:
    schedulers = Schedulers(Random(1))
    schedulers.buffer(7, "k", b"{}", 10.0)
    schedulers.buffer(8, "k", b"{}", 10.05)
    assert schedulers.due == pytest.approx(10.1)
    assert schedulers.next_call(10.09) == pytest.approx(10.1)
    first = schedulers.next_call(10.1)
    assert isinstance(first, tuple)
    assert (first[0], first[1].count) == (7, 1)
    assert schedulers.next_call(10.1) == pytest.approx(10.15), "another's record does not leave for it"


def test_idle_producers_take_no_room() -> None:
    schedulers = Schedulers(Random(1))
    made: set[int] = set()
    for number in range(1_000):
        schedulers.buffer(number, "k", b"{}", float(number))
        made.update(map(id, schedulers._active.values()))
        found = schedulers.next_call(number + 0.5)
        assert isinstance(found, tuple)
        schedulers.settle(*found, [Acknowledged("s", "1")], number + 0.5)
    assert len(made) == 1
    assert (schedulers.pending, schedulers.due) == (0, inf)


def test_a_producer_that_was_refused_leaves_its_scheduler_to_nobody() -> None:
    schedulers = Schedulers(Random(1))
    schedulers.buffer(1, "k", b"{}", 0.0)
    found = schedulers.next_call(0.1)
    assert isinstance(found, tuple)
    schedulers.settle(*found, [THROTTLED], 0.1)
    again: tuple[int, Call] | float = 0.1
    while not isinstance(again, tuple):
        again = schedulers.next_call(again)
    schedulers.settle(*again, [Acknowledged("s", "1")], 1.0)
    assert schedulers.retries == 1
    assert schedulers._idle == []


def test_what_is_abandoned_is_told() -> None:
    schedulers = Schedulers(Random(1))
    for number in range(3):
        schedulers.buffer(number, "k", b"{}", 0.0)
    assert [one.outcome and one.outcome[0] for one in schedulers.abandon(LOST)] == [LOST.code] * 3
    assert schedulers.pending == 0
