"""Decides which records make one object of the delivery stream, and builds the object.

Room: local platform, pure: time and random names are arguments.
Tests: tests/infra/tidemill_local/firehose/test_delivery_stream.py.
"""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tidemill.contract import aggregation
from tidemill_local.firehose.config import object_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from tidemill_event_source.shard_reader import StreamRecord
    from tidemill_local.firehose.config import DeliveryConfig


@dataclass(frozen=True, slots=True)
class Lines:
    """The content of one object: its lines, and the arrival of the oldest record among them."""

    lines: tuple[bytes, ...]
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """A buffer that is due: records, failed records, and each shard's position once both are stored."""

    landing: Lines | None
    failed: Lines | None
    positions: Mapping[str, str]

    @property
    def records(self) -> int:
        """The number of its lines in all."""
        return sum(len(part.lines) for part in (self.landing, self.failed) if part)


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object to put."""

    key: str
    body: bytes


class _Part:
    """Lines that are being gathered for one object."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.oldest: datetime | None = None

    def add(self, lines: Iterable[bytes], arrived: datetime) -> None:
        self.lines.extend(lines)
        self.oldest = min(arrived, self.oldest or arrived)

    def take(self) -> Lines | None:
        return Lines(tuple(self.lines), self.oldest) if self.oldest else None


class Buffering:
    """Gathers records until their size is reached or the first has waited for the interval.

    Size counts the lines before compression, as Firehose does. A batch may exceed it by one record of the stream:
    an aggregated record is never split, because a shard's position is always between records.

    Args:
        config: its `size`, `interval` and `delimiter`.
    """

    _since: float | None
    """The time at which the oldest waiting record came."""

    def __init__(self, config: DeliveryConfig) -> None:
        self._config = config
        self._start_over()

    @property
    def records(self) -> int:
        """The number of waiting lines."""
        return len(self._landing.lines) + len(self._failed.lines)

    def add(self, records: Iterable[StreamRecord], now: float) -> Iterator[Batch]:
        """Take records in; yields each batch that becomes full. `now` in seconds since 1970.

        Consume the iterator to its end: the records behind a full batch are taken in only after it is yielded.
        """
        for record in records:
            if self._since is None:
                self._since = now
            self._take_in(record, now)
            self._positions[record.shard] = record.sequence
            if self._size >= self._config.size:
                yield self._batch()

    def due(self, now: float) -> Batch | None:
        """The batch, if it has waited for the whole interval."""
        waited = self._since is not None and now - self._since >= self._config.interval
        return self._batch() if waited else None

    def flush(self) -> Batch | None:
        """The batch of all waiting records; None if there are none."""
        return self._batch() if self._since is not None else None

    def _take_in(self, record: StreamRecord, now: float) -> None:
        try:
            lines = [payload + self._config.delimiter for payload in _payloads(record.data)]
            part = self._landing
        except aggregation.CorruptAggregate as error:
            lines = [_failure(record, str(error), now)]
            part = self._failed
        part.add(lines, record.arrived)
        self._size += sum(map(len, lines))

    def _batch(self) -> Batch:
        batch = Batch(self._landing.take(), self._failed.take(), self._positions)
        self._start_over()
        return batch

    def _start_over(self) -> None:
        self._landing, self._failed = _Part(), _Part()
        self._positions: dict[str, str] = {}
        self._since = None
        self._size = 0


def objects(
    batch: Batch, config: DeliveryConfig, unique: Callable[[], str], random_string: Callable[[], str]
) -> tuple[S3Object, ...]:
    """The objects that hold the batch: one of records, one of failed records, or both."""

    def render(part: Lines, prefix: str) -> S3Object:
        body = b"".join(part.lines)
        key = object_name(config, prefix, part.oldest, unique(), random_string)
        return S3Object(key, gzip.compress(body, compresslevel=6, mtime=0) if config.compress else body)

    parts = ((batch.landing, config.prefix), (batch.failed, config.error_prefix))
    return tuple(render(part, prefix) for part, prefix in parts if part)


def _payloads(data: bytes) -> list[bytes]:
    """The user records in a record: Firehose always de-aggregates KPL records."""
    return [record.data for record in aggregation.unpack(data)] if aggregation.is_aggregate(data) else [data]


def _failure(record: StreamRecord, why: str, now: float) -> bytes:
    """A failed record as Firehose writes it: https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html."""
    line = {
        "attemptsMade": 1,
        "arrivalTimestamp": int(record.arrived.timestamp() * 1000),
        "errorCode": "DeAggregation.InvalidRecord",
        "errorMessage": why,
        "attemptEndingTimestamp": int(now * 1000),
        "rawData": base64.b64encode(record.data).decode(),
    }
    return msgspec.json.encode(line) + b"\n"
