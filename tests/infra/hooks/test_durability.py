"""A platform with a folder for its state: killed amid a stream, it goes on where it stood."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidemill import Producer
from tidemill_local.emulator import Emulator, EmulatorDied
from tidemill_local.hooks.durability import action_of, service_of

Becomes = Callable[[Callable[[], bool]], bool]

PLATFORM = """
import sys, time
from pathlib import Path
from tidemill_local.platform import Platform

with Platform(0, {"BatchingWindowSeconds": "0", "BatchSize": "20", "ArchiveIntervalSeconds": "1"},
              state=Path(sys.argv[1])) as platform:
    print(platform.emulator.endpoint_url, platform.outputs["StreamName"], platform.outputs["TableName"], flush=True)
    while True:
        platform.emulator.check()
        time.sleep(0.1)
"""


def platform(state: Path) -> subprocess.Popen[str]:
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(state.parent)}
    return subprocess.Popen(
        [sys.executable, "-c", PLATFORM, str(state)], env=environment, stdout=subprocess.PIPE, text=True
    )


def clients(endpoint: str) -> Any:
    from tidemill_local.emulator import EmulatorSession

    return EmulatorSession(endpoint, "test", "test")


def views(dynamodb: Any, table: str) -> dict[str, int]:
    items = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
    return {item["pk"]["S"]: int(item["doc"]["M"]["views"]["N"]) for item in items}


def test_killed_amid_a_stream_it_skips_nothing_and_applies_nothing_twice(tmp_path: Path, becomes: Becomes) -> None:
    state, dice = tmp_path / "state", random.Random(3)
    expected: Counter[str] = Counter()
    names = set()
    for _ in range(3):
        with platform(state) as process:
            assert process.stdout
            endpoint, stream, table = process.stdout.readline().split()
            names.add((stream, table))
            with Producer(stream, kinesis=clients(endpoint).client("kinesis")) as producer:
                for n in range(120):
                    key = f"content/{dice.randrange(15)}"
                    producer.send("content.view", key=key, data={})
                    expected[key] += 1
                    if n % 10 == 0:
                        producer.flush(10)
            # All of them are acknowledged, and most are not applied yet.
            time.sleep(dice.uniform(0.0, 0.4))
            process.send_signal(signal.SIGKILL)
    assert len(names) == 1, "it is the same stack each time"
    with platform(state) as process:
        assert process.stdout
        endpoint, stream, table = process.stdout.readline().split()
        dynamodb = clients(endpoint).client("dynamodb")
        assert becomes(lambda: views(dynamodb, table) == dict(expected))
        process.send_signal(signal.SIGTERM)
    assert becomes(lambda: [path.name for path in tmp_path.iterdir()] == ["state"])


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path / "state"


def kill(emulator: Emulator) -> None:
    """As a power cut would: no farewell."""
    process = emulator._process
    assert process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_what_was_answered_is_there_after_a_kill(temporary: Path) -> None:
    with Emulator(0, temporary) as emulator:
        kinesis, sqs, s3 = (emulator.client(name) for name in ("kinesis", "sqs", "s3"))
        dynamodb = emulator.client("dynamodb")
        kinesis.create_stream(StreamName="s", ShardCount=2)
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        s3.create_bucket(Bucket="bucket")
        dynamodb.create_table(
            TableName="table",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )
        time.sleep(1.5)  # what there is, is written down within half a second; the rest at once
        sent = [kinesis.put_record(StreamName="s", PartitionKey=str(n), Data=b"%d" % n) for n in range(20)]
        dynamodb.put_item(TableName="table", Item={"pk": {"S": "a"}, "n": {"N": "1"}})
        dynamodb.update_item(
            TableName="table",
            Key={"pk": {"S": "a"}},
            UpdateExpression="SET n = n + :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        sqs.send_message(QueueUrl=url, MessageBody="hello")
        s3.put_object(Bucket="bucket", Key="k", Body=b"there")
        kill(emulator)
    with Emulator(0, temporary) as emulator:
        kinesis, sqs, s3 = (emulator.client(name) for name in ("kinesis", "sqs", "s3"))
        found = [record for shard in ("0", "1") for record in records(kinesis, f"shardId-{shard:0>12}")]
        assert sorted(one["SequenceNumber"] for one in found) == sorted(one["SequenceNumber"] for one in sent)
        assert emulator.client("dynamodb").get_item(TableName="table", Key={"pk": {"S": "a"}})["Item"]["n"] == {
            "N": "2"
        }
        url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
        assert [one["Body"] for one in sqs.receive_message(QueueUrl=url)["Messages"]] == ["hello"]
        assert s3.get_object(Bucket="bucket", Key="k")["Body"].read() == b"there"
        after = kinesis.put_record(StreamName="s", PartitionKey="after", Data=b"")
        assert after["SequenceNumber"] > max(one["SequenceNumber"] for one in sent)


def records(kinesis: Any, shard: str) -> Any:
    answer = kinesis.get_shard_iterator(StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    return kinesis.get_records(ShardIterator=answer["ShardIterator"])["Records"]


def test_a_folder_is_for_one_at_a_time(temporary: Path) -> None:
    with Emulator(0, temporary), pytest.raises(EmulatorDied, match="another platform runs on"):
        Emulator(0, temporary).start()


def test_a_torn_journal_is_read_as_far_as_it_goes(temporary: Path) -> None:
    with Emulator(0, temporary) as emulator:
        emulator.client("kinesis").create_stream(StreamName="s", ShardCount=1)
        time.sleep(1.5)
        emulator.client("kinesis").put_record(StreamName="s", PartitionKey="k", Data=b"whole")
        kill(emulator)
    (journal,) = temporary.glob("journal-*")
    with journal.open("a") as file:
        file.write(json.dumps({"stream": "s"})[:-3])
    with Emulator(0, temporary) as emulator:
        assert [one["Data"] for one in records(emulator.client("kinesis"), "shardId-000000000000")] == [b"whole"]


def test_a_call_is_known_by_its_header_or_its_form() -> None:
    scope = "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/sns/aws4_request, SignedHeaders=host"
    form = {"authorization": scope, "content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert (service_of(form), action_of(form, b"Action=Publish&Message=x")) == ("sns", "Publish")
    assert action_of({"x-amz-target": "DynamoDB_20120810.PutItem"}, b"") == "PutItem"
    assert (service_of({}), action_of({}, b"")) == ("", "")
