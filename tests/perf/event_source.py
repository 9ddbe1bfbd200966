"""What the event source mapping costs beside reading and invoking alone, and how much it moves.

Prints a table and writes build/perf.json: ratios of CPU time of this process, each the median of interleaved pairs
in one run, for absolute figures move with the machine.

    python tests/perf/event_source.py [--records 100000] [--pairs 5]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from tidemill_local.emulator import Emulator
from tidemill_local.event_source import EventSource, MappingConfig, Outcome
from tidemill_local.hooks.shard_limits import SWITCH

SHARDS = 4
BATCH = 1_000
DATA = b"x" * 184
GOAL_RATIO = 1.3
GOAL_RATE = 20_000


class Cost(NamedTuple):
    """What moving all records once cost: seconds of this process's CPU, and of the clock."""

    cpu: float
    wall: float


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    os.environ[SWITCH] = "off"
    with Emulator(port=0) as emulator:
        kinesis = emulator.client("kinesis")
        arn = fill(kinesis, args.records)
        pairs = []
        for _ in range(args.pairs):
            alone = measure(lambda: read_and_invoke(kinesis, arn, args.records))
            mapped = measure(lambda: mapping(kinesis, arn, args.records))
            pairs.append((alone, mapped))
            print(f"  alone {alone.cpu:.2f} s CPU, mapping {mapped.cpu:.2f} s CPU, {args.records / mapped.wall:,.0f}/s")
    report(args.records, pairs)


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


def no_op(event: bytes) -> Outcome:
    """The function."""
    return Outcome()


def mapping(kinesis: Any, arn: str, count: int) -> None:
    """The same by an event source mapping."""
    moved, done = [0], Event()

    def invoke(event: bytes) -> Outcome:
        moved[0] += event.count(b'"eventID"')
        if moved[0] >= count:
            done.set()
        return no_op(event)

    with EventSource(kinesis, invoke, MappingConfig(arn, batch_size=BATCH)):
        assert done.wait(300), f"moved {moved[0]} of {count}"


def report(count: int, pairs: list[tuple[Cost, Cost]]) -> None:
    """The table and build/perf.json."""
    ratios = [mapped.cpu / alone.cpu for alone, mapped in pairs]
    rates = [count / mapped.wall for _, mapped in pairs]
    results = [
        result("event_source_cpu", ratios, GOAL_RATIO, "x CPU of reading and invoking alone, at most"),
        result("event_source_rate", rates, GOAL_RATE, "records/s, at least"),
    ]
    for one in results:
        print(f"{one['name']:<20} {one['ratio']:>12,.2f}  goal {one['goal']:,} {one['unit']}")
    folder = Path("build")
    folder.mkdir(exist_ok=True)
    (folder / "perf.json").write_text(json.dumps({"results": results}, indent=2) + "\n")


def result(name: str, values: list[float], goal: float, unit: str) -> dict[str, Any]:
    """One line of the report."""
    return {
        "name": name,
        "ratio": statistics.median(values),
        "goal": goal,
        "low": min(values),
        "high": max(values),
        "unit": unit,
    }


if __name__ == "__main__":
    main()
