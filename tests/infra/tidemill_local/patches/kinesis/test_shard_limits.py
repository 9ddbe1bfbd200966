"""The limits of a shard: the buckets alone with made-up time, then what producers and readers see."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_local.emulator import Emulator
from tidemill_local.patches.kinesis.api import Refused, Response, success
from tidemill_local.patches.kinesis.shard_iterators import Position
from tidemill_local.patches.kinesis.shard_limits import (
    BYTES_PER_SECOND,
    READ_BYTES_PER_SECOND,
    READS_PER_SECOND,
    RECORDS_PER_SECOND,
    SWITCH,
    Bucket,
    ReadBucket,
    admit,
    limited,
    limited_reads,
)


def test_takes_a_thousand_records_at_once_and_no_more() -> None:
    _, admitted = admit(Bucket(), [1] * 1_200)
    assert admitted == [True] * 1_000 + [False] * 200


def test_takes_a_mebibyte_at_once_and_the_record_that_crosses_it() -> None:
    _, admitted = admit(Bucket(), [BYTES_PER_SECOND - 1, 1_000, 1])
    assert admitted == [True, True, False]


def test_a_record_of_a_mebibyte_and_its_key_is_taken_and_paid_for() -> None:
    bucket, admitted = admit(Bucket(), [BYTES_PER_SECOND + 256])
    assert admitted == [True]
    assert admit(bucket.refilled(0.0002), [1])[1] == [False]
    assert admit(bucket.refilled(0.0003), [1])[1] == [True]


def test_holds_no_more_than_a_second_of_idleness() -> None:
    assert Bucket().refilled(3600.0) == Bucket(at=3600.0)


def test_a_clock_that_steps_back_gives_nothing() -> None:
    empty, _ = admit(Bucket(at=10.0), [1] * 1_000)
    assert admit(empty.refilled(9.0), [1])[1] == [False]


@given(st.lists(st.tuples(st.floats(0, 3), st.lists(st.integers(1, 2_000_000), max_size=30)), max_size=30))
def test_never_takes_more_than_the_rate_a_second_of_burst_and_one_record(
    calls: list[tuple[float, list[int]]],
) -> None:
    bucket, now, records, taken, largest = Bucket(), 0.0, 0, 0, 0
    for passed, sizes in calls:
        now += passed
        bucket, admitted = admit(bucket.refilled(now), sizes)
        sizes_taken = [size for size, is_taken in zip(sizes, admitted, strict=True) if is_taken]
        records, taken = records + len(sizes_taken), taken + sum(sizes_taken)
        largest = max([largest, *sizes_taken])
    assert records <= RECORDS_PER_SECOND * (1 + now) + 1e-6
    assert taken <= BYTES_PER_SECOND * (1 + now) + largest + 1e-3


class Streams:
    """A stand-in for the emulator's put handlers: one stream, one shard, made-up time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stored: list[dict[str, Any]] = []
        self.stream = {
            "StreamName": "s",
            "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
            "shards": {"shardId-0": {"records": self.stored}},
        }
        self.put_record, self.put_records = limited(
            self._put_record, self._put_records, lambda request: ("s", self.stream), lambda: self.now
        )

    def _store(self, request: dict[str, Any]) -> dict[str, str]:
        sequence = f"{len(self.stored):09}"
        self.stored.append({"SequenceNumber": sequence, **request})
        return {"ShardId": "shardId-0", "SequenceNumber": sequence}

    def _put_record(self, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps(self._store(request)).encode()

    def _put_records(self, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if len(request["Records"]) > 2_000:
            return 400, {}, b'{"__type":"ValidationException"}'
        results = [self._store(record) for record in request["Records"]]
        return 200, {}, json.dumps({"FailedRecordCount": 0, "Records": results}).encode()


def records(count: int, size: int = 3) -> list[dict[str, str]]:
    return [{"PartitionKey": str(number), "Data": "A" * (size // 3 * 4)} for number in range(count)]


def test_refused_entries_are_not_stored_and_the_others_keep_their_order() -> None:
    streams = Streams()
    _, _, body = streams.put_records({"Records": records(1_100)})
    answer = json.loads(body)
    assert answer["FailedRecordCount"] == 100
    assert [record["PartitionKey"] for record in streams.stored] == [str(number) for number in range(1_000)]
    assert answer["Records"][1_000] == {
        "ErrorCode": "ProvisionedThroughputExceededException",
        "ErrorMessage": "Rate exceeded for shard shardId-0 in stream s under account 000000000000.",
    }


def test_a_single_record_is_refused_as_an_error() -> None:
    streams = Streams()
    streams.put_records({"Records": records(1_000)})
    status, _, body = streams.put_record(records(1)[0])
    assert (status, json.loads(body)["__type"]) == (400, "ProvisionedThroughputExceededException")
    assert len(streams.stored) == 1_000
    streams.now = 1.0
    assert streams.put_record(records(1)[0])[0] == 200


def test_a_call_that_is_not_valid_takes_nothing_from_the_shard() -> None:
    streams = Streams()
    assert streams.put_records({"Records": records(2_001)})[0] == 400
    assert json.loads(streams.put_records({"Records": records(1_000)})[2])["FailedRecordCount"] == 0


def test_a_stream_made_anew_starts_anew() -> None:
    streams = Streams()
    streams.put_records({"Records": records(1_000)})
    streams.stored.clear()
    streams.stream["shards"] = {"shardId-0": {"records": streams.stored}}
    assert json.loads(streams.put_records({"Records": records(1_000)})[2])["FailedRecordCount"] == 0


@pytest.mark.parametrize(("data", "bytes_"), [(b"", 1), (b"a", 2), (b"ab", 3), (b"abc", 4)])
def test_the_partition_key_counts_and_base64_does_not(data: bytes, bytes_: int) -> None:
    import base64

    streams = Streams()
    streams.put_record({"PartitionKey": "k", "Data": base64.b64encode(data).decode()})
    bucket = streams.stream["shards"]["shardId-0"]["tidemill_bucket"]  # type: ignore[index] # a literal
    assert bucket.bytes == BYTES_PER_SECOND - bytes_


def test_a_producer_sees_which_entries_one_call_could_not_place(emulator: Emulator) -> None:
    kinesis = emulator.client("kinesis")
    kinesis.create_stream(StreamName="narrow", ShardCount=1)
    # All in one call, so in one instant: 1 MiB holds 104 of 10,001 bytes, and one more goes into debt.
    answer = kinesis.put_records(StreamName="narrow", Records=[{"PartitionKey": "k", "Data": b"x" * 10_000}] * 200)
    refused = [entry for entry in answer["Records"] if "ErrorCode" in entry]
    assert (answer["FailedRecordCount"], len(refused)) == (95, 95)
    iterator = kinesis.get_shard_iterator(
        StreamName="narrow", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    stored = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert [r["SequenceNumber"] for r in stored] == [r["SequenceNumber"] for r in answer["Records"][:105]]
    kinesis.delete_stream(StreamName="narrow")


# Reads

MEBIBYTE = 1024 * 1024


def test_gives_five_calls_at_once_and_no_more() -> None:
    bucket = ReadBucket()
    for _ in range(5):
        assert bucket.admits
        bucket = bucket.taken(0)
    assert not bucket.admits
    assert not bucket.refilled(0.19).admits
    assert bucket.refilled(0.25).admits


def test_gives_two_mebibytes_at_once_and_the_call_that_crosses_them() -> None:
    bucket = ReadBucket().taken(MEBIBYTE).taken(MEBIBYTE)
    assert bucket.admits
    bucket = bucket.taken(MEBIBYTE)
    assert not bucket.refilled(0.49).admits
    assert bucket.refilled(0.5).admits


def test_a_call_of_ten_mebibytes_is_followed_by_five_seconds_of_none() -> None:
    bucket = ReadBucket().taken(10 * MEBIBYTE)
    assert not bucket.refilled(4.99).admits
    assert bucket.refilled(5.0).admits


def test_holds_no_more_than_a_second_of_idle_reading() -> None:
    assert ReadBucket().refilled(3600.0) == ReadBucket(at=3600.0)


def test_a_clock_that_steps_back_gives_no_reads() -> None:
    assert not ReadBucket(calls=0.5, at=10.0).refilled(9.0).admits


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 10 * MEBIBYTE)), max_size=50))
def test_never_gives_more_than_the_rate_a_second_of_burst_and_one_call(calls: list[tuple[float, int]]) -> None:
    bucket, now, given_, bytes_, largest = ReadBucket(), 0.0, 0, 0, 0
    for passed, size in calls:
        now += passed
        bucket = bucket.refilled(now)
        if bucket.admits:
            bucket = bucket.taken(size)
            given_, bytes_, largest = given_ + 1, bytes_ + size, max(largest, size)
    assert given_ <= READS_PER_SECOND * (1 + now) + 1e-6
    assert bytes_ <= READ_BYTES_PER_SECOND * (1 + now) + largest + 1e-3


class Shards:
    """A stand-in for the emulator's GetRecords: a stream of two shards, made-up time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.answered: list[str] = []
        self.size = 0
        self.stream: dict[str, Any] = {
            "StreamName": "s",
            "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
            "shards": {"shardId-0": {}, "shardId-1": {}},
        }
        self.get_records = limited_reads(self._get_records, self._locate, lambda: self.now)

    def _get_records(self, request: dict[str, Any]) -> tuple[Response, int]:
        self.answered.append(request["ShardIterator"])
        return success({"Records": []}), self.size

    def _locate(self, request: dict[str, Any]) -> tuple[dict[str, Any], Position]:
        reader, _, shard = request["ShardIterator"].partition(":")
        if not shard:
            raise Refused("InvalidArgumentException", "Invalid ShardIterator.")
        return self.stream, Position(self.stream["StreamARN"], shard, "", reader, 0.0)


def test_all_readers_of_a_shard_share_its_calls_and_other_shards_have_their_own() -> None:
    shards = Shards()
    iterators = [f"{reader}:shardId-0" for reader in ("a", "b", "c")] * 2
    answers = [shards.get_records({"ShardIterator": iterator}) for iterator in iterators]
    assert [status for status, _, _ in answers] == [200] * 5 + [400]
    assert json.loads(answers[-1][2]) == {
        "__type": "ProvisionedThroughputExceededException",
        "message": "Rate exceeded for Shard - 000000000000/s/shardId-0",
    }
    assert shards.answered == iterators[:5]
    assert shards.get_records({"ShardIterator": "a:shardId-1"})[0] == 200
    shards.now = 0.25
    assert shards.get_records({"ShardIterator": "c:shardId-0"})[0] == 200


def test_a_reader_pays_for_the_bytes_it_was_given() -> None:
    shards = Shards()
    shards.size = 10 * MEBIBYTE
    assert shards.get_records({"ShardIterator": "a:shardId-0"})[0] == 200
    shards.now = 4.9
    assert shards.get_records({"ShardIterator": "b:shardId-0"})[0] == 400
    shards.now = 5.0
    assert shards.get_records({"ShardIterator": "b:shardId-0"})[0] == 200


def test_a_refused_call_costs_nothing() -> None:
    shards = Shards()
    for _ in range(100):
        shards.get_records({"ShardIterator": "a:shardId-0"})
    shards.now = 0.25
    assert shards.get_records({"ShardIterator": "a:shardId-0"})[0] == 200


def test_an_iterator_that_is_none_is_refused_as_such() -> None:
    answer = Shards().get_records({"ShardIterator": "a"})
    assert (answer[0], json.loads(answer[2])["__type"]) == (400, "InvalidArgumentException")


def impatient(emulator: Emulator) -> Any:
    """A client that does not try again."""
    return boto3.client(
        "kinesis",
        endpoint_url=emulator.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def test_a_reader_that_does_not_wait_is_refused_and_loses_nothing(
    emulator: Emulator, becomes: Callable[[Callable[[], bool]], bool]
) -> None:
    kinesis = impatient(emulator)
    exceeded = kinesis.exceptions.ProvisionedThroughputExceededException
    kinesis.create_stream(StreamName="crowded", ShardCount=1)
    kinesis.put_record(StreamName="crowded", PartitionKey="k", Data=b"x")
    iterator = kinesis.get_shard_iterator(
        StreamName="crowded", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]

    def read() -> bool:
        try:
            return len(kinesis.get_records(ShardIterator=iterator)["Records"]) == 1
        except exceeded:
            return False

    def read_on() -> None:
        for _ in range(1_000):
            kinesis.get_records(ShardIterator=iterator)

    with pytest.raises(exceeded, match="Rate exceeded for Shard - 000000000000/crowded/shardId-000000000000"):
        read_on()
    assert becomes(read)
    kinesis.delete_stream(StreamName="crowded")
    kinesis.close()


def test_the_switch_lifts_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    with Emulator(port=0) as emulator:
        kinesis = impatient(emulator)
        kinesis.create_stream(StreamName="free", ShardCount=1)
        records = [{"PartitionKey": "k", "Data": b"x" * 10_000}] * 200
        assert kinesis.put_records(StreamName="free", Records=records)["FailedRecordCount"] == 0
        iterator = kinesis.get_shard_iterator(
            StreamName="free", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for _ in range(3):
            assert len(kinesis.get_records(ShardIterator=iterator)["Records"]) == 200
        kinesis.close()
