"""The delivery stream (Firehose) that the emulator lacks: it writes a stream's records to S3, many to an object.

Room: local platform, I/O. shards.py reads, buffering.py decides which records make an object, object_writer.py stores
it, and positions.py keeps each shard's position. The thread that drives them is here.
"""

from __future__ import annotations

import logging
import secrets
import string
import threading
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tidemill_local.firehose.buffering import Buffering, objects
from tidemill_local.firehose.object_writer import GaveUp, ObjectWriter
from tidemill_local.firehose.positions import Positions
from tidemill_local.firehose.shards import Shards
from tidemill_local.firehose.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from types_boto3_kinesis import KinesisClient
    from types_boto3_s3 import S3Client

    from tidemill_event_source.shard_reader import StreamRecord
    from tidemill_local.firehose.buffering import Batch
    from tidemill_local.firehose.config import DeliveryConfig

POLL_SECONDS = 1.0
"""Seconds between Firehose's reads of a shard: https://docs.aws.amazon.com/firehose/latest/dev/limits.html."""

BEHIND_SECONDS = 0.2
"""Seconds between reads while there is more to read: a shard serves five reads a second."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The counts so far: records stored, objects, their bytes as stored, and records that failed."""

    records: int = 0
    objects: int = 0
    bytes: int = 0
    failed: int = 0


class DeliveryStream:
    """Reads every shard of the stream in a thread of its own and puts what is due into the bucket.

    At least once: a shard's position moves only when the objects that hold its records are stored. While it runs,
    failed reads and puts are retried without limit, and `trouble` has the reason.

    It starts at the oldest record, where Firehose starts at the newest: the local platform's stream is as new
    as its delivery stream, and records sent during the start must not be lost.

    Args:
        kinesis: a boto3 Kinesis client.
        s3: a boto3 S3 client.
        config: the template's settings; see `config.parse`.
        kept: a file that keeps the positions, from which the next delivery stream on it continues.

    Attributes:
        delivered: the counts so far.
        taken: records read so far; those that are read again after an unforeseen error count again.
    """

    def __init__(
        self,
        kinesis: KinesisClient,
        s3: S3Client,
        config: DeliveryConfig,
        kept: Path | None = None,
    ) -> None:
        self._config = config
        self.delivered = Delivered()
        self.taken = 0
        self._positions = Positions(config.stream_arn, kept)
        self._troubles = Troubles(config.name)
        self._buffering = Buffering(config)
        self._in_flight = 0
        self._new_shards: Callable[[], Shards] = lambda: Shards(kinesis, config, self._positions, self._troubles)
        self._shards = self._new_shards()
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._writer = ObjectWriter(s3, config.bucket, self._giving_up, self._troubles)
        self._thread = threading.Thread(target=self._run, name=f"delivery-stream-{config.name}", daemon=True)

    @property
    def positions(self) -> Mapping[str, str]:
        """Shard -> the last sequence number whose records are stored."""
        return self._positions.by_shard

    @property
    def buffered(self) -> int:
        """Records read and not yet stored."""
        return self._buffering.records + self._in_flight

    @property
    def trouble(self) -> str | None:
        """The reason why delivery fails at the moment, or None."""
        return self._troubles.first

    def start(self) -> None:
        """Start the thread that reads; returns at once.

        Raises:
            UnreadableFile: the file of positions holds something else.
        """
        self._positions.check()
        self._thread.start()

    def stop(self, flush: bool = True, grace: float = 10.0) -> None:
        """End the thread. A second call, or one before `start`, does nothing.

        Args:
            flush: first read and store all records of the stream; otherwise buffered records are not stored.
            grace: seconds to wait for that; records not stored by then stay counted in `buffered`.
        """
        if not flush:
            self._giving_up.set()
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(grace)
            self._giving_up.set()
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                behind = self._round_or_anew()
                self._stopping.wait(BEHIND_SECONDS if behind else POLL_SECONDS)
            self._drain()
        except GaveUp:
            _log.warning("%s stopped with %d records not delivered", self._config.name, self.buffered)

    def _drain(self) -> None:
        while not self._giving_up.is_set():
            behind = self._round_or_anew()
            if not behind and not self._troubles.first:
                break
            self._giving_up.wait(BEHIND_SECONDS)
        if not self._giving_up.is_set() and (batch := self._buffering.flush()):
            self._deliver(batch)

    def _round_or_anew(self) -> bool:
        """One round. After an unforeseen error, every shard is read again from its delivered position."""
        try:
            behind = self._round()
        except GaveUp:
            raise
        except Exception as error:  # an unreadable answer, a full disk: the thread must go on
            self._troubles.begin("round", error)
            self._shards = self._new_shards()
            self._buffering, self._in_flight = Buffering(self._config), 0
            return False
        self._troubles.end("round")
        return behind

    def _round(self) -> bool:
        """Read each shard once; returns whether there may be more to read: records came, or a read was throttled."""
        behind = self._shards.read(self._take)
        if batch := self._buffering.due(time.time()):
            self._deliver(batch)
        return behind

    def _take(self, records: Sequence[StreamRecord]) -> None:
        self.taken += len(records)
        for batch in self._buffering.add(records, time.time()):
            self._deliver(batch)

    def _deliver(self, batch: Batch) -> None:
        self._in_flight = batch.records
        for item in objects(batch, self._config, lambda: str(uuid.uuid4()), _random_string):
            self._writer.put(item)
            done = self.delivered
            self.delivered = replace(done, objects=done.objects + 1, bytes=done.bytes + len(item.body))
        failed = len(batch.failed.lines) if batch.failed else 0
        done = self.delivered
        self.delivered = replace(done, records=done.records + batch.records - failed, failed=done.failed + failed)
        self._positions.move(batch.positions)
        self._in_flight = 0


def _random_string() -> str:
    """Eleven random characters, as in AWS's names."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(11))
