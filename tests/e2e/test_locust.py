"""The Locust file, as Locust runs it: in a process of its own, for it patches the standard library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.tree import ROOT
from tidemill_local.clients import REGION, ROOT_KEY
from tidemill_local.platform import Platform

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(find_spec("locust") is None, reason="locust is not installed"),
]

LOCUSTFILE = ROOT / "producers" / "tidemill_load" / "locust" / "locustfile.py"
BATCH = 20


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(0, {"BatchingWindowSeconds": "1", "DirectEndpoint": "on"}) as running:
        yield running


@pytest.fixture
def refusing() -> Iterator[str]:
    """A Kinesis that answers 200 and takes all records of a call but the first."""

    class Kinesis(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}
            stored = {"ShardId": "shardId-000000000000", "SequenceNumber": "1"}
            answer = {"FailedRecordCount": 1, "Records": [refused, *[stored] * (len(asked["Records"]) - 1)]}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Kinesis) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def locust(endpoint: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # Calls under way at the end are waited for: the first one starts a function.
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--stop-timeout", "60"]
    aws = {"AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": REGION}
    keys = {"AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_KEY}
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **aws, **keys, **environment}
    return subprocess.run(
        [*command, "--batch", str(BATCH), *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def rows(done: subprocess.CompletedProcess[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Locust's statistics, by type and name."""
    return {(row["method"], row["name"]): row for row in json.loads(done.stdout)}


@pytest.mark.slow
def test_a_short_run_has_no_failures_and_hears_every_reply(platform: Platform, tmp_path: Path) -> None:
    done = locust(platform.emulator.endpoint_url, tmp_path, "-u", "3", "-r", "3", "-t", "3s", "--json")
    assert done.returncode == 0, done.stderr
    found = rows(done)
    assert not any(row["num_failures"] for row in found.values())
    assert found["POST", "direct"]["num_requests"] > 0
    for call in (("PutRecords", "plain"), ("send", "aggregated")):
        assert found["reply", call[1]]["num_requests"] == BATCH * found[call]["num_requests"] > 0
    queues = platform.emulator.client("sqs").list_queues(QueueNamePrefix="tidemill-locust-")
    assert not queues.get("QueueUrls"), "its queue is removed at the end"


def test_records_refused_within_a_call_are_failures(platform: Platform, refusing: str, tmp_path: Path) -> None:
    options = ("-u", "1", "-t", "2s", "--json", "--answers", "1", "Plain")
    done = locust(platform.emulator.endpoint_url, tmp_path, *options, AWS_ENDPOINT_URL_KINESIS=refusing)
    assert done.returncode == 1
    calls, replies = rows(done)["PutRecords", "plain"], rows(done)["reply", "plain"]
    assert calls["num_failures"] == calls["num_requests"] > 0
    assert replies["num_failures"] == replies["num_requests"] == BATCH * calls["num_requests"]
    for why in ("RefusedInPart('Provisioned", "NoAnswer('not on the stream: Provisioned"):
        assert why in done.stderr + done.stdout


def test_without_a_stack_it_says_what_to_do(platform: Platform, tmp_path: Path) -> None:
    done = locust(platform.emulator.endpoint_url, tmp_path, "-t", "1s", "--stack", "another")
    assert done.returncode == 1
    assert "no stack 'another' answers" in done.stderr
    assert "tidemill up" in done.stderr
