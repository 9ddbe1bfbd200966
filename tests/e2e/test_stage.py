"""The stack with a stream for the analytics stage: what is left to it, and what it brings, by the real functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tidemill import Producer, Replies, Reply, reply_queue
from tidemill.contract.request import Request, encode
from tidemill_consumers.codec.items import from_item
from tidemill_deploy.stack.draining import Drain
from tidemill_local.platform import Platform

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

GENERATION = "20260101T000000Z-abcdef"


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    parameters = {"Analytics": "on", "AnalyticsPeriods": "1-", "ShardCount": "1", "BatchingWindowSeconds": "0"}
    with Platform(0, parameters) as running:
        yield running


def window(key: str, number: int, total: int, generation: str = GENERATION) -> Request:
    """A request of a stage that has counted the views of a key."""
    name = f"{generation}/content.view"
    data = {"total": total, "of": number}
    return Request(
        id=f"{name}/{number}/{key}", cmd="content.view", key=key, writer=f"stage/{name}", counter=number, data=data
    )


def put(platform: Platform, stream: str, *requests: Request) -> None:
    platform.emulator.client("kinesis").put_records(
        StreamName=platform.outputs[stream],
        Records=[{"Data": encode(one), "PartitionKey": one.key or ""} for one in requests],
    )


def document(platform: Platform, key: str) -> object:
    found = platform.emulator.client("dynamodb").get_item(
        TableName=platform.outputs["TableName"], Key={"pk": {"S": key}}
    )
    return from_item(found["Item"]).document if "Item" in found else None


def send(platform: Platform, cmd: str, key: str, data: dict[str, str] | None = None) -> Reply:
    client, outputs = platform.emulator.client, platform.outputs
    with (
        reply_queue(outputs["RepliesTopicArn"], hears="ann", client_of=client) as queue,
        Replies(queue, sqs=client("sqs")) as replies,
        Producer(outputs["StreamName"], client="ann", kinesis=client("kinesis"), replies=replies) as producer,
    ):
        return producer.request(cmd, key=key, data=data or {}, timeout=60)


def test_views_are_left_to_the_stage_and_come_as_totals(
    platform: Platform, becomes: Callable[[Callable[[], bool]], bool]
) -> None:
    key = "content/7"
    assert send(platform, "content.view", key).status == "accepted"
    assert document(platform, key) is None, "nothing is applied before the stage brings it"
    assert send(platform, "content.publish", key, {"title": "A"}).status == "accepted"
    now = int(time.time())
    put(platform, "AggregatedStreamName", window(key, now - 20, 3), window(key, now - 10, 5), window(key, now - 20, 3))
    assert becomes(lambda: document(platform, key) == {"title": "A", "owner": "ann", "views": 5})
    anew = "20260102T000000Z-abcdef"
    put(platform, "AggregatedStreamName", window(key, now - 10, 2, anew), window(key, now, 6, anew))
    assert becomes(lambda: document(platform, key) == {"title": "A", "owner": "ann", "views": 9})


def test_on_the_clients_stream_nobody_is_the_stage(
    platform: Platform, becomes: Callable[[Callable[[], bool]], bool]
) -> None:
    put(platform, "StreamName", window("content/8", int(time.time()), 1_000_000))
    s3, bucket = platform.emulator.client("s3"), platform.outputs["QuarantineBucketName"]
    assert becomes(lambda: s3.list_objects_v2(Bucket=bucket).get("KeyCount", 0) == 1)
    assert document(platform, "content/8") is None


def test_all_that_the_stage_has_written_can_be_waited_for(platform: Platform) -> None:
    """As `tidemill destroy` does, by probes on the stage's stream, which has no archive."""
    client, outputs, key = platform.emulator.client, platform.outputs, "content/drained"
    number = int(time.time()) // 10 * 10
    put(platform, "AggregatedStreamName", *(window(key, number - 500 + 10 * one, one + 1) for one in range(40)))
    drain = Drain(
        client("kinesis"),
        client("dynamodb"),
        client("s3"),
        stream=outputs["AggregatedStreamName"],
        table=outputs["TableName"],
        bucket="",
        prefix="",
        within=60,
        say=print,
    )
    drain.wait()
    assert document(platform, key) == {"views": 40}
