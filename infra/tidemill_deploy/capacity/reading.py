"""Reads a stream's last minutes, slowly: its other readers share what each shard gives.

Room: capacity. Makes ListShards, GetShardIterator and GetRecords calls. A shard gives 5 reads and 2 MiB a second to all
readers together: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tidemill_consumers.adapters.calls import MapCalls, at_once
from tidemill_deploy.capacity.hot_keys import ShardLoad, Tally

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

READ_SECONDS = 1.0
"""Seconds between two reads of a shard, at least: a fifth of its reads."""

READ_BYTES = 512 * 1024
"""Bytes that a read is meant to have at most: a quarter of what a shard gives in a second."""

FIRST_RECORDS = 10
"""Records of a shard's first read, of which nobody knows how large they are."""

MOST_RECORDS = 10_000
"""Records of a read, at most: GetRecords gives no more."""

CALLS_AT_ONCE = 16

SHARE = (
    f"each shard is read once a second at most, of 5 reads that it gives to all its readers, and about "
    f"{READ_BYTES // 1024} KiB, of 2 MiB"
)
"""What reading takes from the other readers, for people."""


@dataclass
class _Shard:
    """A shard that is being read."""

    tally: Tally
    is_open: bool
    iterator: str | None = None
    limit: int = FIRST_RECORDS
    is_done: bool = False


def read(
    kinesis: KinesisClient,
    stream: str,
    seconds: float,
    tell: Callable[[str], object] = lambda line: None,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.time,
    calls: MapCalls | None = None,
) -> list[ShardLoad]:
    """The loads of the shards that took records in the last seconds, in their order.

    Reading ends when it has caught up with the stream, or after as many seconds as it looks back; then a full shard may
    be read in part (`is_whole`), from the oldest of the time on.

    Args:
        kinesis: a boto3 Kinesis client; if it retries, those calls are more than `SHARE` says.
        stream: the stream's name.
        seconds: how far to look back.
        tell: is told a line now and then.
        pause: sleeps for some seconds.
        clock: seconds since 1970.
        calls: makes several calls; by default some at once.

    Raises:
        ClientError: a call fails, other than for throttling.
    """
    begun = clock()
    since = begun - seconds
    shards = [*_shards(kinesis, stream, since)]
    every = calls or at_once(CALLS_AT_ONCE, "hot-keys")
    while waiting := [one for one in shards if not one.is_done]:
        round_begun = clock()
        if round_begun - begun > seconds:
            break
        for _ in every(lambda one: _read(kinesis, stream, since, one), waiting):
            pass
        records = sum(one.tally.records for one in shards)
        tell(f"{records:,} records read, {sum(one.is_done for one in shards)} of {len(shards)} shards to their end")
        if not all(one.is_done for one in shards):
            pause(max(0.0, READ_SECONDS - (clock() - round_begun)))
    return [one.tally.load(begun, is_open=one.is_open, is_whole=one.is_done) for one in shards]


def _shards(kinesis: KinesisClient, stream: str, since: float) -> Iterator[_Shard]:
    asked: Any = {
        "StreamName": stream,
        "ShardFilter": {"Type": "FROM_TIMESTAMP", "Timestamp": datetime.fromtimestamp(since, UTC)},
    }
    while True:
        answer = kinesis.list_shards(**asked)
        for shard in answer["Shards"]:
            tally = Tally(shard["ShardId"], since, has_parents="ParentShardId" in shard)
            yield _Shard(tally, is_open="EndingSequenceNumber" not in shard["SequenceNumberRange"])
        if not answer.get("NextToken"):
            return
        asked = {"NextToken": answer["NextToken"]}


def _read(kinesis: KinesisClient, stream: str, since: float, shard: _Shard) -> None:
    """Make one read of the shard; a throttled one is left to the next round."""
    try:
        if shard.iterator is None:
            shard.iterator = kinesis.get_shard_iterator(
                StreamName=stream,
                ShardId=shard.tally.shard,
                ShardIteratorType="AT_TIMESTAMP",
                Timestamp=datetime.fromtimestamp(since, UTC),
            )["ShardIterator"]
        answer = kinesis.get_records(ShardIterator=shard.iterator, Limit=shard.limit)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ProvisionedThroughputExceededException":
            raise
        return
    for record in answer["Records"]:
        arrived = record["ApproximateArrivalTimestamp"].timestamp()
        shard.tally.take(record["PartitionKey"], record["Data"], arrived)
    if shard.tally.records:
        usual = max(1, shard.tally.total_bytes // shard.tally.records)
        shard.limit = max(1, min(MOST_RECORDS, READ_BYTES // usual))
    shard.iterator = answer.get("NextShardIterator")
    shard.is_done = shard.iterator is None or not answer.get("MillisBehindLatest")
