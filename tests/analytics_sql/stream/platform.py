"""The stage against the local platform: views come to their documents as totals, exactly, through kills and new starts.

`make test-flink` runs it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.analytics_sql.stream.conftest import PYTHON
from tests.processes import running
from tests.tree import ROOT
from tidemill import Producer
from tidemill_consumers.codec.items import from_item
from tidemill_local.clients import EmulatorSession
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(600)

JAR = ROOT / "analytics_sql" / "connector" / "target" / "tidemill-flink-connector.jar"
KEYS = [f"content/{one}" for one in range(3)]
SECONDS = 120


@pytest.fixture(scope="module", autouse=True)
def needed() -> None:
    if not shutil.which("java"):
        pytest.skip("there is no java: apt-get install openjdk-17-jre-headless")
    if not PYTHON.exists():
        pytest.skip("there is no environment with PyFlink: make analytics-env")
    if not JAR.exists():
        pytest.skip("the connector is not built: make connector")


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    # One of the shards is idle: it has none of the keys, and holds nothing back.
    parameters = {"Analytics": "on", "AnalyticsPeriods": "1-", "ShardCount": "8", "BatchingWindowSeconds": "0"}
    with Platform(0, parameters) as started:
        yield started


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(platform: Platform) -> Iterator[Start]:
    """Starts `tidemill analytics run`, and waits until it runs."""
    started: list[subprocess.Popen[str]] = []

    def begin(*more: str) -> subprocess.Popen[str]:
        given = ["--window", "2", "--checkpoints", "1", "--heap", "320", *more]
        process = subprocess.Popen(
            [Path(sys.executable).with_name("tidemill"), "analytics", "run", *given],
            env={**os.environ, **platform.emulator.environment, "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            if line.startswith("running"):
                return process
        pytest.fail("".join(told))

    yield begin
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def view(platform: Platform) -> Iterator[Callable[[int], None]]:
    """Views each content so many times."""
    kinesis = platform.emulator.client("kinesis")
    with Producer(platform.outputs["StreamName"], client="ann", kinesis=kinesis) as producer:

        def send(times: int) -> None:
            for _ in range(times):
                for key in KEYS:
                    producer.send("content.view", key=key)
            producer.flush()

        yield send


def stored(dynamodb: Any, table: str, key: str) -> Any:
    found = dynamodb.get_item(TableName=table, Key={"pk": {"S": key}})
    return from_item(found["Item"]).document if "Item" in found else None


def document(platform: Platform, key: str) -> Any:
    return stored(platform.emulator.client("dynamodb"), platform.outputs["TableName"], key)


def becomes(platform: Platform, views: int) -> None:
    """Waits until each content has so many views; it never has more."""
    deadline = time.monotonic() + SECONDS
    while (found := [(document(platform, key) or {}).get("views", 0) for key in KEYS]) != [views] * len(KEYS):
        assert max(found) <= views
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def free_port() -> int:
    """A port that the platform can have twice: its address is part of what the stage goes on with."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def children(pid: int) -> list[int]:
    """The processes that a process started, and those that these did."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, found) for one in (child, *children(child))]


def test_totals_are_exact_through_a_kill_a_restart_and_a_start_without_state(
    platform: Platform, start: Start, view: Callable[[int], None], tmp_path: Path
) -> None:
    state = str(tmp_path / "state")
    view(100)
    job = start("--state", state)
    becomes(platform, 100)
    view(50)
    becomes(platform, 150)
    started = children(job.pid)
    assert len(started) == 2, "PyFlink and its JVM"
    job.kill()
    job.wait()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{one}").exists() for one in started):
        assert time.monotonic() < deadline, "they end with it"
        time.sleep(0.1)
    view(50)
    job = start("--state", state)
    becomes(platform, 200)
    job.send_signal(signal.SIGINT)
    assert job.wait(60) == 0
    view(10)
    start()
    becomes(platform, 210)
    view(10)
    becomes(platform, 220)
    top = document(platform, "top/1h")
    assert {one["key"] for one in top["top"]} == set(KEYS)
    s3, bucket = platform.emulator.client("s3"), platform.outputs["QuarantineBucketName"]
    assert s3.list_objects_v2(Bucket=bucket).get("KeyCount", 0) == 0


def test_a_platform_runs_a_stage_and_goes_on_with_it(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("tidemill")), "up", "--analytics", "--state", "kept", "--no-page"]
    command += ["--port", str(free_port()), "--parameter", "BatchingWindowSeconds=0"]
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}
    for views, begins in ((1, "counts from"), (2, "goes on from chk-")):
        with running(command, tmp_path, variables, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            told = ""
            while not told.endswith("running; Ctrl-C stops it\n"):
                told += (line := process.stdout.readline())
                assert line, told
            assert begins in told
            session = EmulatorSession(re.findall("AWS_ENDPOINT_URL=(.+)", told)[0], "test", "test")
            kinesis, table = session.client("kinesis"), re.findall("  TableName +(.+)", told)[0]
            with Producer(re.findall("  StreamName +(.+)", told)[0], kinesis=kinesis) as producer:
                producer.send("content.view", key=KEYS[0]).result(20)
            deadline = time.monotonic() + SECONDS
            while (seen := stored(session.client("dynamodb"), table, KEYS[0]) or {}).get("views", 0) < views:
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert seen["views"] == views
