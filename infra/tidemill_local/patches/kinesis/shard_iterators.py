"""Reading a shard as on AWS: iterators point to a sequence number, and a closed shard has an end.

Room: local platform. Pure but for the clock of `Reads`, whose methods `install` fits into the emulator. The emulator's
own iterators are indexes of a list. They become wrong when the head of the list expires, and each is kept for five
minutes and checked in every call.
"""

from __future__ import annotations

import base64
import json
import time
from bisect import bisect_left, bisect_right
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.kinesis.api import (
    Refused,
    Request,
    Resolve,
    Stream,
    found,
    handler,
    place,
    record_size,
    success,
)
from tidemill_local.patches.kinesis.shard_state import children, is_open
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill_local.patches.kinesis.api import Response

Record: TypeAlias = dict[str, Any]
"""A record as the emulator holds it; `Data` in base64."""

MOST_RECORDS = 10_000
"""Most records of one GetRecords call: https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html."""

MOST_BYTES = 10 * 1024 * 1024
"""Most bytes of one GetRecords call."""

LIFETIME = 300
"""Seconds in which an iterator must be used."""

_DIGITS = 30
"""Digits of the emulator's sequence numbers. A client that converts one to a number loses the leading zeros."""


def install() -> None:
    """Have iterators point to a sequence number, and a reader of a closed shard notified of its end.

    It also puts the `Reads` into the emulator's module as `tidemill_reads`, for the patch that limits them.

    Needs of the emulator:
        kinesis._get_shard_iterator, kinesis._get_records: answer those calls; replaced.
        kinesis._resolve_stream: finds the stream that a request names.
        kinesis._expire_records: drops what is past a stream's retention.
    """
    from ministack.services import kinesis

    require(kinesis, "_get_shard_iterator", "_get_records", "_resolve_stream", "_expire_records")
    reads = Reads(kinesis._resolve_stream, kinesis._expire_records, time.time)
    kinesis.tidemill_reads = reads
    kinesis._get_shard_iterator = reads.get_shard_iterator
    kinesis._get_records = lambda request: reads.get_records(request)[0]


@dataclass(frozen=True, slots=True)
class Position:
    """A reader's position in a shard: behind the record `after`, or at the oldest record if that is empty.

    Attributes:
        born: the shard's first sequence number, which distinguishes it from a shard of a recreated stream.
        issued: when the iterator was given out, in seconds since 1970.
    """

    stream_arn: str
    shard: str
    born: str
    after: str
    issued: float

    def iterator(self) -> str:
        """The position encoded as a ShardIterator, so that no state is kept for it."""
        return base64.urlsafe_b64encode(json.dumps(asdict(self)).encode()).decode()

    @classmethod
    def of(cls, iterator: str) -> Position:
        """The position encoded in a ShardIterator.

        Raises:
            Refused: the text is not a ShardIterator.
        """
        try:
            return cls(**json.loads(base64.urlsafe_b64decode(iterator)))
        except (ValueError, TypeError):
            raise Refused("InvalidArgumentException", "Invalid ShardIterator.") from None


def start_position(records: Sequence[Record], kind: str, sequence: str, timestamp: Any) -> int | None:
    """The index at which an iterator type starts; None for an unknown type."""
    match kind:
        case "TRIM_HORIZON":
            return 0
        case "LATEST":
            return len(records)
        case "AT_SEQUENCE_NUMBER":
            return bisect_left(records, sequence.zfill(_DIGITS), key=_sequence)
        case "AFTER_SEQUENCE_NUMBER":
            return _behind(records, sequence.zfill(_DIGITS))
        case "AT_TIMESTAMP":
            return bisect_left(records, float(timestamp), key=_arrival)
    return None


def start_after(records: Sequence[Record], kind: str, sequence: str, timestamp: Any, now: float) -> str:
    """The sequence number of the last record before a starting position; empty if that is the oldest.

    Raises:
        Refused: the type is unknown, a parameter that it needs is missing, or the time is in the future.
    """
    if kind == "AT_TIMESTAMP" and timestamp is None:
        raise Refused("InvalidArgumentException", "AT_TIMESTAMP needs a Timestamp.")
    if timestamp is not None and float(timestamp) > now:
        raise Refused(
            "InvalidArgumentException",
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
            f"timestampInMillis: {float(timestamp) * 1000:.0f}, currentTimestampInMillis: {now * 1000:.0f}",
        )
    if kind.endswith("_SEQUENCE_NUMBER") and not sequence:
        raise Refused("InvalidArgumentException", f"{kind} needs a StartingSequenceNumber.")
    start = start_position(records, kind, sequence, timestamp)
    if start is None:
        raise Refused("ValidationException", f"Invalid ShardIteratorType: {kind}")
    return _last(records, start)


def readable(stream: Stream, records: Sequence[Record]) -> list[Record]:
    """The records in the form that readers receive."""
    return [{**record, "EncryptionType": stream["EncryptionType"]} for record in records]


def behind_latest(records: Sequence[Record], last: int, now: float) -> int:
    """Milliseconds since the first record arrived that a reader up to the index `last` has not read; else 0."""
    return int(max(0.0, now - _arrival(records[last])) * 1000) if last < len(records) else 0


def page(records: Sequence[Record], after: str, limit: int) -> tuple[int, int, int]:
    """The records that one call returns: the first index, the index behind the last, and their bytes.

    If there is any record, at least one is returned, whatever its size.
    """
    first = last = _behind(records, after)
    size = 0
    for index in range(first, min(first + limit, len(records))):
        following = size + record_size(records[index])
        if following > MOST_BYTES and index > first:
            break
        size, last = following, index + 1
    return first, last, size


class Reads:
    """The handlers of GetShardIterator and GetRecords.

    Args:
        resolve: finds the stream that a request names.
        expire: drops the records past the stream's retention.
        clock: seconds since 1970.
    """

    def __init__(self, resolve: Resolve, expire: Callable[[Stream], None], clock: Callable[[], float]) -> None:
        self._resolve = resolve
        self._expire = expire
        self._clock = clock
        self.get_shard_iterator = handler(self._get_shard_iterator)

    def get_records(self, request: Request) -> tuple[Response, int]:
        """The answer to GetRecords, and the bytes of the records in it."""
        try:
            stream, position = self.locate(request)
            body, size = self._read(stream, position, request.get("Limit", MOST_RECORDS))
        except Refused as refused:
            return refused.answer(), 0
        return success(body), size

    def locate(self, request: Request) -> tuple[Stream, Position]:
        """The stream and the position of a GetRecords request; its shard exists.

        Raises:
            Refused: the iterator is invalid or has expired, or its shard is gone.
        """
        position = Position.of(request.get("ShardIterator", ""))
        if (age := self._clock() - position.issued) > LIFETIME:
            raise Refused(
                "ExpiredIteratorException",
                f"Iterator expired. It was created {age:.0f} seconds ago, and {LIFETIME} are tolerated.",
            )
        stream = found(self._resolve, {"StreamARN": position.stream_arn})
        self._expire(stream)
        if shard_of(stream, position.shard)["starting_sequence_number"] != position.born:
            raise Refused("ExpiredIteratorException", f"{position.shard} is of another {place(stream)} now.")
        return stream, position

    def _get_shard_iterator(self, request: Request) -> dict[str, Any]:
        stream, shard_id = found(self._resolve, request), request.get("ShardId", "")
        self._expire(stream)
        records: list[Record] = shard_of(stream, shard_id)["records"]
        kind, sequence = request.get("ShardIteratorType", ""), request.get("StartingSequenceNumber", "")
        after = start_after(records, kind, sequence, request.get("Timestamp"), self._clock())
        return {"ShardIterator": self._iterator(stream, shard_id, after)}

    def _read(self, stream: Stream, position: Position, limit: int) -> tuple[dict[str, Any], int]:
        if not 1 <= limit <= MOST_RECORDS:
            raise Refused("InvalidArgumentException", f"Limit must be from 1 to {MOST_RECORDS}, and is {limit}.")
        shard = stream["shards"][position.shard]
        records: list[Record] = shard["records"]
        first, last, size = page(records, position.after, limit)
        body = {
            "Records": readable(stream, records[first:last]),
            "MillisBehindLatest": behind_latest(records, last, self._clock()),
            "NextShardIterator": None,
        }
        if last < len(records) or is_open(shard):
            body["NextShardIterator"] = self._iterator(stream, position.shard, _last(records, last))
        else:
            body["ChildShards"] = children(stream, position.shard)
        return body, size

    def _iterator(self, stream: Stream, shard_id: str, after: str) -> str:
        born = stream["shards"][shard_id]["starting_sequence_number"]
        return Position(stream["StreamARN"], shard_id, born, after, self._clock()).iterator()


def shard_of(stream: Stream, shard_id: str) -> dict[str, Any]:
    """The shard of a stream.

    Raises:
        Refused: there is none.
    """
    if shard_id not in stream["shards"]:
        raise Refused("ResourceNotFoundException", f"Shard {shard_id} in {place(stream)} does not exist")
    shard: dict[str, Any] = stream["shards"][shard_id]
    return shard


def _last(records: Sequence[Record], end: int) -> str:
    """The sequence number of the last record before the index `end`; empty, for the oldest, when there is none."""
    return _sequence(records[end - 1]) if end else ""


def _behind(records: Sequence[Record], sequence: str) -> int:
    """The index of the first record behind this sequence number."""
    return bisect_right(records, sequence, key=_sequence)


def _sequence(record: Record) -> str:
    return str(record["SequenceNumber"])


def _arrival(record: Record) -> float:
    return float(record["ApproximateArrivalTimestamp"])
