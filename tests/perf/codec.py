"""The KPL format against aws-kinesis-agg: requests into records, as the producer fills them, and back."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec
from aws_kinesis_agg import aggregator, deaggregator

from tests.perf.measure import Result, faster
from tests.perf.workload import aggregated_event, payloads
from tidemill.contract import aggregation
from tidemill.contract.aggregation import Aggregate, UserRecord
from tidemill.contract.lanes import hash_key
from tidemill.sending.records import MAX_RECORD_BYTES, RECORD_BYTES

REQUESTS = 20_000
SIZES = (RECORD_BYTES, MAX_RECORD_BYTES)


def pack(pairs: int) -> list[Result]:
    """Keys and bytes into full records as they come: of 25 KiB, as the producer's are, and of 1 MiB, as theirs are."""
    items = payloads(REQUESTS)

    def theirs() -> list[bytes]:
        return [packed for size in SIZES for packed in _packed_by_theirs(items, size)]

    def ours() -> list[bytes]:
        return [packed for size in SIZES for packed in _packed(items, size)]

    return [faster("pack", theirs, ours, 4.0, "aws-kinesis-agg's requests/s", pairs)]


def _packed_by_theirs(items: Sequence[tuple[str, bytes]], size: int) -> list[bytes]:
    packer = aggregator.RecordAggregator(size)
    full = (packer.add_user_record(key, data) for key, data in items)
    return [record.get_contents()[2] for record in full if record] + [packer.clear_and_get().get_contents()[2]]


def _packed(items: Sequence[tuple[str, bytes]], size: int) -> list[bytes]:
    packed = []
    aggregate = Aggregate(hash_key(0))
    for key, data in items:
        if not aggregate.append(key, data, size):
            packed.append(aggregate.pack())
            aggregate = Aggregate(hash_key(0))
            aggregate.append(key, data, size)
    return [*packed, aggregate.pack()]


def unpack(pairs: int) -> list[Result]:
    """An event's base64 into keys and bytes."""
    event = aggregated_event(payloads(REQUESTS))
    records: list[Any] = list(event["Records"])
    texts = [record["kinesis"]["data"] for record in event["Records"]]

    def theirs() -> list[tuple[str, bytes]]:
        found = (one["kinesis"] for one in deaggregator.deaggregate_records(records))
        return [(one["partitionKey"], base64.b64decode(one["data"])) for one in found]

    def ours() -> list[UserRecord]:
        return [one for text in texts for one in aggregation.unpack(msgspec.convert(text, bytes))]

    assert theirs() == [(one.key, one.data) for one in ours()]
    return [faster("unpack", theirs, ours, 3.0, "aws-kinesis-agg's requests/s", pairs)]
