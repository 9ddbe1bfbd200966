"""The delivery stream (Firehose) that the emulator lacks: what a stream carries lands in S3, many in a file.

Room: local platform, I/O: buffering.py decides, `DeliveryStream` reads and puts. The class has more than twelve
methods, for each is a step of one loop over one state: read, buffer, deliver, keep the positions.
"""

from __future__ import annotations

import json
import logging
import secrets
import string
import threading
import time
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tidemill_event_source.files import UnreadableFile, write_whole
from tidemill_event_source.shard_reader import ShardReader, listed_shards
from tidemill_local.firehose.buffering import Buffering, objects

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_kinesis import KinesisClient
    from types_boto3_s3 import S3Client

    from tidemill_local.firehose.buffering import Batch, S3Object
    from tidemill_local.firehose.config import DeliveryConfig

POLL_SECONDS = 1.0
"""How often Firehose reads each shard: https://docs.aws.amazon.com/firehose/latest/dev/limits.html."""

BEHIND_SECONDS = 0.2
"""How often while there is more to read: a shard serves five reads a second."""

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 10.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What has been stored so far: records in objects, bytes as stored, and records that failed."""

    records: int = 0
    objects: int = 0
    bytes: int = 0
    failed: int = 0


def positions_in(file: Path) -> dict[str, Any]:
    """What a file of positions holds.

    Raises:
        UnreadableFile: it holds something else.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        msgspec.convert(found.get("shards", found), dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{file} holds no positions ({error}); delete it to read from the oldest record") from None
    return found


class _GaveUpError(Exception):
    pass


class DeliveryStream:
    """Reads every shard of the stream in a thread of its own and puts what is due into the bucket.

    At least once: a shard's position moves only when the objects that hold its records are stored. Nothing is
    given up while it runs: reads and puts that fail are tried again, and `trouble` says why.

    It starts at the oldest record, where Firehose starts at the newest: the local platform's stream is as new
    as its delivery stream, and what is sent while it starts must not be lost.

    Args:
        kinesis: a boto3 Kinesis client.
        s3: a boto3 S3 client.
        config: what the template says; see `config.parse`.
        kept: a file that keeps the positions, for the next one that is given it to go on from there.

    Attributes:
        delivered: what has been stored.
        positions: shard -> the last sequence number whose records are stored.
    """

    def __init__(
        self,
        kinesis: KinesisClient,
        s3: S3Client,
        config: DeliveryConfig,
        kept: Path | None = None,
    ) -> None:
        self._kinesis = kinesis
        self._s3 = s3
        self._config = config
        self._address = {"StreamARN": config.stream_arn}
        self.delivered = Delivered()
        self._kept = kept
        self._identity = ""
        """The stream's ARN and creation time; empty until it was asked for."""
        self.positions: Mapping[str, str] = {}
        self._troubles: dict[str, str] = {}  # what fails at the moment -> why
        self._buffering = Buffering(config)
        self._in_flight = 0
        self._readers: dict[str, ShardReader] = {}
        self._seen: set[str] = set()
        self._look_for_shards = True
        self._stopping = threading.Event()
        self._giving_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"delivery-stream-{config.name}", daemon=True)

    @property
    def buffered(self) -> int:
        """Records read and not yet stored."""
        return self._buffering.records + self._in_flight

    @property
    def trouble(self) -> str | None:
        """Why it is not getting on at the moment, or None."""
        return next(iter(tuple(self._troubles.values())), None)

    def start(self) -> None:
        """Begin to read; returns at once.

        Raises:
            UnreadableFile: the file of positions holds something else.
        """
        if self._kept and self._kept.exists():
            positions_in(self._kept)
        self._thread.start()

    def stop(self, flush: bool = True, grace: float = 10.0) -> None:
        """End it. Doing so twice, or before it started, does nothing.

        Args:
            flush: first read all that is in the stream and store it. Otherwise what is buffered is left.
            grace: seconds to wait for that; what cannot be stored by then stays counted in `buffered`.
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
        except _GaveUpError:
            _log.warning("%s stopped with %d records not delivered", self._config.name, self.buffered)

    def _drain(self) -> None:
        while not self._giving_up.is_set():
            behind = self._round_or_anew()
            if not behind and not self._troubles:
                break
            self._giving_up.wait(BEHIND_SECONDS)
        if not self._giving_up.is_set() and (batch := self._buffering.flush()):
            self._deliver(batch)

    def _round_or_anew(self) -> bool:
        """A round. After an error that nobody foresaw, all is read again from where it was delivered."""
        try:
            behind = self._round()
        except _GaveUpError:
            raise
        except Exception as error:  # an answer that cannot be read, a disk that is full: it must go on, whatever it is
            self._note("round", error)
            self._readers, self._seen, self._look_for_shards = {}, set(), True
            self._buffering, self._in_flight = Buffering(self._config), 0
            return False
        self._troubles.pop("round", None)
        return behind

    def _round(self) -> bool:
        """One read of each shard; whether any had something or was not let in, so that there may be more."""
        if self._look_for_shards:
            self._open_shards()
        behind = [self._read(reader) for reader in tuple(self._readers.values())]
        if batch := self._buffering.due(time.time()):
            self._deliver(batch)
        return any(behind)

    def _open_shards(self) -> None:
        """Find the shards not seen yet: at the start, and the children once a shard has ended."""
        try:
            self._recall()
            shards = [shard["ShardId"] for shard in listed_shards(self._kinesis, self._address)]
        except (ClientError, BotoCoreError) as error:
            self._note("list", error)
            return
        self._troubles.pop("list", None)
        self._look_for_shards = False
        for shard in set(shards) - self._seen:
            after = self.positions.get(shard)
            self._readers[shard] = ShardReader(self._kinesis, self._address, shard, after)
            self._seen.add(shard)

    def _recall(self) -> None:
        """At first: where the shards stood, unless another stream had the ARN then, whose shards have the same names.

        A file from before streams were told apart holds the positions alone, and is taken for the present one's.
        """
        if self._identity:
            return
        arn = self._config.stream_arn
        summary = self._kinesis.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]
        self._identity = f"{arn} {summary['StreamCreationTimestamp'].timestamp()}"
        if self._kept and self._kept.exists():
            found = positions_in(self._kept)
            if "stream" not in found:
                self.positions = found
            elif found["stream"] == self._identity:
                self.positions = found["shards"]

    def _read(self, reader: ShardReader) -> bool:
        try:
            page = reader.read()
        except self._kinesis.exceptions.ProvisionedThroughputExceededException as error:
            _log.debug("%s: %s", self._config.name, error)  # other readers share the shard's five reads a second
            return True
        except (ClientError, BotoCoreError) as error:
            self._note(reader.shard, error)  # the next round tries again
            return False
        self._troubles.pop(reader.shard, None)
        for batch in self._buffering.add(page.records, time.time()):
            self._deliver(batch)
        if page.ended:
            del self._readers[reader.shard]
            self._look_for_shards = True
        return bool(page.records) or page.ended

    def _deliver(self, batch: Batch) -> None:
        self._in_flight = batch.records
        for item in objects(batch, self._config, lambda: str(uuid.uuid4()), _random_string):
            self._put(item)
            done = self.delivered
            self.delivered = replace(done, objects=done.objects + 1, bytes=done.bytes + len(item.body))
        failed = len(batch.failed.lines) if batch.failed else 0
        done = self.delivered
        self.delivered = replace(done, records=done.records + batch.records - failed, failed=done.failed + failed)
        self.positions = {**self.positions, **batch.positions}
        if self._kept:
            write_whole(self._kept, json.dumps({"stream": self._identity, "shards": self.positions}).encode())
        self._in_flight = 0

    def _put(self, item: S3Object) -> None:
        """Store one object, however long it takes; the same key each time, so a repeat is no second copy."""
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                self._s3.put_object(Bucket=self._config.bucket, Key=item.key, Body=item.body)
            except Exception as error:  # whatever it is: what was read and not stored would be lost
                self._note("put", error)
                if self._giving_up.wait(delay):
                    raise _GaveUpError from error
                delay = min(2 * delay, LONGEST_RETRY_SECONDS)
            else:
                self._troubles.pop("put", None)
                return

    def _note(self, what: str, error: Exception) -> None:
        if self._troubles.get(what) != (why := str(error)):
            self._troubles[what] = why
            _log.warning("%s: %s; trying again", self._config.name, why)


def _random_string() -> str:
    """Eleven characters, as AWS's own."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(11))
