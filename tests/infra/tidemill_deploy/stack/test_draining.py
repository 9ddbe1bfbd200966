"""Draining, with a pipe that works while the drain waits: it applies and archives what stands on the stream."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tidemill_deploy.stack.draining import Drain, NotDrained
from tidemill_deploy.stack.mapping import Obstacle
from tidemill_local.emulator import Emulator


class Pipe:
    """What applies and archives, a step each time that the drain waits.

    Attributes:
        emits: how many probes it answers with a further request, as a rule that emits would.
        applies, archives: whether it does.
    """

    def __init__(self, emulator: Emulator, stream: str, table: str, bucket: str) -> None:
        self._emulator = emulator
        self._names = stream, table, bucket
        self._iterators: dict[str, str] = {}
        self.follow()
        self.emits = 0
        self.applies = self.archives = True
        self.archived: list[bytes] = []

    def follow(self) -> None:
        """Read the shards that it does not read yet, from their beginning."""
        kinesis, (stream, _, _) = self._emulator.client("kinesis"), self._names
        for shard in [one["ShardId"] for one in kinesis.list_shards(StreamName=stream)["Shards"]]:
            if shard not in self._iterators:
                made = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
                self._iterators[shard] = made["ShardIterator"]

    def work(self, _: float) -> None:
        for shard in self._iterators:
            self._read(shard)

    def _read(self, shard: str) -> None:
        kinesis, (stream, table, bucket) = self._emulator.client("kinesis"), self._names
        try:
            read: Any = kinesis.get_records(ShardIterator=self._iterators[shard])
        except kinesis.exceptions.ProvisionedThroughputExceededException:
            return  # its clock is quicker than the shard's
        self._iterators[shard] = read.get("NextShardIterator") or self._iterators[shard]  # a closed shard has none
        for record in read["Records"]:
            mark = {"M": {shard: {"S": f"{record['SequenceNumber']}/0/1/0/0"}}}
            if self.applies:
                item = {"pk": {"S": record["PartitionKey"]}, "marks": mark}
                self._emulator.client("dynamodb").put_item(TableName=table, Item=item)
            if self.emits:
                self.emits -= 1
                kinesis.put_record(StreamName=stream, Data=b'{"cmd":"follow"}', PartitionKey="followed")
            self.archived.append(record["Data"])
        if self.archived and self.archives:
            s3, day = self._emulator.client("s3"), datetime.now(UTC)
            s3.put_object(
                Bucket=bucket,
                Key=f"landing/dt={day:%Y-%m-%d}/hour={day:%H}/{shard}.gz",
                Body=gzip.compress(b"\n".join(self.archived)),
            )


@pytest.fixture
def pipe(emulator: Emulator, stream: str, table: str, bucket: str) -> Pipe:
    return Pipe(emulator, stream, table, bucket)


@pytest.fixture
def drain(emulator: Emulator, pipe: Pipe, stream: str, table: str, bucket: str) -> Callable[[float], Drain]:
    def make(within: float) -> Drain:
        now = iter(range(10**6))
        return Drain(
            kinesis=emulator.client("kinesis"),
            dynamodb=emulator.client("dynamodb"),
            s3=emulator.client("s3"),
            stream=stream,
            table=table,
            bucket=bucket,
            prefix="landing/",
            within=within,
            say=lambda _: None,
            clock=lambda: float(next(now)),
            sleep=pipe.work,
        )

    return make


def test_a_stream_that_is_applied_and_archived_is_drained_in_one_round(
    pipe: Pipe, drain: Callable[[float], Drain]
) -> None:
    assert drain(1000).wait() == 1
    assert all(json.loads(one)["cmd"] == "tidemill.probe" for one in pipe.archived)


def test_what_rules_emit_meanwhile_is_waited_for_too(pipe: Pipe, drain: Callable[[float], Drain]) -> None:
    pipe.emits = 2
    assert drain(1000).wait() > 1
    assert sum(one == b'{"cmd":"follow"}' for one in pipe.archived) == 2


def test_what_is_not_applied_is_told(pipe: Pipe, drain: Callable[[float], Drain]) -> None:
    pipe.applies = False
    with pytest.raises(NotDrained, match=r"\d of \d shards are not applied to their end"):
        drain(20).wait()


@pytest.mark.slow
def test_what_is_not_archived_is_told(pipe: Pipe, drain: Callable[[float], Drain]) -> None:
    pipe.archives = False
    with pytest.raises(NotDrained, match=r"\d of \d shards are not in the archive to their end"):
        drain(400).wait()


@pytest.mark.parametrize("stays", [True, False])
def test_what_is_in_the_way_is_told_and_not_waited_for_if_it_stays(
    pipe: Pipe, drain: Callable[[float], Drain], stays: bool
) -> None:
    pipe.applies = False
    waiting = drain(100)
    said: list[str] = []
    waiting.say = said.append
    waiting.blocked = lambda: Obstacle("the mapping is off", stays)
    with pytest.raises(NotDrained, match="the mapping is off") as told:
        waiting.wait()
    assert ("after 2 minutes" in str(told.value), bool(said)) == (not stays, not stays)


def test_the_mark_of_an_earlier_request_of_the_key_proves_nothing(
    emulator: Emulator, pipe: Pipe, drain: Callable[[float], Drain], table: str
) -> None:
    """Every key has an old mark already, and the pipe applies nothing."""
    pipe.applies = False
    waiting = drain(20)
    dynamodb = emulator.client("dynamodb")

    def old_marks(pause: float) -> None:
        pipe.work(pause)
        for data in pipe.archived:
            key = json.loads(data)["key"]
            item: Any = {"pk": {"S": key}, "marks": {"M": {"shard": {"S": "1/0/1/0/0"}}}}
            dynamodb.put_item(TableName=table, Item=item)

    waiting.sleep = old_marks
    with pytest.raises(NotDrained, match="not applied"):
        waiting.wait()


class Busy:
    """A client of Kinesis whose shards others read so often that each first read is refused."""

    def __init__(self, kinesis: Any) -> None:
        self._kinesis = kinesis
        self._refused: set[str] = set()
        self.refusals = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kinesis, name)

    def get_records(self, **asked: Any) -> Any:
        if asked["ShardIterator"] not in self._refused:
            self._refused.add(asked["ShardIterator"])
            self.refusals += 1
            error: Any = {"Error": {"Code": "ProvisionedThroughputExceededException", "Message": "Rate exceeded"}}
            raise self._kinesis.exceptions.ProvisionedThroughputExceededException(error, "GetRecords")
        return self._kinesis.get_records(**asked)


def test_a_shard_that_others_read_too_is_asked_again(drain: Callable[[float], Drain], emulator: Emulator) -> None:
    waiting = drain(120)
    waiting.kinesis = busy = cast("Any", Busy(emulator.client("kinesis")))
    assert waiting.wait() == 1
    assert busy.refusals


def test_a_shard_that_opens_behind_the_last_probes_is_waited_for_too(
    emulator: Emulator, pipe: Pipe, drain: Callable[[float], Drain], stream: str
) -> None:
    """An on-demand stream splits by itself: what rules emit then stands on the new shards."""
    waiting = drain(10_000)
    split = [True]

    def split_once(pause: float) -> None:
        pipe.work(pause)
        if split and len(pipe.archived) >= 2:
            split.clear()
            kinesis = emulator.client("kinesis")
            shards = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]["OpenShardCount"]
            kinesis.update_shard_count(StreamName=stream, TargetShardCount=2 * shards, ScalingType="UNIFORM_SCALING")
        if not split:
            pipe.follow()

    waiting.sleep = split_once
    assert waiting.wait() > 1
