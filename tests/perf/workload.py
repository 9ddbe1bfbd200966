"""What all benchmarks run on: requests of about 184 bytes, with keys of 46 bytes that are as popular as Zipf says."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import Any

from tidemill.contract.aggregation import Aggregate
from tidemill.contract.lanes import hash_key, lane_of
from tidemill.contract.request import Request, encode
from tidemill.sending.records import RECORD_BYTES
from tidemill.sending.writer import uuid7
from tidemill_consumers.codec.events import KinesisEvent
from tidemill_consumers.core.streams import Stream, life_of

KEYS = 10_000
SEED = 20_251_124
SHARD = "shardId-000000000000"
FIRST_SEQUENCE = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898
BATCH_NUMBERS = 1_000_000
"""Sequence numbers and counters from a batch's first to the next one's, however many requests it has."""

ARRIVED = 1_764_000_000.123
CREATED = 1_763_000_000.0
_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/perf"
STREAM = Stream(_ARN, (life_of(_ARN, CREATED),))
COMMAND = "content.view"


def keys(count: int, batch: int = 0) -> list[str]:
    """Keys of 46 bytes, Zipf with s = 1.0; another batch draws others."""
    weights = list(accumulate(1 / rank for rank in range(1, KEYS + 1)))
    names = [key_of(rank) for rank in range(KEYS)]
    return Random(SEED + batch).choices(names, cum_weights=weights, k=count)


def key_of(rank: int) -> str:
    """The key of that rank, 0 being the most popular."""
    return f"content/{rank:038d}"


def requests(count: int, batch: int = 0) -> list[Request]:
    """Requests as the SDK makes them: one writer, whose counter rises, from batch to batch too."""
    random = Random(SEED + batch)
    at = round(ARRIVED * 1000)
    return [
        Request(
            id=uuid7(at, random.getrandbits(74)),
            cmd=COMMAND,
            key=key,
            writer="Zr8kQ2mWx0aB",
            counter=counter,
            at=at,
            data={},
        )
        for counter, key in enumerate(keys(count, batch), 1 + batch * BATCH_NUMBERS)
    ]


def payloads(count: int, batch: int = 0) -> list[tuple[str, bytes]]:
    """Keys, and the requests' bytes."""
    return [(request.key or "", encode(request)) for request in requests(count, batch)]


def plain_event(items: Iterable[tuple[str, bytes]], batch: int = 0) -> KinesisEvent:
    """Lambda's event of records that are one request each."""
    return event_of(items, batch)


def aggregated_event(items: Sequence[tuple[str, bytes]], batch: int = 0) -> KinesisEvent:
    """Lambda's event of aggregates as the SDK's producers fill them, of any lane."""
    records: list[tuple[str, bytes]] = []
    open_records: dict[int, Aggregate] = {}
    for key, data in items:
        lane = lane_of(key)
        aggregate = open_records.setdefault(lane, Aggregate(hash_key(lane)))
        if not aggregate.append(key, data, RECORD_BYTES):
            records.append((f"lane-{lane}", aggregate.pack()))
            open_records[lane] = Aggregate(hash_key(lane))
            open_records[lane].append(key, data, RECORD_BYTES)
    records += [(f"lane-{lane}", aggregate.pack()) for lane, aggregate in open_records.items()]
    return event_of(records, batch)


def event_of(records: Iterable[tuple[str, bytes]], batch: int = 0) -> KinesisEvent:
    """Lambda's event of partition keys and data."""
    first = FIRST_SEQUENCE + batch * BATCH_NUMBERS
    return {"Records": [_event_record(place, *record) for place, record in enumerate(records, first)]}


def _event_record(sequence: int, key: str, data: bytes) -> Any:
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": key,
            "sequenceNumber": str(sequence),
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": ARRIVED,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{SHARD}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/apply",
        "awsRegion": "us-east-1",
        "eventSourceARN": STREAM.arn,
    }
