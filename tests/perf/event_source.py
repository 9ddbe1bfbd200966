"""What the event source mapping costs beside reading and invoking alone, and how much it moves."""

from __future__ import annotations

import base64
import json
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, NamedTuple

from tests.perf.measure import AT_LEAST, AT_MOST, Result, result
from tidemill_event_source import EventSource, InvocationResponse, MappingConfig
from tidemill_local.emulator import Emulator
from tidemill_local.patches.kinesis.shard_limits import SWITCH

RECORDS = 100_000
SHARDS = 4
BATCH = 1_000
DATA = b"x" * 184


class Cost(NamedTuple):
    """What moving all records once cost: seconds of this process's CPU, and of the clock."""

    cpu: float
    wall: float


def event_source(pairs: int) -> list[Result]:
    """The emulator runs in another process, so its CPU does not count."""
    os.environ[SWITCH] = "off"
    with Emulator(port=0) as emulator:
        kinesis = emulator.client("kinesis")
        arn = fill(kinesis, RECORDS)
        costs = [
            (measure(lambda: read_and_invoke(kinesis, arn, RECORDS)), measure(lambda: mapping(kinesis, arn, RECORDS)))
            for _ in range(pairs)
        ]
    return [
        result(
            "event_source_cpu",
            [mapped.cpu / alone.cpu for alone, mapped in costs],
            1.3,
            f"x CPU of reading and invoking alone, {AT_MOST}",
        ),
        result("event_source_rate", [RECORDS / mapped.wall for _, mapped in costs], 20_000, f"records/s, {AT_LEAST}"),
    ]


def fill(kinesis: Any, count: int) -> str:
    """A stream that holds the records; its ARN."""
    kinesis.create_stream(StreamName="perf", ShardCount=SHARDS)
    entries = [{"PartitionKey": f"key-{n:042}", "Data": DATA} for n in range(count)]
    for first in range(0, count, 500):
        answer = kinesis.put_records(StreamName="perf", Records=entries[first : first + 500])
        assert answer["FailedRecordCount"] == 0
    arn: str = kinesis.describe_stream_summary(StreamName="perf")["StreamDescriptionSummary"]["StreamARN"]
    return arn


def measure(move: Callable[[], None]) -> Cost:
    """Move all records once."""
    cpu, wall = time.process_time(), time.perf_counter()
    move()
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def read_and_invoke(kinesis: Any, arn: str, count: int) -> None:
    """The least that serves: a thread per shard reads, makes an event of every BATCH records, calls a function."""
    shards = [shard["ShardId"] for shard in kinesis.list_shards(StreamARN=arn)["Shards"]]

    def follow(shard: str) -> int:
        answer = kinesis.get_shard_iterator(StreamARN=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
        iterator, moved = answer["ShardIterator"], 0
        while True:
            page = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            for first in range(0, len(page["Records"]), BATCH):
                records = page["Records"][first : first + BATCH]
                no_op(json.dumps({"Records": [as_event(record, shard, arn) for record in records]}).encode())
                moved += len(records)
            if not page["MillisBehindLatest"]:
                return moved
            iterator = page["NextShardIterator"]

    with ThreadPoolExecutor(len(shards)) as threads:
        assert sum(threads.map(follow, shards)) == count


def as_event(record: Any, shard: str, arn: str) -> dict[str, Any]:
    """A record in Lambda's event."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/apply",
        "awsRegion": "us-east-1",
        "eventSourceARN": arn,
    }


def no_op(event: bytes) -> InvocationResponse:
    """The function."""
    return InvocationResponse()


def mapping(kinesis: Any, arn: str, count: int) -> None:
    """The same by an event source mapping."""
    moved, done = deque[int](), Event()

    def invoke(event: bytes) -> InvocationResponse:
        moved.append(event.count(b'"eventID"'))  # shards' batches come at once, and a sum of theirs would miss some
        if sum(moved.copy()) >= count:
            done.set()
        return no_op(event)

    with EventSource(kinesis, invoke, MappingConfig(arn, batch_size=BATCH)):
        assert done.wait(300), f"moved {sum(moved)} of {count}"
