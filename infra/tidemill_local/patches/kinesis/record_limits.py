"""The limits of a record: a hash key within the range, and the size that its stream allows.

Room: local platform, pure on a stream's dict but for `install`, which fits it into the emulator.
Tests: tests/infra/tidemill_local/patches/kinesis/test_stream_calls.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidemill_local.patches.kinesis.api import Handler, Refused, Request, Resolve, Stream, record_size
from tidemill_local.patches.kinesis.shard_state import HASH_KEYS
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LEAST_RECORD_KIB, MOST_RECORD_KIB = 1_024, 10_240
"""The range of a stream's limit, which UpdateMaxRecordSize sets:
https://docs.aws.amazon.com/kinesis/latest/APIReference/API_UpdateMaxRecordSize.html."""

_LARGE = LEAST_RECORD_KIB * 1024 * 4 // 3
"""Characters of base64 above which the emulator refuses a record."""


def install() -> None:
    """Have puts refuse records beyond the limits, and take records of more than a MiB that their stream allows.

    Needs of the emulator:
        kinesis._put_record, kinesis._put_records: answer the puts; their records are checked first.
        kinesis._resolve_stream: finds the stream that a request names.
    """
    from ministack.services import kinesis

    require(kinesis, "_put_record", "_put_records", "_resolve_stream")
    resolve = kinesis._resolve_stream
    kinesis._put_record = checked(with_large(kinesis._put_record, resolve), resolve, one_record)
    kinesis._put_records = checked(with_large(kinesis._put_records, resolve), resolve, many_records)


def check_record(stream: Stream, record: Mapping[str, Any], name: str) -> None:
    """Refuse a record with a hash key out of range, or with more bytes than a record may have.

    Args:
        stream: the record's stream.
        record: the record as it is put.
        name: the name of its data in AWS's message.

    Raises:
        Refused: the record is beyond a limit.
    """
    explicit = record.get("ExplicitHashKey")
    if explicit is not None and not (str(explicit).isdecimal() and int(explicit) < HASH_KEYS):
        raise Refused(
            "InvalidArgumentException",
            "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was "
            f"{explicit}",
        )
    most = max_record_bytes(stream)
    if "PartitionKey" in record and record_size(record) > most:
        raise Refused(
            "ValidationException",
            f"1 validation error detected: Value at '{name}' failed to satisfy constraint: the data and the partition "
            f"key must have a length less than or equal to {most}",
        )


def max_record_bytes(stream: Stream) -> int:
    """The most bytes of a record's data and partition key together."""
    return int(stream.get("MaxRecordSizeInKiB", LEAST_RECORD_KIB)) * 1024


def checked(put: Handler, resolve: Resolve, records: Callable[[Request], Iterable[tuple[str, Any]]]) -> Handler:
    """A put that refuses records beyond the limits.

    Args:
        put: the emulator's own.
        resolve: finds the stream that a request names.
        records: gives the records of a request, each with the name of its data in messages.
    """

    def put_right(request: Request) -> Any:
        _, stream = resolve(request)
        try:
            if stream is not None:
                for name, record in records(request):
                    check_record(stream, record, name)
        except Refused as refused:
            return refused.answer()
        return put(request)

    return put_right


def with_large(put: Handler, resolve: Resolve) -> Handler:
    """A put that also stores records of more than a MiB, where UpdateMaxRecordSize allows them.

    The emulator refuses such records, so it gets them without data, and the data is filled in after they are stored.
    """

    def put_right(request: Request) -> Any:
        records = request.get("Records") or [request]
        large = {at: one["Data"] for at, one in enumerate(records) if len(one.get("Data") or "") > _LARGE}
        if not large:
            return put(request)
        emptied = [{**one, "Data": ""} if at in large else one for at, one in enumerate(records)]
        status, headers, body = put({**request, "Records": emptied} if "Records" in request else emptied[0])
        _, stream = resolve(request)
        if status == 200 and stream is not None:
            said = json.loads(body)
            results = said.get("Records", [said])
            for at, data in large.items():
                _stored(stream, results[at])["Data"] = data
        return status, headers, body

    return put_right


def _stored(stream: Stream, result: Mapping[str, Any]) -> dict[str, Any]:
    """The record that a put has just stored."""
    records = stream["shards"][result["ShardId"]]["records"]
    return next(one for one in reversed(records) if one["SequenceNumber"] == result["SequenceNumber"])


def one_record(request: Request) -> Iterable[tuple[str, Any]]:
    """The record of a PutRecord."""
    return [("data", request)]


def many_records(request: Request) -> Iterable[tuple[str, Any]]:
    """The records of a PutRecords."""
    return [(f"records.{number}.member.data", one) for number, one in enumerate(request.get("Records") or [], 1)]
