"""Reading a shard: where iterators stand and stay, and how much a call returns."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_local.emulator import Emulator
from tidemill_local.patches.kinesis import shard_state
from tidemill_local.patches.kinesis.api import Refused
from tidemill_local.patches.kinesis.shard_iterators import LIFETIME, MOST_BYTES, Position, Reads, page, start_position

SHARD = "shardId-000000000000"
NOON = 1_764_000_000.0


def sequence(number: int) -> str:
    return f"{number:030d}"


def record(number: int, data: bytes = b"", arrival: float = NOON) -> dict[str, Any]:
    return {
        "SequenceNumber": sequence(number),
        "ApproximateArrivalTimestamp": arrival,
        "Data": base64.b64encode(data).decode(),
        "PartitionKey": "k",
    }


class Local:
    """A stream of one shard with the records 10, 20, ... 50, at a made-up time; its handlers."""

    def __init__(self) -> None:
        self.now = NOON
        self.expirations = 0
        self.shard: dict[str, Any] = {
            "records": [record(number, arrival=NOON + number) for number in range(10, 51, 10)],
            "starting_hash_key": "0",
            "ending_hash_key": str(shard_state.HASH_KEYS - 1),
            "starting_sequence_number": sequence(1),
            "parent_shard_id": None,
            "adjacent_parent_shard_id": None,
        }
        self.stream: dict[str, Any] = {
            "StreamName": "s",
            "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
            "EncryptionType": "KMS",
            "shards": {SHARD: self.shard},
        }
        self.reads = Reads(self._resolve, self._expire, lambda: self.now)

    def _resolve(self, request: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
        known = "s" in (request.get("StreamName"), request.get("StreamARN", "").rpartition("/")[2])
        return "s", self.stream if known else None

    def _expire(self, _: dict[str, Any]) -> None:
        self.expirations += 1

    def iterator(self, kind: str, **options: Any) -> str:
        status, _, body = self.reads.get_shard_iterator(
            {"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": kind, **options}
        )
        assert status == 200, body
        iterator: str = json.loads(body)["ShardIterator"]
        return iterator

    def get(self, iterator: str, **options: Any) -> dict[str, Any]:
        (_, _, body), _ = self.reads.get_records({"ShardIterator": iterator, **options})
        answer: dict[str, Any] = json.loads(body)
        return answer

    def numbers(self, iterator: str, **options: Any) -> list[int]:
        return [int(found["SequenceNumber"]) for found in self.get(iterator, **options)["Records"]]


@pytest.mark.parametrize(
    ("kind", "options", "numbers"),
    [
        ("TRIM_HORIZON", {}, [10, 20, 30, 40, 50]),
        ("LATEST", {}, []),
        ("AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": sequence(30)}, [30, 40, 50]),
        ("AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": sequence(31)}, [40, 50]),
        ("AT_SEQUENCE_NUMBER", {"StartingSequenceNumber": "30"}, [30, 40, 50]),
        ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": sequence(30)}, [40, 50]),
        ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": "30"}, [40, 50]),
        ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": sequence(9)}, [10, 20, 30, 40, 50]),
        ("AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": sequence(50)}, []),
        ("AT_TIMESTAMP", {"Timestamp": NOON + 20}, [20, 30, 40, 50]),
        ("AT_TIMESTAMP", {"Timestamp": NOON + 20.001}, [30, 40, 50]),
    ],
)
def test_an_iterator_starts_where_its_type_says(kind: str, options: dict[str, Any], numbers: list[int]) -> None:
    local = Local()
    local.now += 60
    assert local.numbers(local.iterator(kind, **options)) == numbers


def test_an_iterator_of_another_type_is_refused() -> None:
    assert start_position([], "NOON", "", None) is None
    answer = Local().reads.get_shard_iterator({"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "NOON"})
    assert (answer[0], json.loads(answer[2])["__type"]) == (400, "ValidationException")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"StreamName": "t"}, "ResourceNotFoundException"),
        ({"ShardId": "shardId-000000000009"}, "ResourceNotFoundException"),
        ({"ShardIteratorType": "AT_TIMESTAMP"}, "InvalidArgumentException"),
        ({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": NOON + 0.001}, "InvalidArgumentException"),
        ({"ShardIteratorType": "AT_SEQUENCE_NUMBER"}, "InvalidArgumentException"),
        ({"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": ""}, "InvalidArgumentException"),
    ],
)
def test_an_iterator_of_nothing_is_refused(options: dict[str, Any], code: str) -> None:
    request = {"StreamName": "s", "ShardId": SHARD, "ShardIteratorType": "LATEST", **options}
    assert json.loads(Local().reads.get_shard_iterator(request)[2])["__type"] == code


def test_records_are_answered_as_stored_with_the_streams_encryption() -> None:
    local = Local()
    found = local.get(local.iterator("TRIM_HORIZON"), Limit=1)["Records"]
    assert found == [{**local.shard["records"][0], "EncryptionType": "KMS"}]


def test_each_call_goes_on_where_the_one_before_ended() -> None:
    local = Local()
    answer = local.get(local.iterator("TRIM_HORIZON"), Limit=2)
    assert local.numbers(answer["NextShardIterator"], Limit=2) == [30, 40]
    assert local.numbers(answer["NextShardIterator"], Limit=2) == [30, 40]  # read again


def test_how_far_a_reader_is_behind_is_the_age_of_what_is_next() -> None:
    local = Local()
    local.now = NOON + 100
    assert local.get(local.iterator("TRIM_HORIZON"), Limit=2)["MillisBehindLatest"] == 70_000
    assert local.get(local.iterator("TRIM_HORIZON"))["MillisBehindLatest"] == 0


def test_what_expires_moves_no_iterator() -> None:
    local = Local()
    following = local.get(local.iterator("TRIM_HORIZON"), Limit=2)["NextShardIterator"]
    latest = local.iterator("LATEST")
    del local.shard["records"][:1]
    assert local.numbers(following) == [30, 40, 50]
    del local.shard["records"][:3]
    assert local.numbers(following) == [50]
    local.shard["records"] = [record(60)]
    assert local.numbers(latest) == local.numbers(following) == [60]


def test_at_the_tip_nothing_is_missed_though_all_expires() -> None:
    local = Local()
    tip = local.get(local.iterator("LATEST"))["NextShardIterator"]
    local.shard["records"] = []
    tip = local.get(tip)["NextShardIterator"]
    local.shard["records"] = [record(60), record(70)]
    assert local.numbers(tip) == [60, 70]


def test_what_is_past_its_retention_goes_before_it_is_read() -> None:
    local = Local()
    iterator = local.iterator("TRIM_HORIZON")
    assert local.expirations == 1
    local.get(iterator)
    assert local.expirations == 2


def test_an_iterator_ends_with_its_lifetime() -> None:
    local = Local()
    iterator = local.iterator("TRIM_HORIZON")
    local.now += LIFETIME
    following = local.get(iterator, Limit=1)["NextShardIterator"]
    local.now += 1
    assert local.get(iterator)["__type"] == "ExpiredIteratorException"
    assert local.numbers(following) == [20, 30, 40, 50]


def test_an_iterator_does_not_outlive_its_stream() -> None:
    local = Local()
    iterator = local.iterator("TRIM_HORIZON")
    local.shard["starting_sequence_number"] = sequence(2)  # a stream of the same name, made anew
    assert local.get(iterator)["__type"] == "ExpiredIteratorException"
    del local.stream["shards"][SHARD]
    assert local.get(iterator)["__type"] == "ResourceNotFoundException"
    local.stream["shards"][SHARD] = local.shard
    gone = Position("arn:aws:kinesis:us-east-1:000000000000:stream/t", SHARD, sequence(1), "", local.now)
    assert local.get(gone.iterator())["__type"] == "ResourceNotFoundException"


@pytest.mark.parametrize("text", ["", "x", "e30=", "W10=", "é"])
def test_what_is_no_iterator_is_refused(text: str) -> None:
    with pytest.raises(Refused, match=r"Invalid ShardIterator\.") as refused:
        Position.of(text)
    assert refused.value.code == "InvalidArgumentException"


def test_an_iterator_is_not_longer_than_aws_allows() -> None:
    arn = "arn:aws:kinesis:ap-southeast-1:000000000000:stream/" + "s" * 128
    position = Position(arn, SHARD, sequence(10**29), sequence(10**29), 1_764_000_000.123456)
    assert Position.of(position.iterator()) == position
    assert len(position.iterator()) <= 512


@pytest.mark.parametrize("limit", [0, 10_001])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    local = Local()
    assert local.get(local.iterator("TRIM_HORIZON"), Limit=limit)["__type"] == "InvalidArgumentException"


def test_a_closed_shard_ends_behind_its_last_record() -> None:
    local = Local()
    first = local.iterator("TRIM_HORIZON")
    latest = local.iterator("LATEST")
    number = iter(range(60, 100, 10))
    shard_state.split(local.stream, SHARD, 1_000, lambda: sequence(next(number)))
    before = local.get(first, Limit=4)
    assert before["NextShardIterator"]
    assert "ChildShards" not in before
    for end in (local.get(first), local.get(before["NextShardIterator"]), local.get(latest)):
        assert end["NextShardIterator"] is None
        assert end["MillisBehindLatest"] == 0
        assert end["ChildShards"] == shard_state.children(local.stream, SHARD) != []


def test_a_call_returns_ten_mebibytes_at_most_and_at_least_one_record() -> None:
    half = MOST_BYTES // 2 - 1  # and its partition key
    assert page([record(number, b"x" * half) for number in range(3)], "", 3) == (0, 2, MOST_BYTES)
    assert page([record(0), record(1, b"x" * MOST_BYTES), record(2)], sequence(0), 3) == (1, 2, MOST_BYTES + 1)


DATA = {mebibytes: record(0, b"x" * (mebibytes * 1024 * 1024))["Data"] for mebibytes in (0, 1, 4, 9)}


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(DATA)), max_size=20), st.integers(1, 8), st.integers(0, 20))
def test_pages_hold_every_record_once(sizes: list[int], limit: int, expired: int) -> None:
    records = [{**record(number), "Data": DATA[size]} for number, size in enumerate(sizes, 1)]
    read: list[dict[str, Any]] = []
    after = ""
    while True:
        first, last, size = page(records, after, limit)
        assert last - first <= limit
        assert size <= MOST_BYTES
        if first == last:
            break
        read += records[first:last]
        after = records[last - 1]["SequenceNumber"]
        del records[: min(expired, last)]
    assert [int(found["SequenceNumber"]) for found in read] == list(range(1, len(sizes) + 1))


def test_a_reader_follows_its_iterators(emulator: Emulator) -> None:
    kinesis = emulator.client("kinesis")
    kinesis.create_stream(StreamName="read", ShardCount=1)
    for number in range(3):
        kinesis.put_record(StreamName="read", PartitionKey="k", Data=b"%d" % number)
    iterator = kinesis.get_shard_iterator(StreamName="read", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
    first = kinesis.get_records(ShardIterator=iterator["ShardIterator"], Limit=1)
    assert [found["Data"] for found in first["Records"]] == [b"0"]
    second = kinesis.get_records(ShardIterator=first["NextShardIterator"])
    assert [found["Data"] for found in second["Records"]] == [b"1", b"2"]
    assert kinesis.get_records(ShardIterator=second["NextShardIterator"])["Records"] == []
    kinesis.delete_stream(StreamName="read")
