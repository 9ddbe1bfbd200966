"""Waits until all that is on a stream is applied and archived, once nobody puts anything on it any more.

Room: deploy, I/O: Kinesis, DynamoDB and S3.

The probe is a request of `tidemill.probe`, one a shard, under a key of its own. Once its key's mark covers it, its
batch was saved; but another key of that batch may have failed, and be delivered again. So a second probe follows, which
the mapping delivers only once the first one's batch is done. What rules emitted meanwhile stands behind the second one,
and begins a further round. The last probes are in the archive's files once all before them is, for Firehose reads a
shard in order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tidemill.contract.request import PROBE, Request, encode
from tidemill_deploy.stack.archive_files import ArchiveFiles
from tidemill_deploy.stack.mapping import Obstacle
from tidemill_deploy.stack.stack import Say, pauses

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_kinesis import KinesisClient
    from types_boto3_s3 import S3Client

TELLS_EVERY = 15.0
"""Seconds between two lines that say what is waited for."""


class NotDrained(Exception):
    """The time is up; says what was waited for."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe on the stream."""

    id: str
    key: str
    shard: str
    sequence: int


@dataclass
class Drain:
    """The pipe of a stack, from the stream to the table and the archive. One idea: probes that pass through it.

    Attributes:
        stream: the stream's name.
        table: that of the entities.
        bucket, prefix: where the archive's files are, in a folder a day (`dt=…`); without a bucket for a stream that is
            not archived.
        within: seconds that all of it may take.
        say: gets what is waited for.
        blocked: says what keeps requests from being applied, if anything does.
        clock, sleep: seconds of a monotonic clock, and waiting.
    """

    kinesis: KinesisClient
    dynamodb: DynamoDBClient
    s3: S3Client
    stream: str
    table: str
    bucket: str
    prefix: str
    within: float
    say: Say
    blocked: Callable[[], Obstacle | None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _run: str = field(default_factory=lambda: uuid4().hex, init=False)
    _ids: set[str] = field(default_factory=set, init=False)
    _until: float = field(default=0.0, init=False)

    def wait(self) -> int:
        """Wait until all is applied and archived; the number of rounds that it took.

        Raises:
            NotDrained: not within the time, or something stays in the way.
            ClientError, BotoCoreError: a service cannot be asked.
        """
        self._until = self.clock() + self.within
        began = datetime.now(UTC)
        rounds = 0
        while True:
            rounds += 1
            self._applied(self._probes())
            last = self._probes()
            self._applied(last)
            if not self._have_more(last):
                if self.bucket:
                    self._archived({one.id for one in last}, began)
                if not self._have_more(last):
                    return rounds
            self.say("there are further requests behind the probes, from rules or from before: once more")

    def _probes(self) -> list[Probe]:
        """Puts a probe on each open shard."""
        return [self._probe(name, hash_key) for name, hash_key in self._open_shards()]

    def _open_shards(self) -> Iterator[tuple[str, str]]:
        for page in self.kinesis.get_paginator("list_shards").paginate(StreamName=self.stream):
            for shard in page["Shards"]:
                if "EndingSequenceNumber" not in shard["SequenceNumberRange"]:
                    yield shard["ShardId"], shard["HashKeyRange"]["StartingHashKey"]

    def _probe(self, shard: str, hash_key: str) -> Probe:
        key = f"tidemill/probe/{self._run}/{shard}"
        request = Request(id=uuid4().hex, cmd=PROBE, key=key, at=time.time_ns() // 1_000_000, data={})
        self._ids.add(request.id)
        put = self.kinesis.put_record(
            StreamName=self.stream, Data=encode(request), PartitionKey=key, ExplicitHashKey=hash_key
        )
        return Probe(request.id, key, put["ShardId"], int(put["SequenceNumber"]))

    def _applied(self, probes: list[Probe]) -> None:
        left = list(probes)
        for _ in self._waiting(lambda: f"{len(left)} of {len(probes)} shards are not applied to their end"):
            left[:] = [one for one in left if not self._is_applied(one)]
            if not left:
                return

    def _is_applied(self, probe: Probe) -> bool:
        """Whether the mark of the probe's key covers it."""
        found: Any = self.dynamodb.get_item(
            TableName=self.table, Key={"pk": {"S": probe.key}}, ConsistentRead=True, ProjectionExpression="marks"
        )
        marks: Mapping[str, Any] = found.get("Item", {}).get("marks", {}).get("M", {})
        return any(int(mark["S"].partition("/")[0]) >= probe.sequence for mark in marks.values())

    def _have_more(self, probes: list[Probe]) -> bool:
        """Whether anything stands behind the probes, or on shards that have opened since."""
        opened = {name for name, _ in self._open_shards()} != {one.shard for one in probes}
        return opened or any(self._has_more(one) for one in probes)

    def _has_more(self, probe: Probe) -> bool:
        """Whether anything but probes stands behind the probe."""
        place: Any = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": str(probe.sequence)}
        iterator = self.kinesis.get_shard_iterator(StreamName=self.stream, ShardId=probe.shard, **place)[
            "ShardIterator"
        ]
        for _ in self._waiting(lambda: f"{probe.shard} is not read to its end"):
            try:
                read = self.kinesis.get_records(ShardIterator=iterator)
            except self.kinesis.exceptions.ProvisionedThroughputExceededException:
                continue  # others read the shard too: five reads a second are allowed
            if not all(self._is_probe(record["Data"]) for record in read["Records"]):
                return True
            if not read.get("NextShardIterator") or (not read["Records"] and read["MillisBehindLatest"] == 0):
                return False
            iterator = read["NextShardIterator"]
        raise AssertionError("the time is never up without an exception")

    def _is_probe(self, data: bytes) -> bool:
        return any(one.encode() in data for one in self._ids)

    def _archived(self, ids: set[str], since: datetime) -> None:
        left, files = set(ids), ArchiveFiles(self.s3, self.bucket, self.prefix, since)
        for _ in self._waiting(lambda: f"{len(left)} of {len(ids)} shards are not in the archive to their end"):
            for key in files.new(datetime.now(UTC)):
                for line in files.lines(key):
                    left.difference_update({one for one in left if one.encode() in line})
            if not left:
                return

    def _waiting(self, what: Callable[[], str]) -> Iterator[None]:
        """Turns of waiting, until the time is up or something stays in the way; says now and then for what."""
        told = self.clock()
        for pause in pauses():
            yield
            now = self.clock()
            if now >= self._until:
                raise NotDrained(f"{self._state(what())} after {_minutes(self.within)}")
            if now - told >= TELLS_EVERY:
                told = now
                self.say(f"waiting: {self._state(what())}")
            self.sleep(pause)

    def _state(self, waits: str) -> str:
        """The progress that is waited for, and the obstacle in its way.

        Raises:
            NotDrained: that stays.
        """
        found = self.blocked()
        if found and found.stays:
            raise NotDrained(f"{waits}: {found.text}")
        return f"{waits} ({found.text})" if found else waits


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
