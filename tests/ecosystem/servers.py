"""The event source alone, against others' emulators of Kinesis. Run by `make test-ecosystem`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.ecosystem.serving import free_port, serving
from tidemill_local import EventSource, MappingConfig, in_process

pytestmark = pytest.mark.timeout(900)
Becomes = Callable[[Callable[[], bool]], bool]


@contextmanager
def kinesalite(folder: Path) -> Iterator[str]:
    port = free_port()
    with serving([str(folder / "node_modules/.bin/kinesalite"), "--port", str(port)], port) as url:
        yield url


@contextmanager
def kinesis_mock(folder: Path) -> Iterator[str]:
    port, tls = free_port(), free_port()
    ports = {"KINESIS_MOCK_PLAIN_PORT": str(port), "KINESIS_MOCK_TLS_PORT": str(tls), "LOG_LEVEL": "ERROR"}
    package = folder / "node_modules" / "kinesis-local"  # it reads files beside it
    with serving(["node", "main.js"], port, package, ports) as url:
        yield url


def delivered(url: str, becomes: Becomes) -> list[bytes]:
    """What a handler gets of a stream of two shards there."""
    kinesis: Any = boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}),
    )
    kinesis.create_stream(StreamName="orders", ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName="orders", WaiterConfig={"Delay": 1})
    arn = kinesis.describe_stream_summary(StreamName="orders")["StreamDescriptionSummary"]["StreamARN"]
    records = [{"Data": b"%d" % n, "PartitionKey": f"key-{n}"} for n in range(20)]
    assert kinesis.put_records(StreamName="orders", Records=records)["FailedRecordCount"] == 0
    seen: list[bytes] = []

    def handler(event: Any, context: object) -> None:
        seen.extend(base64.b64decode(record["kinesis"]["data"]) for record in event["Records"])

    with EventSource(kinesis, in_process(handler), MappingConfig(arn)):
        assert becomes(lambda: len(seen) >= 20)
    kinesis.close()
    return sorted(seen, key=int)


WANTED = [b"%d" % n for n in range(20)]


def test_kinesalite(node: Path, becomes: Becomes) -> None:
    with kinesalite(node) as url:
        assert delivered(url, becomes) == WANTED


def test_kinesis_mock(node: Path, becomes: Becomes) -> None:
    with kinesis_mock(node) as url:
        assert delivered(url, becomes) == WANTED


def test_moto(moto: Path, becomes: Becomes) -> None:
    port = free_port()
    with serving([str(moto), "-H", "127.0.0.1", "-p", str(port)], port) as url:
        assert delivered(url, becomes) == WANTED
