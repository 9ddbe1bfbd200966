"""A mapping at work on the emulator's streams, with handlers in this process."""

import base64
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as ThreadEvent
from typing import Any

import pytest

from tidemill_event_source import EventSource, InvalidMapping, MappingConfig, in_process
from tidemill_event_source.checkpoints import Checkpoints
from tidemill_event_source.decisions.batches import InvocationResponse
from tidemill_event_source.decisions.checkpoint import Checkpoint, Start
from tidemill_event_source.decisions.shard import Shard
from tidemill_event_source.files import UnreadableFile
from tidemill_event_source.shard_reader import Page
from tidemill_local.emulator import Emulator

Becomes = Callable[[Callable[[], bool]], bool]


class Stream:
    """A stream of the emulator, and what a handler saw of it."""

    def __init__(self, emulator: Emulator, shards: int) -> None:
        self.kinesis = emulator.client("kinesis")
        self.name = f"source-{uuid.uuid4().hex[:8]}"
        self.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        described = self.kinesis.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]
        self.arn: str = described["StreamARN"]
        self.seen: list[tuple[str, int]] = []

    def put(self, numbers: range, keys: int = 5) -> None:
        entries = [{"PartitionKey": f"key-{n % keys}", "Data": str(n).encode()} for n in numbers]
        for first in range(0, len(entries), 500):
            answer = self.kinesis.put_records(StreamName=self.name, Records=entries[first : first + 500])
            assert answer["FailedRecordCount"] == 0

    def handler(self, event: Any, context: object) -> None:
        for record in event["Records"]:
            data = base64.b64decode(record["kinesis"]["data"])
            self.seen.append((record["kinesis"]["partitionKey"], int(data)))

    def source(self, path: Path | None = None, handler: Any = None, **options: Any) -> EventSource:
        config = MappingConfig(self.arn, **options)
        return EventSource(self.kinesis, in_process(handler or self.handler), config, checkpoints=path)

    @property
    def numbers(self) -> list[int]:
        return sorted(n for _, n in list(self.seen))

    def in_order(self) -> bool:
        by_key: dict[str, list[int]] = defaultdict(list)
        for key, n in self.seen:
            by_key[key].append(n)
        return all(numbers == sorted(numbers) for numbers in by_key.values())


@pytest.fixture
def make_stream(emulator: Emulator) -> Iterator[Callable[[int], Stream]]:
    made: list[Stream] = []

    def make(shards: int = 1) -> Stream:
        made.append(Stream(emulator, shards))
        return made[-1]

    yield make
    for stream in made:
        stream.kinesis.delete_stream(StreamName=stream.name)


def test_each_record_is_delivered_once_and_a_key_s_in_order(
    make_stream: Callable[[int], Stream], becomes: Becomes
) -> None:
    stream = make_stream(3)
    stream.put(range(700))
    with stream.source(batch_size=100) as source:
        assert becomes(lambda: source.counts.records >= 700)
        stream.put(range(700, 800))
        assert becomes(lambda: source.counts.records >= 800)
    assert stream.numbers == list(range(800))
    assert stream.in_order()
    assert source.waiting == 0
    assert source.counts.errors == source.counts.discarded == 0
    assert source.counts.last_result == "OK"
    assert source.counts.iterator_age < 60


def test_what_fails_while_it_stops_is_not_told(
    make_stream: Callable[[int], Stream], becomes: Becomes, caplog: pytest.LogCaptureFixture
) -> None:
    stream = make_stream(1)
    stream.put(range(3))
    in_flight, stopped = ThreadEvent(), ThreadEvent()
    calls: list[bytes] = []

    def invoke(event: bytes) -> InvocationResponse:
        calls.append(event)
        if len(calls) > 1:
            in_flight.set()
            stopped.wait(30)
        return InvocationResponse(invoked=False, trouble=f"call {len(calls)} failed")

    with EventSource(stream.kinesis, invoke, MappingConfig(stream.arn)) as source:
        assert in_flight.wait(30)
        assert not source.stop(0)
        stopped.set()
    assert [record.message for record in caplog.records] == ["call 1 failed"]


def test_a_failing_handler_is_retried_and_counted(make_stream: Callable[[int], Stream], becomes: Becomes) -> None:
    stream = make_stream(1)
    stream.put(range(3))
    tries: list[int] = []

    def handler(event: Any, context: object) -> None:
        tries.append(len(event["Records"]))
        if len(tries) < 3:
            raise RuntimeError("not yet")
        stream.handler(event, context)

    with stream.source(handler=handler) as source:
        assert becomes(lambda: source.counts.records >= 3)
    assert tries == [3, 3, 3]
    assert (source.counts.invocations, source.counts.errors) == (3, 2)


def test_latest_begins_with_what_comes_after_and_a_restart_skips_nothing(
    make_stream: Callable[[int], Stream], becomes: Becomes, tmp_path: Path
) -> None:
    stream = make_stream(2)
    stream.put(range(10))
    path = tmp_path / "checkpoints.json"
    with stream.source(path, starting_position="LATEST"):
        # It has begun once the shards stand in the file; nothing was read that could be told of.
        assert becomes(path.exists)
        time.sleep(0.3)
    stream.put(range(10, 30))
    with stream.source(path, starting_position="LATEST") as source:
        assert becomes(lambda: source.counts.records >= 20)
        stream.put(range(30, 40))
        assert becomes(lambda: source.counts.records >= 30)
    assert stream.numbers == list(range(10, 40))


def test_at_timestamp_begins_there(make_stream: Callable[[int], Stream], becomes: Becomes) -> None:
    stream = make_stream(1)
    stream.put(range(5))
    time.sleep(0.05)
    begin = time.time()
    stream.put(range(5, 10))
    with stream.source(starting_position="AT_TIMESTAMP", starting_timestamp=begin) as source:
        assert becomes(lambda: source.counts.records >= 5)
    assert stream.numbers == list(range(5, 10))


def test_it_goes_on_where_the_last_one_stood(
    make_stream: Callable[[int], Stream], becomes: Becomes, tmp_path: Path
) -> None:
    stream = make_stream(2)
    path = tmp_path / "checkpoints.json"
    for first in (0, 50, 100):
        stream.put(range(first, first + 50))
        with stream.source(path, batch_size=20, parallelization_factor=3) as source:
            assert becomes(lambda source=source: source.counts.records >= 50)  # type: ignore[misc] # mypy and defaults
    assert stream.numbers == list(range(150))
    assert stream.in_order()


def test_another_factor_repeats_nothing_of_what_was_done_ahead(
    make_stream: Callable[[int], Stream], becomes: Becomes, tmp_path: Path
) -> None:
    stream, path, release = make_stream(1), tmp_path / "checkpoints.json", ThreadEvent()
    stream.put(range(60), keys=12)

    def handler(event: Any, context: object) -> None:
        if any(record["kinesis"]["partitionKey"] == "key-0" for record in event["Records"]):
            release.wait(30)
            raise RuntimeError("this key holds the checkpoint back")
        stream.handler(event, context)

    with stream.source(path, handler, batch_size=5, parallelization_factor=4):
        assert becomes(lambda: len(stream.seen) > 20)
        release.set()
    with stream.source(path, batch_size=5, parallelization_factor=3):
        assert becomes(lambda: len(set(stream.numbers)) == 60)
    assert stream.numbers == list(range(60))


def test_a_stream_deleted_and_made_again_is_read_from_its_begin(
    make_stream: Callable[[int], Stream], becomes: Becomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_event_source.source.DISCOVERY_SECONDS", 0.2)
    stream = make_stream(1)
    with stream.source() as source:
        stream.put(range(5))
        assert becomes(lambda: source.counts.records == 5)
        stream.kinesis.delete_stream(StreamName=stream.name)
        stream.kinesis.create_stream(StreamName=stream.name, ShardCount=1)
        stream.put(range(5, 10))
        assert becomes(lambda: source.counts.records == 10)
    assert stream.numbers == list(range(10))


def test_an_invocation_that_hangs_is_not_waited_for_longer_than_patience_allows(
    make_stream: Callable[[int], Stream], becomes: Becomes
) -> None:
    stream, begun, release = make_stream(1), ThreadEvent(), ThreadEvent()
    stream.put(range(1))

    def handler(event: Any, context: object) -> None:
        begun.set()
        release.wait(30)

    source = stream.source(handler=handler)
    source.start()
    assert begun.wait(10)
    assert source.stop(0.0) is False
    release.set()
    assert source.stop() is True


def test_a_shard_that_fails_unforeseen_is_begun_again_at_its_checkpoint(
    make_stream: Callable[[int], Stream], becomes: Becomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, took, failures = make_stream(1), Shard.took, [MemoryError("no room"), MemoryError("no room")]

    def failing(shard: Shard, page: Page, now: float) -> None:
        if page.records and failures:
            raise failures.pop()
        took(shard, page, now)

    monkeypatch.setattr(Shard, "took", failing)
    stream.put(range(5))
    with stream.source() as source:
        assert becomes(lambda: source.counts.records == 5)
    assert stream.numbers == list(range(5))


def test_another_stream_of_the_same_name_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.json"
    first = Checkpoints(path)
    first.load("stream made on Monday")
    first.save("shard-0", Checkpoint(Start("TRIM_HORIZON"), after="7"))
    second = Checkpoints(path)
    second.load("stream made on Monday")
    assert second.all["shard-0"].after == "7"
    second.load("stream made on Tuesday")
    assert second.all == {}


def test_a_file_that_holds_no_checkpoints_is_named(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.json"
    path.write_text("{")
    with pytest.raises(UnreadableFile, match=r"checkpoints\.json holds no checkpoints .* delete it to begin"):
        Checkpoints(path).load("any")


def test_a_destination_that_nothing_tells_is_refused(emulator: Emulator) -> None:
    config = MappingConfig("arn:aws:kinesis:us-east-1:000000000000:stream/s", on_failure="arn:aws:sqs:us-east-1:0:q")
    with pytest.raises(InvalidMapping, match="nothing tells arn:aws:sqs"):
        EventSource(emulator.client("kinesis"), in_process(print), config)


def test_shards_split_and_merged_while_it_runs_lose_nothing_and_keep_order(
    make_stream: Callable[[int], Stream], becomes: Becomes
) -> None:
    stream = make_stream(1)
    kinesis = stream.kinesis
    with stream.source(batch_size=50) as source:
        stream.put(range(100), keys=20)
        kinesis.split_shard(StreamName=stream.name, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
        stream.put(range(100, 200), keys=20)
        kinesis.merge_shards(
            StreamName=stream.name,
            ShardToMerge="shardId-000000000001",
            AdjacentShardToMerge="shardId-000000000002",
        )
        stream.put(range(200, 300), keys=20)
        assert becomes(lambda: source.counts.records >= 300)
    assert stream.numbers == list(range(300))
    assert stream.in_order()


def test_a_table_s_stream(emulator: Emulator, becomes: Becomes) -> None:
    dynamodb = emulator.client("dynamodb")
    name = f"table-{uuid.uuid4().hex[:8]}"
    made = dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    arn = made["TableDescription"]["LatestStreamArn"]
    seen: list[Any] = []

    def handler(event: Any, context: object) -> None:
        seen.extend(event["Records"])

    for n in range(3):
        dynamodb.put_item(TableName=name, Item={"pk": {"S": "a"}, "n": {"N": str(n)}, "b": {"B": b"\x00\xff"}})
    dynamodb.delete_item(TableName=name, Key={"pk": {"S": "a"}})
    source = EventSource(emulator.client("dynamodbstreams"), in_process(handler), MappingConfig(arn))
    with source:
        assert becomes(lambda: len(seen) >= 4)
    dynamodb.delete_table(TableName=name)
    assert [one["eventName"] for one in seen] == ["INSERT", "MODIFY", "MODIFY", "REMOVE"]
    change = seen[1]["dynamodb"]
    assert change["Keys"] == {"pk": {"S": "a"}}
    assert change["NewImage"] == {"pk": {"S": "a"}, "n": {"N": "1"}, "b": {"B": "AP8="}}
    assert change["OldImage"]["n"] == {"N": "0"}
    assert isinstance(change["ApproximateCreationDateTime"], float)
    assert seen[1]["eventSource"] == "aws:dynamodb"
    assert seen[1]["eventSourceARN"] == arn


WORKER = """
import base64, os, sys, time
import boto3
from tidemill_event_source import EventSource, MappingConfig, in_process
from pathlib import Path

arn, checkpoints, log = sys.argv[1:4]
out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def handler(event, context):
    lines = [base64.b64decode(record["kinesis"]["data"]).decode() + "\\n" for record in event["Records"]]
    os.write(out, "".join(lines).encode())
    time.sleep(0.1)

config = MappingConfig(arn, batch_size=20)
EventSource(boto3.client("kinesis"), in_process(handler), config, checkpoints=Path(checkpoints)).start()
time.sleep(60)
"""


def test_killed_and_restarted_amid_a_stream_it_skips_nothing_and_repeats_what_was_in_flight_only(
    make_stream: Callable[[int], Stream], emulator: Emulator, becomes: Becomes, tmp_path: Path
) -> None:
    shards, batch, kills, count = 4, 20, 6, 2_000
    stream = make_stream(shards)
    stream.put(range(count), keys=40)
    log = tmp_path / "delivered"
    dice = random.Random(7)
    command = [sys.executable, "-c", WORKER, stream.arn, str(tmp_path / "checkpoints.json"), str(log)]
    environment = {"PATH": os.environ["PATH"], **emulator.environment}

    def delivered() -> list[int]:
        return [int(line) for line in log.read_text().splitlines()] if log.exists() else []

    for _ in range(kills):
        stood = len(delivered())
        with subprocess.Popen(command, env=environment) as worker:
            assert becomes(lambda stood=stood: len(delivered()) > stood)  # type: ignore[misc] # mypy and defaults
            time.sleep(dice.uniform(0.0, 0.3))
            worker.send_signal(signal.SIGKILL)
    before = len(set(delivered()))
    with subprocess.Popen(command, env=environment) as worker:
        assert becomes(lambda: len(set(delivered())) == count)
        worker.kill()
    assert before < count, "it was killed amid the stream"
    assert set(delivered()) == set(range(count))
    assert len(delivered()) - count <= kills * shards * batch
