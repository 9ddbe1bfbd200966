"""The usage of AWS services, in the units that a bill is made of.

Room: load, pure.
Tests: tests/producers/tidemill_load/assessment/test_aggregate.py.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

Number = TypeVar("Number", int, float)


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of usage; None where a count is not known.

    Attributes:
        invocations: of all functions that took part.
        billed_ms: their billed duration, milliseconds, initialisation included.
        gb_seconds: their billed duration times their memory, which is what Lambda bills.
        cold_starts: invocations that had to start an environment.
        http_requests: of the HTTP API; 0 where requests go to the stream.
        records: Kinesis records put.
        put_calls: PutRecords calls made.
        put_units: PUT payload units, 25 KB or part of it each, a record never less than one.
        stream_bytes: data of the records put.
        read_calls: DynamoDB calls that read.
        write_calls: DynamoDB calls that write; each may hold 25 statements.
        read_units: read request units: 4 KB or part of it of each item, read consistently.
        write_units: write request units: 1 KB or part of it of each item written; refused conditions count too.
        forgotten_units: those of the write units that the notes of forgotten writers took; part of `write_units`.
        object_puts: S3 puts of the functions: objects that rules return, and quarantined requests.
        object_heads: S3 calls that look whether an object is there.
        object_bytes: bytes that those puts stored.
        upload_gets: S3 gets of uploads, the data of requests with a claim check.
        upload_bytes: bytes of those uploads.
        reply_messages: messages that carried the answers; HTTP responses are none.
    """

    invocations: int | None = None
    billed_ms: float | None = None
    gb_seconds: float | None = None
    cold_starts: int | None = None
    http_requests: int = 0
    records: int = 0
    put_calls: int = 0
    put_units: int = 0
    stream_bytes: int = 0
    read_calls: int | None = None
    write_calls: int | None = None
    read_units: float | None = None
    write_units: float | None = None
    forgotten_units: float | None = None
    object_puts: int | None = None
    object_heads: int | None = None
    object_bytes: int | None = None
    upload_gets: int | None = None
    upload_bytes: int | None = None
    reply_messages: int | None = None

    def plus(self, other: Spent) -> Spent:
        """The sum of both; a count that one does not know is not known."""
        summed: dict[str, Any] = {
            name: _sum(getattr(self, name), getattr(other, name)) for name in Spent.__struct_fields__
        }
        return Spent(**summed)


def _sum(one: Number | None, other: Number | None) -> Number | None:
    return None if one is None or other is None else one + other
