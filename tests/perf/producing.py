"""The producer, through real boto3 with the network cut off, against put_record and put_records by hand.

Each side begins with a command, a key and data and ends with an answer: the request's JSON is part of it, and so are
the producer's thread, lanes and handles. Clients and producers are made before: they live for longer than this.
"""

from __future__ import annotations

import json
import time
from functools import cache, partial
from typing import Any
from uuid import uuid4

import boto3

from tests.perf import wire
from tests.perf.measure import Result, faster
from tests.perf.workload import COMMAND, keys
from tidemill import Producer

SINGLE, MANY = 2_000, 20_000
CALL_RECORDS = 500


def producer_vs_put_record(pairs: int) -> list[Result]:
    """A call for each request."""
    Kinesis()
    kinesis = boto3.client("kinesis")
    few, many = keys(SINGLE), keys(MANY)

    def theirs() -> None:
        for key in few:
            kinesis.put_record(StreamName="perf", Data=to_json(key), PartitionKey=key)

    name, times = "producer_vs_put_record", MANY / SINGLE
    return [
        faster(name, theirs, partial(produce, many), 100.0, "put_record's requests/s", pairs, times=times, make=made)
    ]


def producer_vs_put_records(pairs: int) -> list[Result]:
    """Calls of 500."""
    Kinesis()
    kinesis = boto3.client("kinesis")
    many = keys(MANY)

    def theirs() -> None:
        for first in range(0, MANY, CALL_RECORDS):
            some = many[first : first + CALL_RECORDS]
            records: list[Any] = [{"Data": to_json(key), "PartitionKey": key} for key in some]
            assert kinesis.put_records(StreamName="perf", Records=records)["FailedRecordCount"] == 0

    unit = "put_records x500's requests/s"
    return [faster("producer_vs_put_records", theirs, partial(produce, many), 3.0, unit, pairs, make=made)]


def to_json(key: str) -> bytes:
    """A request, made by hand."""
    request = {"v": 1, "id": str(uuid4()), "cmd": COMMAND, "key": key, "at": time.time_ns() // 1_000_000, "data": {}}
    return json.dumps(request).encode()


def made() -> tuple[Producer]:
    """A producer."""
    return (Producer("perf"),)


def produce(names: list[str], producer: Producer) -> None:
    """The same by the SDK, to its last answer."""
    for key in names:
        producer.send(COMMAND, key=key)
    producer.close()


class Kinesis:
    """A stream where all goes well. One call at a time."""

    def __init__(self) -> None:
        self._records = 0
        wire.cut(kinesis=self._answer)
        wire.look("kinesis.PutRecords", self._look)

    def _look(self, params: Any) -> None:
        self._records = len(params["Records"])

    def _answer(self, operation: str, _: bytes) -> bytes:
        return answer(operation, self._records)


def answer(operation: str, records: int) -> bytes:
    """What Kinesis says when all goes well, to so many records."""
    if operation == "PutRecords":
        return _stored(records)
    return _STORED if operation == "PutRecord" else _STREAM


_STREAM = b'{"StreamDescriptionSummary":{"StreamName":"perf","StreamStatus":"ACTIVE","OpenShardCount":1}}'
_STORED = (
    b'{"SequenceNumber":"49590338271490256608559692538361571095921575989136588898","ShardId":"shardId-000000000000"}'
)


@cache
def _stored(count: int) -> bytes:
    return b'{"FailedRecordCount":0,"Records":[' + b",".join([_STORED] * count) + b"]}"
