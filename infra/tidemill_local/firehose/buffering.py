"""Which records make one object of the delivery stream, and what is in it.

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
    """What becomes one object: its lines, and the arrival of the oldest record among them."""

    lines: tuple[bytes, ...]
    oldest: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """A buffer that is due: records, failed records, and where each shard stands once both are stored."""

    landing: Lines | None
    failed: Lines | None
    positions: Mapping[str, str]

    @property
    def records(self) -> int:
        """How many lines it holds in all."""
        return sum(len(part.lines) for part in (self.landing, self.failed) if part)


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object to put."""

    key: str
    body: bytes


class _Part:
    """Lines as they gather."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.oldest: datetime | None = None

    def add(self, lines: Iterable[bytes], arrived: datetime) -> None:
        self.lines.extend(lines)
        self.oldest = min(arrived, self.oldest or arrived)

    def take(self) -> Lines | None:
        return Lines(tuple(self.lines), self.oldest) if self.oldest else None


class Buffering:
    """Gathers records until there is enough of them or the first has waited long enough.

    Size counts the lines before compression, as Firehose does. A batch may exceed it by one record of the
    stream, for a record's aggregate is never torn: the shard's position stands between records.

    Args:
        config: its `size`, `interval` and `delimiter`.
    """

    _since: float | None
    """When the first record came that waits."""

    def __init__(self, config: DeliveryConfig) -> None:
        self._config = config
        self._start_over()

    @property
    def records(self) -> int:
        """How many lines wait."""
        return len(self._landing.lines) + len(self._failed.lines)

    def add(self, records: Iterable[StreamRecord], now: float) -> Iterator[Batch]:
        """Take records in; yields each batch that is thereby full. `now` in seconds since 1970.

        Consume it to its end: what stands behind a full batch is taken in after it.
        """
        for record in records:
            if self._since is None:
                self._since = now
            self._take_in(record, now)
            self._positions[record.shard] = record.sequence
            if self._size >= self._config.size:
                yield self._batch()

    def due(self, now: float) -> Batch | None:
        """What has waited for the whole interval."""
        waited = self._since is not None and now - self._since >= self._config.interval
        return self._batch() if waited else None

    def flush(self) -> Batch | None:
        """All that waits."""
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
    """The user records in a record: Firehose takes KPL aggregates apart, whatever reads after it."""
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
