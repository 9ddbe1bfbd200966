"""What tests of the connector against the local platform need: its built jar, and streams that they fill and read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tree import ROOT
from tidemill.contract.aggregation import UserRecord, pack, unpack
from tidemill.contract.lanes import hash_key, lane_of, partition_key
from tidemill_local.emulator import Emulator

CONNECTOR = ROOT / "analytics_sql" / "connector" / "target"
JAR = CONNECTOR / "tidemill-flink-connector.jar"
JAVA = ["java", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
START_SECONDS = 60


class Job:
    """Statements of Flink SQL in a process of their own, which can be killed and started again from its checkpoints.

    Args:
        sql: the statements, separated by empty lines.
        folder: where its checkpoints and its log are.
        parallelism: how many subtasks each part has.
    """

    def __init__(self, sql: str, folder: Path, parallelism: int) -> None:
        self._file = folder / "job.sql"
        self._file.write_text(sql)
        self._checkpoints = folder / "checkpoints"
        self._log = folder / "log"
        self.parallelism = parallelism
        self.environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, from_checkpoint: bool = False) -> None:
        """Starts it, and waits until it is submitted."""
        options = {
            "parallelism.default": str(self.parallelism),
            "rest.bind-address": "127.0.0.1",
            "rest.bind-port": "0",
            "execution.checkpointing.interval": "500 ms",
            "execution.checkpointing.dir": self._checkpoints.as_uri(),
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        }
        if from_checkpoint:
            options["execution.state-recovery.path"] = self.checkpoints[-1].as_uri()
        classes = [CONNECTOR / "test-classes", JAR, (CONNECTOR / "test-classpath").read_text()]
        command = [
            *JAVA,
            f"-Djava.io.tmpdir={self._file.parent}",
            "-cp",
            ":".join(map(str, classes)),
            "tidemill.flink.local.RunSql",
            str(self._file),
        ]
        with self._log.open("ab") as log:
            start = log.tell()
            self._process = subprocess.Popen(
                command + [f"{name}={value}" for name, value in options.items()],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment,
            )
        deadline = time.monotonic() + START_SECONDS
        while b"running" not in self._log.read_bytes()[start:]:
            assert self.runs, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    @property
    def checkpoints(self) -> list[Path]:
        """Its complete checkpoints, oldest first."""
        found = self._checkpoints.glob("*/chk-*/_metadata")
        return sorted((one.parent for one in found), key=lambda one: one.stat().st_mtime)

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """Ends it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Counted:
    """A stream, and what a job writes to another: the test's two ends.

    Args:
        emulator: where they are.
        name: the begin of their names.
        shards: shards of the stream.
    """

    def __init__(self, emulator: Emulator, name: str, shards: int) -> None:
        self.url = emulator.endpoint_url
        self.kinesis = emulator.client("kinesis")
        self.name, self._results = name, f"{name}-results"
        self.kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        self.kinesis.create_stream(StreamName=self._results, ShardCount=1)
        self._iterator = self.kinesis.get_shard_iterator(
            StreamName=self._results, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        self._numbers: dict[str, int] = {}
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._copies: list[tuple[str, dict[str, Any]]] = []
        self.results: list[dict[str, Any]] = []

    def arn(self, stream: str) -> str:
        summary = self.kinesis.describe_stream_summary(StreamName=stream)
        arn: str = summary["StreamDescriptionSummary"]["StreamARN"]
        return arn

    def passed_on(self, url: str) -> str:
        """Each request written to the other stream as it is, by way of another address."""
        columns = "(`key` STRING, n BIGINT)"
        both = "'connector' = 'tidemill-kinesis', 'format' = 'json', 'source.init.position' = 'TRIM_HORIZON'"
        return f"""
CREATE TABLE requests {columns} WITH ({both}, 'stream.arn' = '{self.arn(self.name)}', 'aws.endpoint' = '{self.url}')

CREATE TABLE copies {columns} WITH ({both}, 'stream.arn' = '{self.arn(self._results)}', 'aws.endpoint' = '{url}',
  'sink.flush-buffer.timeout' = '0 ms')

INSERT INTO copies SELECT * FROM requests
"""

    def copies(self) -> list[tuple[str, dict[str, Any]]]:
        """Reads on what the job wrote. Returns all of it in its order: records' partition keys, and requests."""
        answer = self.kinesis.get_records(ShardIterator=self._iterator)
        self._iterator = answer["NextShardIterator"]
        for record in answer["Records"]:
            self._copies += [(record["PartitionKey"], json.loads(one.data)) for one in unpack(record["Data"])]
        return self._copies

    def sql(self, watermark: str, beginning: str = "TRIM_HORIZON") -> str:
        """Counts of each key a second, by arrival, written to the other stream."""
        both = f"'connector' = 'tidemill-kinesis', 'aws.endpoint' = '{self.url}', 'format' = 'json'"
        return f"""
CREATE TABLE requests (
  `key` STRING, n BIGINT, arrival TIMESTAMP_LTZ(3) METADATA VIRTUAL,
  WATERMARK FOR arrival AS {watermark}
) WITH ({both}, 'stream.arn' = '{self.arn(self.name)}', 'source.init.position' = '{beginning}',
  'source.shard.discovery.interval' = '1 s', 'source.shard.get-records.interval' = '250 ms')

CREATE TABLE counts (`key` STRING, `second` BIGINT, `count` BIGINT, `sum` BIGINT)
  WITH ({both}, 'stream.arn' = '{self.arn(self._results)}')

INSERT INTO counts
  SELECT `key`, UNIX_TIMESTAMP(CAST(window_start AS STRING)), COUNT(*), SUM(n)
  FROM TABLE(TUMBLE(TABLE requests, DESCRIPTOR(arrival), INTERVAL '1' SECOND))
  GROUP BY `key`, window_start, window_end
"""

    def send(self, keys: int = 40) -> None:
        """Puts one request of each key, in an aggregate for each lane; each key's requests are numbered from 0."""
        lanes: dict[int, list[UserRecord]] = {}
        for number in range(keys):
            key = f"content/{number}"
            n = self._numbers[key] = self._numbers.get(key, -1) + 1
            record = UserRecord(key, json.dumps({"key": key, "n": n}).encode(), hash_key(lane_of(key)))
            lanes.setdefault(lane_of(key), []).append(record)
        entries = [
            {"Data": pack(records), "PartitionKey": partition_key(lane), "ExplicitHashKey": hash_key(lane)}
            for lane, records in lanes.items()
        ]
        while entries:
            answer = self.kinesis.put_records(StreamName=self.name, Records=entries)["Records"]
            entries = [entry for entry, result in zip(entries, answer, strict=True) if result.get("ErrorCode")]

    def split(self, shard: str, start: int) -> None:
        """Splits a shard where the second half of its keys is to start."""
        self.kinesis.split_shard(StreamName=self.name, ShardToSplit=shard, NewStartingHashKey=str(start))

    def start(self) -> None:
        """Goes on sending, in a thread."""
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def _go_on(self) -> None:
        while not self._stopped.wait(0.1):
            self.send()

    def stop(self) -> None:
        """Sends no more."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def sent(self) -> int:
        """Number of requests that were put."""
        return sum(n + 1 for n in self._numbers.values())

    def read(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Reads on what the job wrote. Returns (key, second) -> (count, sum) of all of it.

        A window that comes again is the same again.
        """
        answer = self.kinesis.get_records(ShardIterator=self._iterator)
        self._iterator = answer["NextShardIterator"]
        for record in answer["Records"]:
            self.results += [json.loads(one.data) for one in unpack(record["Data"])]
        found: dict[tuple[str, int], tuple[int, int]] = {}
        for row in self.results:
            value = row["count"], row["sum"]
            assert found.setdefault((row["key"], row["second"]), value) == value, "a window changed"
        return found

    def counted(self) -> int:
        """How many requests the windows have, each window once."""
        return sum(count for count, _ in self.read().values())


@pytest.fixture
def counted(emulator: Emulator, names: Callable[[str], str]) -> Iterator[Callable[[int], Counted]]:
    """Makes a stream of so many shards to send to, and one to read from."""
    made: list[Counted] = []

    def make(shards: int) -> Counted:
        made.append(Counted(emulator, names("counted"), shards))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Callable[[str, int], Job]]:
    """Makes a job of statements and a parallelism; skipped without Java or the built connector."""
    if not shutil.which("java"):
        pytest.skip("there is no java: apt-get install openjdk-17-jdk-headless")
    if not JAR.exists():
        pytest.skip("the connector is not built: make connector")
    made: list[Job] = []

    def make(sql: str, parallelism: int) -> Job:
        made.append(Job(sql, tmp_path, parallelism))
        return made[-1]

    yield make
    for one in made:
        one.kill()
