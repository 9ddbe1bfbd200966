"""The usage of functions and streams: by the functions' logs, and by counting calls.

Room: local platform, I/O. An invocation is a REPORT line of the function's log, as on AWS; what it used of DynamoDB
and S3 is the METER line that tidemill_consumers.metering.metered writes beside it. So it is the same for each function.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill_consumers.codec.items import binary_of
from tidemill_consumers.core.folding.writers import ENTRY_BYTES
from tidemill_consumers.metering.capacity import LINE, Usage, item_size
from tidemill_load.assessment.aggregate import Items
from tidemill_load.results.spent import Spent

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

PUT_UNIT = 25 * 1024
"""Bytes of a PUT payload unit: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html"""

_BILLED = re.compile(r"Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB")
_COLD = re.compile(r"Init Duration: ")


@dataclass(frozen=True, slots=True)
class MeteredInvocation:
    """One REPORT line."""

    billed_ms: int
    memory_mb: int
    is_cold: bool


def invocations(lines: Iterable[str]) -> Iterator[MeteredInvocation]:
    """The invocations that the lines of a log report."""
    for line in lines:
        if line.startswith("REPORT ") and (found := _BILLED.search(line)):
            yield MeteredInvocation(int(found[1]), int(found[2]), _COLD.search(line) is not None)


def usage(lines: Iterable[str]) -> Usage:
    """The usage of DynamoDB and S3, by the METER lines of a log."""
    used = Usage()
    for line in lines:
        if line.startswith(f"{LINE} "):
            used = used.plus(Usage(**json.loads(line.removeprefix(LINE))))
    return used


def spent(lines: Iterable[str]) -> Spent:
    """The usage of functions, by the lines of their logs."""
    every = list(lines)
    ran, used = list(invocations(every)), usage(every)
    return Spent(
        invocations=len(ran),
        billed_ms=float(sum(one.billed_ms for one in ran)),
        gb_seconds=sum(one.billed_ms / 1000 * one.memory_mb / 1024 for one in ran),
        cold_starts=sum(one.is_cold for one in ran),
        read_calls=used.read_calls,
        write_calls=used.write_calls,
        read_units=used.read_units,
        write_units=used.write_units,
        forgotten_units=used.forgotten_units,
        object_puts=used.object_puts,
        object_heads=used.object_heads,
        object_bytes=used.object_bytes,
        upload_gets=used.upload_gets,
        upload_bytes=used.upload_bytes,
    )


def read_log(logs: CloudWatchLogsClient, group: str, since: int) -> list[str]:
    """The REPORT and METER lines of a function's log group since a moment, in milliseconds since 1970."""
    found: list[str] = []
    for pattern in ("REPORT", LINE):
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=since, filterPattern=pattern
        )
        try:
            found += [event["message"] for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []  # it has never run
    return found


def units_of(size: int) -> int:
    """PUT payload units of a record of so many bytes."""
    return max(1, -(-size // PUT_UNIT))


class PutMeter:
    """Counts the records that a Kinesis client puts: acknowledged ones only, as they are billed.

    Args:
        events: the client's, `client.meta.events`.
    """

    def __init__(self, events: Any) -> None:
        events.register("before-parameter-build.kinesis.PutRecords", _keep)
        events.register("after-call.kinesis.PutRecords", self._count)
        self._spent = Spent()

    def take(self) -> Spent:
        """The counts since the last call."""
        taken, self._spent = self._spent, Spent()
        return taken

    def _count(self, parsed: Mapping[str, Any], context: Mapping[str, Any], **_: object) -> None:
        sizes = [
            len(entry["Data"])
            for entry, answer in zip(context[_PARAMETERS]["Records"], parsed.get("Records", ()), strict=False)
            if not answer.get("ErrorCode")
        ]
        now = self._spent
        self._spent = Spent(
            records=now.records + len(sizes),
            put_calls=now.put_calls + 1,
            put_units=now.put_units + sum(map(units_of, sizes)),
            stream_bytes=now.stream_bytes + sum(sizes),
        )


class ItemMeter:
    """Counts the entities' items that a DynamoDB client's BatchGetItem reads, their bytes and their writers.

    Args:
        events: the client's, `client.meta.events`.
    """

    def __init__(self, events: Any) -> None:
        events.register("after-call.dynamodb.BatchGetItem", self._count)
        self._items = Items()

    def take(self) -> Items:
        """The items since the last call."""
        taken, self._items = self._items, Items()
        return taken

    def _count(self, parsed: Mapping[str, Any], **_: object) -> None:
        for items in parsed.get("Responses", {}).values():
            before, writers = self._items, sum(len(binary_of(one["writers"])) for one in items)
            size = sum(map(item_size, items))
            self._items = Items(before.count + len(items), before.bytes + size, before.writers + writers // ENTRY_BYTES)


_PARAMETERS = "tidemill.parameters"


def _keep(params: Mapping[str, Any], context: dict[str, Any], **_: object) -> None:
    context[_PARAMETERS] = params
