"""AWS's own libraries for producers and consumers, the KPL and the KCL, as they come. Run by `make test-ecosystem`."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ecosystem.secured import secured
from tidemill import Replies, reply_queue
from tidemill.contract.aggregation import MAGIC
from tidemill_local.emulator import Emulator
from tidemill_local.patches.kinesis.shard_state import HASH_KEYS
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(900)
Becomes = Callable[..., bool]
JAVA = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1"]
KCL_SECONDS = 120
"""In which the KCL, which has intervals of its own, finds what is new."""

REQUESTS = 700


class Consumer:
    """The KCL at work on a stream; `said` are its lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.said: list[str] = []
        self._process = process
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line.strip())

    @property
    def records(self) -> list[str]:
        """Of each record that it was given its partition key and data, in that order."""
        return [line.removeprefix("record ") for line in self.said if line.startswith("record ")]

    def close(self) -> None:
        """Have it give its leases back, and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait(60):
            raise AssertionError(f"the KCL ended with {self._process.returncode}")
        self._listener.join()


@contextmanager
def consuming(command: list[str], environment: dict[str, str]) -> Iterator[Consumer]:
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Consumer(process)
        finally:
            process.kill()


def environment(emulator: Emulator) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **emulator.environment}


@pytest.mark.parametrize(("retrieval", "wire"), [("fan-out", "cbor"), ("polling", "json")])
def test_the_kcl_reads_each_record_once_through_a_split_and_a_merge(
    libraries: Path, emulator: Emulator, becomes: Becomes, retrieval: str, wire: str
) -> None:
    kinesis: Any = emulator.client("kinesis")
    stream = application = f"kcl-{retrieval}"
    kinesis.create_stream(StreamName=stream, ShardCount=2)
    sent: list[str] = []

    def put() -> None:
        following = [(f"key-{n % 7}", str(n)) for n in range(len(sent), len(sent) + 20)]
        records = [{"PartitionKey": key, "Data": data.encode()} for key, data in following]
        assert kinesis.put_records(StreamName=stream, Records=records)["FailedRecordCount"] == 0
        sent.extend(f"{key} {data}" for key, data in following)

    put()
    cbor = f"-Daws.cborEnabled={str(wire == 'cbor').lower()}"
    command = [*JAVA, cbor, "-cp", f"{libraries}:{libraries}/lib/*", "Consume", stream, application, retrieval]
    first, second, *children = (f"shardId-{number:012d}" for number in range(5))
    with consuming(command, environment(emulator)) as consumer:
        assert becomes(lambda: len(consumer.records) >= len(sent), KCL_SECONDS), consumer.said
        kinesis.split_shard(StreamName=stream, ShardToSplit=first, NewStartingHashKey=str(HASH_KEYS // 4))
        put()
        assert becomes(lambda: f"begins {children[1]}" in consumer.said, KCL_SECONDS), consumer.said
        kinesis.merge_shards(StreamName=stream, ShardToMerge=children[1], AdjacentShardToMerge=second)
        put()
        assert becomes(lambda: len(consumer.records) >= len(sent), KCL_SECONDS), consumer.said
        assert becomes(lambda: f"ends {second}" in consumer.said, KCL_SECONDS), consumer.said
        consumer.close()
    assert sorted(consumer.records) == sorted(sent)
    for key in range(7):
        assert [one for one in consumer.records if one.startswith(f"key-{key} ")] == sent[key::7]
    assert next(line for line in consumer.said if line.startswith("ends")) == f"ends {first}"
    assert consumer.said.index(f"ends {first}") < consumer.said.index(f"begins {children[0]}")
    assert consumer.said.index(f"ends {children[1]}") < consumer.said.index(f"begins {children[2]}")
    assert not [line for line in consumer.said if line.startswith("failed")]
    leases = emulator.client("dynamodb").scan(TableName=application)["Items"]
    ends = {one["leaseKey"]["S"]: one["checkpoint"]["S"] for one in leases if "checkpoint" in one}
    assert {children[0], children[2]} <= set(ends)
    assert "SHARD_END" not in {ends[children[0]], ends[children[2]]}


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(0, {"BatchingWindowSeconds": "1", "ShardCount": "2"}) as running:
        yield running


def test_what_the_kpl_aggregates_is_applied_once_and_answered(
    libraries: Path, platform: Platform, becomes: Becomes, tmp_path: Path
) -> None:
    emulator, outputs = platform.emulator, platform.outputs
    stream, port = outputs["StreamName"], int(emulator.endpoint_url.rpartition(":")[2])
    with (
        reply_queue(outputs["RepliesTopicArn"], hears="kpl", client_of=emulator.client) as queue,
        Replies(queue, sqs=emulator.client("sqs")) as replies,
        secured(port, tmp_path) as front,
    ):
        command = [*JAVA, "-cp", f"{libraries}:{libraries}/lib/*", "Produce", stream, str(front.port)]
        command += [str(front.authority), str(tmp_path), str(REQUESTS)]
        done = subprocess.run(
            command, env=environment(emulator), capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-2_000:]
        arrived, _, _, records, _ = done.stdout.split()
        assert (int(arrived), int(records) < REQUESTS / 10) == (REQUESTS, True)
        heard: dict[str, str] = {}

        def all_heard() -> bool:
            heard.update((reply.id, reply.status) for reply in replies.poll(1))
            return len(heard) >= REQUESTS

        assert becomes(all_heard, 60)
    assert heard == {f"kpl-{n}": "accepted" for n in range(REQUESTS)}
    table: Any = emulator.client("dynamodb")
    for number in range(7):
        item = table.get_item(TableName=outputs["TableName"], Key={"pk": {"S": f"content/{number}"}})["Item"]
        assert item["doc"] == {"M": {"views": {"N": str(REQUESTS // 7)}}}
    assert {one[:4] for one in stored(emulator, stream) if not one.startswith(b"{")} == {MAGIC}
    quarantined = emulator.client("s3").list_objects_v2(Bucket=outputs["QuarantineBucketName"])
    assert quarantined["KeyCount"] == 0


def stored(emulator: Emulator, stream: str) -> list[bytes]:
    kinesis: Any = emulator.client("kinesis")
    found: list[bytes] = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        start = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        found += [one["Data"] for one in kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]]
    return found
