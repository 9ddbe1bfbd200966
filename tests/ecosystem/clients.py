"""Other languages' clients, as they come, against the local platform. Run by `make test-ecosystem`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.signing_in import sign_in
from tidemill_deploy.template import template_path
from tidemill_local.deployment import Deployment, deploy
from tidemill_local.emulator import Emulator

pytestmark = pytest.mark.timeout(900)
SHARD = "shardId-000000000000"


@pytest.fixture(scope="module")
def deployment(emulator: Emulator) -> Deployment:
    return deploy(emulator, template_path(), {"ShardCount": "1"})


@pytest.fixture(scope="module")
def signed_in(emulator: Emulator, deployment: Deployment) -> dict[str, str]:
    """The environment of somebody who signed in."""
    ada = sign_in(emulator, deployment.outputs, "ada")
    keys = {"AWS_ACCESS_KEY_ID": ada.key, "AWS_SECRET_ACCESS_KEY": ada.secret, "AWS_SESSION_TOKEN": ada.token}
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "AWS_ENDPOINT_URL": emulator.endpoint_url, **keys}


@pytest.fixture
def root(emulator: Emulator) -> dict[str, str]:
    """The environment of the account's root."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **emulator.environment}


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def stored(emulator: Emulator, stream: str) -> list[bytes]:
    kinesis: Any = emulator.client("kinesis")
    start = kinesis.get_shard_iterator(StreamName=stream, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
    return [one["Data"] for one in kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]]


def test_nodes_kinesis_client_signed_in(
    node: Path, emulator: Emulator, deployment: Deployment, signed_in: dict[str, str]
) -> None:
    stream = deployment.outputs["StreamName"]
    assert run(["node", "put.mjs", stream], node, signed_in) == "0 h2\n"
    assert b'{"from":"sdk"}' in stored(emulator, stream)


def test_amplify_signed_in(node: Path, emulator: Emulator, deployment: Deployment, signed_in: dict[str, str]) -> None:
    stream = deployment.outputs["StreamName"]
    run(["node", "amplify.mjs", stream], node, signed_in)
    assert [one for one in stored(emulator, stream) if b'"n"' in one] == [
        b'{"cmd":"content.view","v":1,"n":%d}' % n for n in range(3)
    ]


def test_nodes_subscription(node: Path, emulator: Emulator, root: dict[str, str]) -> None:
    emulator.client("kinesis").create_stream(StreamName="fan-js", ShardCount=1)
    assert run(["node", "subscribe.mjs", "fan-js"], node, root) == "hello\n"


def test_javas_sdks_in_their_default_wire_format(java: Path, emulator: Emulator, root: dict[str, str]) -> None:
    emulator.client("kinesis").create_stream(StreamName="java", ShardCount=1)
    said = run(["java", "-cp", f"{java}:{java}/lib/*", "Wire", "java"], java, root)
    assert said.splitlines() == [
        "v1 created within the hour: true",
        "v1 one arrived within the hour: true",
        "v1 not found",
        "v2 one arrived within the hour: true",
        "v2 two arrived within the hour: true",
        "v2 not found",
        "v2 consumer created within the hour: true",
        "fan-out one true",
        "fan-out two true",
        "fan-out got both: true",
    ]
