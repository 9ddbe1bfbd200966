"""A stream is read slowly, as far back as is asked for, and what could not be read is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tidemill_deploy.capacity.reading import FIRST_RECORDS, MOST_RECORDS, READ_BYTES, READ_SECONDS, read
from tidemill_deploy.capacity.scaling import scale

if TYPE_CHECKING:
    from tidemill_local.emulator import Emulator

NOW = 1_764_072_000.0


def throttled() -> ClientError:
    problem: Any = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "Rate exceeded"}}
    return ClientError(problem, "GetRecords")


class Shard:
    """A stream of one shard with records of a size, by the second."""

    def __init__(
        self, records: int, size: int, problem_of: Callable[[int], ClientError | None] = lambda call: None
    ) -> None:
        self.records, self.size = records, size
        self.problem_of = problem_of
        self.reads: list[tuple[float, int]] = []
        self.now = NOW
        self.since: datetime | None = None

    def list_shards(self, StreamName: str, ShardFilter: dict[str, Any]) -> dict[str, Any]:
        assert ShardFilter["Type"] == "FROM_TIMESTAMP"
        return {"Shards": [{"ShardId": "shardId-0", "SequenceNumberRange": {"StartingSequenceNumber": "0"}}]}

    def get_shard_iterator(self, Timestamp: datetime, ShardIteratorType: str, **more: str) -> dict[str, str]:
        assert ShardIteratorType == "AT_TIMESTAMP"
        self.since = Timestamp
        return {"ShardIterator": "0"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:
        self.reads.append((self.now, Limit))
        if problem := self.problem_of(len(self.reads)):
            raise problem
        first = int(ShardIterator)
        given = range(first, min(self.records, first + Limit))
        records = [
            {
                "PartitionKey": f"k{number}",
                "Data": b"x" * self.size,
                "ApproximateArrivalTimestamp": datetime.fromtimestamp(NOW - 300 + number / 100, UTC),
            }
            for number in given
        ]
        return {
            "Records": records,
            "NextShardIterator": f"{given.stop}",
            "MillisBehindLatest": 1000 * (self.records - given.stop),
        }

    def pause(self, seconds: float) -> None:
        self.now += seconds


def read_of(shard: Any, seconds: float = 300.0) -> Any:
    [found] = read(shard, "s", seconds, pause=shard.pause, clock=lambda: shard.now, calls=map)
    return found


def test_a_shard_is_read_once_a_second_and_by_half_a_mebibyte() -> None:
    shard = Shard(20_000, 1024)
    found = read_of(shard)
    assert (found.records, found.requests, found.is_whole, found.seconds) == (20_000, 20_000, True, 300.0)
    assert shard.since == datetime.fromtimestamp(NOW - 300, UTC)
    times = [at for at, _ in shard.reads]
    assert all(after - before >= READ_SECONDS for before, after in pairwise(times))
    assert [limit for _, limit in shard.reads][:1] == [FIRST_RECORDS]
    assert all(limit * 1024 <= READ_BYTES for _, limit in shard.reads)
    assert len(times) < 60


def test_small_records_are_read_by_as_many_as_a_read_gives() -> None:
    shard = Shard(100, 10)
    read_of(shard)
    assert [limit for _, limit in shard.reads] == [FIRST_RECORDS, MOST_RECORDS]


def test_a_throttled_read_is_made_again_a_second_later() -> None:
    shard = Shard(100, 10, lambda call: throttled() if call in (1, 2) else None)
    assert read_of(shard).records == 100
    assert [at - NOW for at, _ in shard.reads] == [0.0, 1.0, 2.0, 3.0]


def test_another_error_ends_it() -> None:
    problem: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
    with pytest.raises(ClientError, match="AccessDenied"):
        read_of(Shard(1, 1, lambda call: ClientError(problem, "GetRecords")))


def test_it_ends_in_time_and_says_that_it_read_a_part() -> None:
    shard = Shard(2_000, READ_BYTES)
    found = read_of(shard, seconds=60.0)
    assert not found.is_whole
    assert 60 <= len(shard.reads) <= 61
    assert found.records == FIRST_RECORDS + len(shard.reads) - 1


def test_the_local_platforms_stream_is_read_through_a_reshard(emulator: Emulator, stream: str) -> None:
    kinesis = emulator.client("kinesis")
    before = scale(kinesis, stream, 2)[-1]
    for number in range(40):
        kinesis.put_record(StreamName=stream, PartitionKey=f"k{number}", Data=b"x" * 100)
    scale(kinesis, stream, 4)
    for _ in range(20):
        kinesis.put_record(StreamName=stream, PartitionKey="hot", Data=b"x" * 100)
    found = read(kinesis, stream, 300.0, pause=lambda seconds: time.sleep(0))
    assert before == 2
    assert sum(one.records for one in found) == 60
    assert sum(one.is_open for one in found) == 4
    [hot] = [one for one in found if one.is_open and one.records]
    assert (hot.by_requests[0].key, hot.by_requests[0].least, hot.is_whole) == ("hot", 20, True)
