"""The ecosystem's tools, unmodified, against the running platform: localstack-client, and boto3 by AWS_ENDPOINT_URL."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from localstack_client.session import Session

from tidemill import Producer, Replies
from tidemill_local.emulator import DEFAULT_PORT, PortInUse
from tidemill_local.platform import Platform

CLIENT = """
import os
from tidemill import Producer
with Producer(os.environ["STREAM"], client="phone-1") as producer:
    print(producer.send("content.like", key="content/env", data={}).result(20).shard)
"""


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """The platform where LocalStack's tools look for it."""
    try:
        with Platform(DEFAULT_PORT, {"BatchingWindowSeconds": "1"}) as running:
            yield running
    except PortInUse as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def session(platform: Platform) -> Session:
    """localstack-client's session as it comes: its own keys and endpoints."""
    return Session()


def test_a_request_through_localstack_client_is_applied_and_answered(platform: Platform, session: Session) -> None:
    queue = session.client("sqs").create_queue(QueueName="replies")["QueueUrl"]
    topic = platform.outputs["RepliesTopicArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    session.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    arn = session.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    session.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    with (
        Producer(platform.outputs["StreamName"], client="me", kinesis=session.client("kinesis")) as producer,
        Replies(queue, sqs=session.client("sqs")) as replies,
    ):
        sent = producer.send("content.view", key="content/1", data={}).id
        answer = next(reply for _ in range(5) for reply in replies.poll(5) if reply.id == sent)
    assert answer.status == "accepted"
    table = session.resource("dynamodb").Table(platform.outputs["TableName"])
    assert table.get_item(Key={"pk": "content/1"})["Item"]["doc"] == {"views": 1}


def test_plain_boto3_finds_the_platform_by_the_environment_alone(platform: Platform) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "STREAM": platform.outputs["StreamName"],
        **platform.emulator.environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", CLIENT], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("shardId-"), done.stderr


def test_firehose_describes_the_archives_delivery_stream(platform: Platform, session: Session) -> None:
    firehose, name = session.client("firehose"), platform.outputs["ArchiveDeliveryStreamName"]
    assert firehose.list_delivery_streams()["DeliveryStreamNames"] == [name]
    described = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
    assert described["DeliveryStreamStatus"] == "ACTIVE"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("send", "content.view", "content/2", "--no-reply"), "is on the stream"), (("redrive",), "the quarantine holds")],
)
def test_commands_find_it_whatever_else_the_shell_is_set_up_for(
    platform: Platform, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_PROFILE": "gone",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    command = [str(Path(sys.executable).with_name("tidemill")), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
