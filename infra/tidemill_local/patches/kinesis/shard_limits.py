"""The limits of a Kinesis shard, which no emulator enforces.

In: 1,000 records and 1 MiB a second. Out: 5 calls and 2 MiB a second, which all readers share.

Room: local platform. The buckets are pure values, time being an argument; `install` fits `limited` and
`limited_reads` around the emulator's handlers, behind authentication and validation.

A limit in front of the emulator would have to remove refused entries from the request, whose body is signed. Behind
the handler the request stays as it is: the refused records were valid and have a shard, and they are removed again
before any other call can read them, because the emulator answers one call at a time.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.kinesis.api import Refused, account, place, record_size
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidemill_local.patches.kinesis.api import Handler, Request, Resolve, Response, Stream
    from tidemill_local.patches.kinesis.shard_iterators import Position

# https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html

RECORDS_PER_SECOND = 1_000
"""Records written to a shard."""

BYTES_PER_SECOND = 1024 * 1024
"""Bytes written to a shard, partition keys included."""

READS_PER_SECOND = 5
"""GetRecords calls of a shard, by all its readers."""

READ_BYTES_PER_SECOND = 2 * 1024 * 1024
"""Bytes read from a shard by GetRecords."""

SWITCH = "TIDEMILL_SHARD_LIMITS"
"""The environment variable that lifts all these limits when it is `off`, to measure the code behind them."""

_EXCEEDED = "ProvisionedThroughputExceededException"

GetRecords: TypeAlias = "Callable[[Request], tuple[Response, int]]"
"""Gives the answer to GetRecords, and the bytes of the records in it."""

Locate: TypeAlias = "Callable[[Request], tuple[Stream, Position]]"
"""Finds the stream and the position of a GetRecords request, or raises Refused."""


def install() -> None:
    """Have shards take and give no more than AWS's, unless the environment variable lifts the limits.

    Installed after the patches that check records and that make iterators; without the latter, reads have no limits.

    Needs of the emulator:
        kinesis._put_record, kinesis._put_records: answer the puts; what is beyond the limits is refused.
        kinesis._get_records: answers the reads; the call beyond the limits is refused.
        kinesis._resolve_stream: finds the stream that a request names.
    """
    from ministack.services import kinesis

    require(kinesis, "_put_record", "_put_records", "_get_records", "_resolve_stream")
    if os.environ.pop(SWITCH, "on") == "off":
        return
    kinesis._put_record, kinesis._put_records = limited(
        kinesis._put_record, kinesis._put_records, kinesis._resolve_stream, time.monotonic
    )
    if reads := getattr(kinesis, "tidemill_reads", None):
        kinesis._get_records = limited_reads(reads.get_records, reads.locate, time.monotonic)


@dataclass(frozen=True, slots=True)
class Bucket:
    """The writes that a shard may still take: a token bucket of one second's limit.

    The last record may put the bytes in debt: otherwise a bucket of exactly 1 MiB would always refuse a record of
    1 MiB and its key.
    """

    records: float = RECORDS_PER_SECOND
    bytes: float = BYTES_PER_SECOND
    at: float = 0.0

    def refilled(self, now: float) -> Bucket:
        """The bucket at `now`, in seconds of any steady clock."""
        passed = max(0.0, now - self.at)
        return Bucket(
            min(RECORDS_PER_SECOND, self.records + passed * RECORDS_PER_SECOND),
            min(BYTES_PER_SECOND, self.bytes + passed * BYTES_PER_SECOND),
            now,
        )

    def taken(self, size: int) -> Bucket | None:
        """The bucket after a record of `size` bytes; None when the shard must refuse it."""
        if self.records < 1 or self.bytes <= 0:
            return None
        return replace(self, records=self.records - 1, bytes=self.bytes - size)


def admit(bucket: Bucket, sizes: Sequence[int]) -> tuple[Bucket, list[bool]]:
    """Which records of `sizes` bytes a shard takes, and the bucket after them."""
    admitted = []
    for size in sizes:
        after = bucket.taken(size)
        admitted.append(after is not None)
        bucket = after or bucket
    return bucket, admitted


@dataclass(frozen=True, slots=True)
class ReadBucket:
    """The reads that a shard may still answer: a token bucket of one second's limit."""

    calls: float = READS_PER_SECOND
    bytes: float = READ_BYTES_PER_SECOND
    at: float = 0.0

    @property
    def admits(self) -> bool:
        """Whether the shard answers another call."""
        return self.calls >= 1 and self.bytes >= 0

    def refilled(self, now: float) -> ReadBucket:
        """The bucket at `now`, in seconds of any steady clock."""
        passed = max(0.0, now - self.at)
        return ReadBucket(
            min(READS_PER_SECOND, self.calls + passed * READS_PER_SECOND),
            min(READ_BYTES_PER_SECOND, self.bytes + passed * READ_BYTES_PER_SECOND),
            now,
        )

    def taken(self, size: int) -> ReadBucket:
        """The bucket after a call that returned `size` bytes.

        A call that returns more than the bucket holds puts its whole size in debt:
        "If a call returns this amount of data [10 MiB], subsequent calls made within the next 5 seconds throw
        ProvisionedThroughputExceededException"
        (https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html).
        """
        left = self.bytes - size if size <= self.bytes else -size
        return replace(self, calls=self.calls - 1, bytes=left)


def limited(
    put_record: Handler, put_records: Handler, resolve: Resolve, clock: Callable[[], float]
) -> tuple[Handler, Handler]:
    """The emulator's two put handlers with the limits around them.

    Args:
        put_record: answers PutRecord.
        put_records: answers PutRecords.
        resolve: finds the stream that a request names.
        clock: a steady clock, in seconds.
    """

    def limited_put_record(request: Request) -> Response:
        status, headers, body = put_record(request)
        if status != 200:
            return status, headers, body
        stream = _found(resolve, request)
        result = json.loads(body)
        refused = _refuse(stream, [request], [result], clock())
        if not refused:
            return status, headers, body
        return Refused(_EXCEEDED, _rate_exceeded(stream, result["ShardId"])).answer()

    def limited_put_records(request: Request) -> Response:
        status, headers, body = put_records(request)
        if status != 200:
            return status, headers, body
        stream = _found(resolve, request)
        answer = json.loads(body)
        results = answer["Records"]
        refused = _refuse(stream, request["Records"], results, clock())
        for index in refused:
            results[index] = {
                "ErrorCode": _EXCEEDED,
                "ErrorMessage": _rate_exceeded(stream, results[index]["ShardId"]),
            }
        answer["FailedRecordCount"] = len(refused)
        return status, headers, json.dumps(answer).encode()

    return limited_put_record, limited_put_records


def limited_reads(get_records: GetRecords, locate: Locate, clock: Callable[[], float]) -> Handler:
    """The handler of GetRecords with the limits around it.

    Args:
        get_records: answers GetRecords.
        locate: finds the stream and the position in it that a request is about.
        clock: a steady clock, in seconds.
    """

    def limited_get_records(request: Request) -> Response:
        try:
            stream, position = locate(request)
        except Refused as refused:
            return refused.answer()
        shard = stream["shards"][position.shard]
        bucket = shard.get("tidemill_read_bucket", ReadBucket()).refilled(clock())
        if not bucket.admits:
            # The words of the service differ from those for writes.
            message = f"Rate exceeded for Shard - {account(stream)}/{stream['StreamName']}/{position.shard}"
            return Refused(_EXCEEDED, message).answer()
        answer, size = get_records(request)
        shard["tidemill_read_bucket"] = bucket.taken(size)
        return answer

    return limited_get_records


def _found(resolve: Resolve, request: dict[str, Any]) -> Stream:
    _, stream = resolve(request)
    if stream is None:
        raise LookupError("a record was put on a stream that is not there")
    return stream


def _refuse(
    stream: Stream, records: Sequence[Mapping[str, str]], results: Sequence[Mapping[str, str]], now: float
) -> list[int]:
    """Remove the records that their shards cannot take, and return their indexes."""
    by_shard: dict[str, list[int]] = {}
    for index, result in enumerate(results):
        by_shard.setdefault(result["ShardId"], []).append(index)
    refused = []
    for shard_id, indexes in by_shard.items():
        shard = stream["shards"][shard_id]
        # The bucket is kept in its shard, so that a recreated stream starts with full buckets.
        bucket = shard.get("tidemill_bucket", Bucket()).refilled(now)
        shard["tidemill_bucket"], admitted = admit(bucket, [record_size(records[index]) for index in indexes])
        refused += [index for index, taken in zip(indexes, admitted, strict=True) if not taken]
        _take_out(shard["records"], {results[index]["SequenceNumber"] for index in refused})
    return sorted(refused)


def _take_out(stored: list[dict[str, Any]], sequences: set[str]) -> None:
    """Removes records that were just stored; searches only the newest."""
    first = len(stored)
    while sequences and first and stored[first - 1]["SequenceNumber"] >= min(sequences):
        first -= 1
    stored[first:] = [record for record in stored[first:] if record["SequenceNumber"] not in sequences]


def _rate_exceeded(stream: Stream, shard: str) -> str:
    """AWS's message for a refused write."""
    return f"Rate exceeded for shard {shard} in {place(stream)}."
