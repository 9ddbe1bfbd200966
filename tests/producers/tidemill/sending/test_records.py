"""The buffer: against a model that keeps the items, and what records and calls count."""

from dataclasses import dataclass, field
from math import inf
from sys import getrefcount

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract.aggregation import UserRecord, pack, unpack
from tidemill.sending.records import (
    CALL_BYTES,
    CALL_RECORDS,
    EXPIRED,
    MARK_BYTES,
    MAX_RECORD_BYTES,
    RECORD_BYTES,
    THROTTLED,
    Acknowledged,
    Buffer,
    Call,
    PlainRecord,
    Record,
    Refused,
)


@dataclass
class Sizes:
    """A load of plain sizes."""

    items: list[int] = field(default_factory=list)
    due: float = inf

    @property
    def count(self) -> int:
        return len(self.items)

    def add(self, item: int, limit: int) -> bool:
        if sum(self.items) + item > limit:
            return False
        self.items.append(item)
        return True


def made(size: int = 10, count: int = 3) -> Buffer[int, Sizes]:
    return Buffer(Sizes, size, count)


@given(
    st.lists(st.tuples(st.integers(0, 15), st.floats(0, 100)) | st.none()),
    st.integers(1, 10),
    st.integers(1, 5),
)
def test_nothing_is_lost_reordered_or_overfull(steps: list[tuple[int, float] | None], size: int, count: int) -> None:
    buffer = made(size, count)
    given: list[int] = []
    taken: list[Sizes] = []
    for step in steps:
        full = buffer.take() if step is None else buffer.add(*step)
        given += [] if step is None else [step[0]]
        taken += [] if full is None else [full]
        assert all(load.items for load in taken)
    rest = buffer.take()
    taken += [] if rest is None else [rest]
    assert [item for load in taken for item in load.items] == given
    for load in taken:
        assert load.count <= count
        assert load.count == 1 or sum(load.items) <= size


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100)), min_size=1, max_size=3))
def test_it_is_due_with_its_earliest_item(items: list[tuple[int, float]]) -> None:
    buffer = made(size=10, count=4)
    for item in items:
        buffer.add(*item)
    assert buffer.load.due == min(due for _, due in items)


def test_it_is_due_at_once_when_its_count_is_reached() -> None:
    buffer = made(count=2)
    buffer.add(1, 5.0)
    assert buffer.load.due == 5.0
    buffer.add(1, 6.0)
    assert buffer.load.due == -inf


def test_what_does_not_fit_begins_the_next_load() -> None:
    buffer = made(size=10)
    assert buffer.add(6, 1.0) is None
    assert buffer.add(5, 2.0) == Sizes([6], 1.0)
    assert buffer.load == Sizes([5], 2.0)


def test_what_is_larger_than_the_size_travels_alone() -> None:
    buffer = made(size=10)
    assert buffer.add(99, 1.0) is None
    assert buffer.add(1, 2.0) == Sizes([99], 1.0)


def test_an_empty_one_is_never_due_and_gives_nothing() -> None:
    buffer = made()
    buffer.hurry()
    assert buffer.load.due == inf
    assert buffer.take() is None


def test_hurry_makes_it_due() -> None:
    buffer = made()
    buffer.add(1, 5.0)
    buffer.hurry()
    assert buffer.load.due == -inf


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=50).map(b"{".__add__)),
        min_size=1,
        max_size=20,
    )
)
def test_a_records_requests_carry_its_hash_key(items: list[tuple[str, bytes]]) -> None:
    record = Record(5, "12345")
    for item in items:
        assert record.add(item, 100_000)
    expected = [UserRecord(key, data, "12345") for key, data in items]
    assert record.size == len(record.data)
    assert record.data == pack(expected)
    assert unpack(record.data) == expected


def test_a_records_bytes_stay_the_same_until_it_is_settled() -> None:
    record = Record(5, "12345")
    record.append("a", b"x", 1000)
    first = record.data
    assert record.data == first
    record.settle(Acknowledged("shard", "1"))
    assert record.outcome == Acknowledged("shard", "1")


def test_what_is_sent_and_what_has_ended_is_held_no_longer() -> None:
    """Handles keep records for as long as their users please."""
    payload, record = b"x" * 1000, Record(5, "12345")
    before = getrefcount(payload)
    record.append("a", payload, 10_000)
    assert getrefcount(payload) == before + 1
    data = record.data
    assert getrefcount(payload) == before, "it is in the record's bytes now"
    packed = getrefcount(data)
    record.settle(Acknowledged("shard", "1"))
    assert getrefcount(data) == packed - 1
    other = Record(5, "12345")
    other.append("a", payload, 10_000)
    other.settle(Refused("Dropped", "", again=False))
    assert getrefcount(payload) == before, "nobody asked for its bytes"


def test_a_call_counts_data_and_partition_keys() -> None:
    record = Record(63, "1")
    record.append("a", b"x", 1000)
    call = Call()
    assert not call.add(record, record.size + len("lane-63") - 1)
    assert call.add(record, record.size + len("lane-63"))
    assert call.size == len(record.data) + len(record.partition_key)
    assert call.count == 1


def test_a_call_knows_its_size_when_records_leave_it() -> None:
    records = [Record(lane, "1") for lane in range(10, 15)]
    call = Call()
    for record in records:
        record.append("a", bytes(record.lane), 1000)
        call.add(record, CALL_BYTES)
    call.due = 7.0
    call.remove(records[1])
    assert call.due == 7.0
    left = [*records[:1], *records[2:]]
    assert (call.records, call.size) == (left, sum(len(record.data) + len("lane-00") for record in left))
    call.keep([records[0], records[2]])
    assert call.records == [records[0], records[2]]
    assert call.size == sum(len(record.data) + len("lane-00") for record in call.records)


@pytest.mark.parametrize("size", [CALL_BYTES // 4])
def test_a_call_stays_below_its_bytes(size: int) -> None:
    calls: Buffer[Record, Call] = Buffer(Call, CALL_BYTES, 500)
    full = None
    while full is None:
        record = Record(0, "1")
        record.append("a", bytes(size), CALL_BYTES)
        full = calls.add(record, 0.0)
    assert full.count == 3
    assert full.size <= CALL_BYTES


# ── Requests whose time is over


def filled(*deadlines: float | None) -> Record:
    """A record with a request for each deadline: key "0" has data {0, and so on."""
    record = Record(5, "12345")
    for place, deadline in enumerate(deadlines):
        assert record.add((f"{place}", b"{%d" % place), 1000)
        assert record.last == place
        if deadline is not None:
            record.limit(deadline)
    return record


def keys_in(record: Record) -> list[str]:
    return [one.key for one in unpack(record.data)]


def test_requests_end_at_their_deadline_and_the_earliest_of_the_others_is_next() -> None:
    record = filled(3.0, None, 1.0, 2.0)
    assert record.deadline == 1.0
    assert record.expire(0.9) == 0
    assert (record.count, record.gone, record.deadline) == (4, 0, 1.0)
    assert record.expire(1.0) == 1
    assert (record.count, record.gone, record.deadline, record.last) == (3, 1, 2.0, 3)
    assert keys_in(record) == ["0", "1", "3"]
    assert record.expire(2.5) == 1
    assert (record.count, record.gone, record.deadline) == (2, 2, 3.0)
    assert record.expire(9.0) == 1
    assert (record.count, record.gone, record.deadline) == (1, 3, inf)
    assert keys_in(record) == ["1"]
    assert record.expire(9.0) == 0


def test_each_requests_outcome_is_its_own() -> None:
    record = filled(1.0, None)
    assert (record.outcome_of(0), record.refusal) == (None, None)
    record.expire(1.0)
    expired = Refused(EXPIRED, "its time was over before it was acknowledged", again=False, lost=False)
    assert (record.outcome_of(0), record.outcome_of(1), record.refusal) == (expired, None, expired)
    stored = Acknowledged("shard", "1")
    record.settle(stored)
    assert (record.outcome_of(0), record.outcome_of(1), record.refusal) == (expired, stored, expired)


@pytest.mark.parametrize("maybe_stored", [True, False])
def test_a_request_that_expires_behind_a_lost_answer_may_be_stored(maybe_stored: bool) -> None:
    record = filled(1.0)
    record.maybe_stored = maybe_stored
    record.expire(1.0)
    outcome = record.outcome_of(0)
    assert isinstance(outcome, Refused)
    assert outcome.lost == maybe_stored


def test_the_spool_is_told_of_each_end_once() -> None:
    record = filled(1.0, None, 1.0)
    record.spooled = {0: 70, 1: 71}
    assert record.take_ended() == []
    record.expire(1.0)
    assert record.take_ended() == [70]
    record.settle(Acknowledged("shard", "1"))
    assert (record.take_ended(), record.take_ended()) == ([71], [])


def test_what_was_acknowledged_or_given_up_whole_is_its_records_outcome() -> None:
    record = filled(None)
    refused = Refused("InternalFailure", "", again=False)
    record.settle(refused)
    assert (record.outcome_of(0), record.refusal) == (refused, refused)
    stored = filled(None)
    stored.settle(Acknowledged("shard", "1"))
    assert stored.refusal is None


# ── Plain records


def test_a_plain_record_is_one_request_where_its_key_says() -> None:
    record = PlainRecord(7)
    assert (record.size, record.count) == (0, 0)
    assert not record.add(("key", b"{12}"), 3)
    assert record.add(("key", b"{12}"), 4)
    assert not record.add(("key", b"{}"), 1000)
    assert (record.size, record.count, record.lane) == (4, 1, 7)
    assert record.entry == {"Data": b"{12}", "PartitionKey": "key"}


def test_an_aggregated_record_lies_where_its_lane_says() -> None:
    record = filled(None)
    assert record.entry == {"Data": record.data, "PartitionKey": "lane-5", "ExplicitHashKey": "12345"}


def test_an_emptied_call_is_due_no_more() -> None:
    record, call = filled(None), Call()
    call.add(record, CALL_BYTES)
    call.due = 5.0
    call.remove(record)
    assert (call.count, call.size, call.due) == (0, 0, inf)


def test_the_limits_are_those_of_kinesis() -> None:
    """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html"""
    assert (CALL_RECORDS, CALL_BYTES + 500 * MARK_BYTES, MAX_RECORD_BYTES) == (500, 10_485_760, 1_048_576)
    assert RECORD_BYTES == 25_600, "a PUT payload unit"


def test_what_has_ended_does_not_end_once_more() -> None:
    record = Record(0, "1")
    record.append("a", b"x", 1000)
    record.limit(1.0)
    stored = Acknowledged("shard", "1")
    record.settle(stored)
    assert record.expire(2.0) == 0
    assert (record.outcome_of(0), record.refusal) == (stored, None)


def test_the_codes_are_those_of_the_documentation() -> None:
    assert EXPIRED == "Expired"
    assert sorted(THROTTLED) == [
        "KMSThrottlingException",
        "ProvisionedThroughputExceededException",
        "Throttling",
        "ThrottlingException",
    ]
