"""Measures the use of DynamoDB and S3: calls, request units, computed from the items' sizes, and bytes stored.

Room: metering, no I/O. The units are computed, because emulators answer ReturnConsumedCapacity with one unit per
statement, whatever its size. So one rule holds everywhere and for every function:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html

- read: one unit per 4 KB of each item, rounded up, for a consistent read, and half of that otherwise; a missing item
  counts as 4 KB.
- queried: one unit per 4 KB of all items of an answer together, rounded up, likewise.
- written: one unit per 1 KB of each item, rounded up, by the larger of its sizes before and after. A failed condition
  costs the same.

S3 bills requests: a put, and for less a get or a head, and those that it refuses as well, as where an object is there
already, but not its own failures (5xx):
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ErrorCodeBilling.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import add
from threading import Lock
from typing import Any, NamedTuple, TypeAlias

from tidemill_consumers.codec.items import Attribute, binary_of

READ_BLOCK, WRITE_BLOCK = 4096, 1024

OWN_FAILURE = 500
"""HTTP status from which on an answer is a failure of S3 itself."""

LINE = "METER"
"""Prefix of a function's log line that states an invocation's usage; JSON follows, a `Usage` by names."""

Item: TypeAlias = Mapping[str, Attribute]

_PARAMETERS = "tidemill.parameters"
_BODY_BYTES = "tidemill.body_bytes"
_NAMES = re.compile(r"(\w+)'? ?[:=] \?")
"""Matches the attribute names in a statement, each followed by `: ?` or `= ?`."""


class Usage(NamedTuple):
    """Calls made, units used and bytes stored.

    Attributes:
        read_calls: DynamoDB calls that read.
        write_calls: those that write.
        read_units: read request units.
        write_units: write request units.
        forgotten_units: those of the write units that forgotten writers took.
        object_puts: S3 puts: of objects that rules return, and of quarantined requests.
        object_heads: S3 calls that look whether an object is there.
        object_bytes: bytes that the puts stored.
        upload_gets: S3 gets of uploads, the data of requests with a claim check.
        upload_bytes: bytes of the uploads that were found.
    """

    read_calls: int = 0
    write_calls: int = 0
    read_units: float = 0.0
    write_units: float = 0.0
    forgotten_units: float = 0.0
    object_puts: int = 0
    object_heads: int = 0
    object_bytes: int = 0
    upload_gets: int = 0
    upload_bytes: int = 0

    def plus(self, other: Usage) -> Usage:
        """The sum of both."""
        return Usage(*map(add, self, other))


class Meter:
    """Counts the usage of the DynamoDB and S3 clients that belong to one event system.

    Args:
        events: the event system of a boto3 client (`client.meta.events`) or session; a session's counts only the
            clients made later.
        forgotten: the name of the table of forgotten writers.
    """

    def __init__(self, events: Any, forgotten: str | None = None) -> None:
        self._forgotten = forgotten
        self._lock = Lock()  # calls are made in several threads
        self._usage = Usage()
        self._sizes: dict[str, int] = {}
        for operation, count in (
            ("BatchGetItem", self._count_read),
            ("BatchExecuteStatement", self._count_write),
            ("PutItem", self._count_put),
            ("Query", self._count_query),
        ):
            events.register(f"before-parameter-build.dynamodb.{operation}", _keep)
            events.register(f"after-call.dynamodb.{operation}", count)
        events.register_first("before-parameter-build.s3.PutObject", _keep_size)  # before botocore makes it a file
        for operation, count in (
            ("PutObject", self._count_object),
            ("HeadObject", self._count_head),
            ("GetObject", self._count_upload),
        ):
            events.register(f"after-call.s3.{operation}", count)

    def take(self) -> Usage:
        """The usage since the last call of this method."""
        with self._lock:
            usage, self._usage = self._usage, Usage()
            self._sizes.clear()
        return usage

    def _count_read(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        units = 0.0
        for table, asked in context[_PARAMETERS]["RequestItems"].items():
            items = parsed.get("Responses", {}).get(table, [])
            unprocessed = parsed.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            absent = len(asked["Keys"]) - len(items) - len(unprocessed) if "Responses" in parsed else 0
            sizes = {item["pk"]["S"]: item_size(item) for item in items}
            blocks = absent + sum(_blocks(size, READ_BLOCK) for size in sizes.values())
            units += blocks if asked.get("ConsistentRead") else blocks / 2
            with self._lock:
                self._sizes |= sizes
        self._add(Usage(read_calls=1, read_units=units))

    def _count_query(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        blocks = _blocks(sum(map(item_size, parsed.get("Items", ()))), READ_BLOCK) if "Items" in parsed else 0
        units = blocks if context[_PARAMETERS].get("ConsistentRead") else blocks / 2
        self._add(Usage(read_calls=1, read_units=units))

    def _count_write(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        statements = context[_PARAMETERS]["Statements"] if "Responses" in parsed else ()
        self._add(Usage(write_calls=1, write_units=sum(map(self._written, statements))))

    def _count_put(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        error = parsed.get("Error", {}).get("Code")
        is_billed = error in (None, "ConditionalCheckFailedException")
        put = context[_PARAMETERS]
        units = _blocks(item_size(put["Item"]), WRITE_BLOCK) if is_billed else 0
        of_forgotten = units if put["TableName"] == self._forgotten else 0
        self._add(Usage(write_calls=1, write_units=units, forgotten_units=of_forgotten))

    def _count_object(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        size = 0 if "Error" in parsed else context[_BODY_BYTES]
        self._add(Usage(object_puts=_is_billed(parsed), object_bytes=size))

    def _count_head(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        self._add(Usage(object_heads=_is_billed(parsed)))

    def _count_upload(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        self._add(Usage(upload_gets=_is_billed(parsed), upload_bytes=parsed.get("ContentLength", 0)))

    def _written(self, statement: Mapping[str, Any]) -> int:
        # `setdefault`, because an UPDATE names the version twice: the new one, then the expected one.
        named = zip(_NAMES.findall(statement["Statement"]), statement["Parameters"], strict=True)
        item: dict[str, Attribute] = {}
        for name, value in named:
            item.setdefault(name, value)
        with self._lock:
            before = self._sizes.get(item["pk"]["S"], 0)
        return _blocks(max(before, item_size(item)), WRITE_BLOCK)

    def _add(self, usage: Usage) -> None:
        with self._lock:
            self._usage = self._usage.plus(usage)


def item_size(item: Item) -> int:
    """The bytes that DynamoDB counts for an item: names and values.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(attribute: Attribute) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "B":
            return len(binary_of(attribute))
        case "N":
            return 1 + (len(value.strip("-").replace(".", "").strip("0")) + 1) // 2
        case "M":
            return 3 + sum(1 + len(name.encode()) + _size(child) for name, child in value.items())
        case "L":
            return 3 + sum(1 + _size(child) for child in value)
    return 1


def _is_billed(parsed: Mapping[str, Any]) -> bool:
    """Whether S3 bills a request with this answer: all but its own failures."""
    status: int = parsed["ResponseMetadata"]["HTTPStatusCode"]
    return status < OWN_FAILURE


def _blocks(size: int, block: int) -> int:
    return max(1, -(-size // block))


def _keep(params: Mapping[str, Any], context: dict[str, Any], **_: object) -> None:
    context[_PARAMETERS] = params


def _keep_size(params: Mapping[str, Any], context: dict[str, Any], **_: object) -> None:
    context[_BODY_BYTES] = len(params["Body"])
