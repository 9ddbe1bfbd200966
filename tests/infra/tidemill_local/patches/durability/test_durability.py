"""A platform with a folder for its state: killed amid a stream, it goes on where it stood."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.processes import running
from tidemill import Producer
from tidemill_local.emulator import Emulator, EmulatorDied

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


def platform(state: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(state.parent)}
    return running([sys.executable, "-c", PLATFORM, str(state)], state.parent, environment)


def clients(endpoint: str) -> Any:
    from tidemill_local.clients import EmulatorSession

    return EmulatorSession(endpoint, "test", "test")


def views(dynamodb: Any, table: str) -> dict[str, int]:
    items = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
    return {item["pk"]["S"]: int(item["doc"]["M"]["views"]["N"]) for item in items}


@pytest.mark.slow
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
        process.wait(60)
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
        kinesis = emulator.client("kinesis")
        assert [one["Data"] for one in records(kinesis, "shardId-000000000000")] == [b"whole"]
        kinesis.put_record(StreamName="s", PartitionKey="k", Data=b"next")
        kill(emulator)
    with Emulator(0, temporary) as emulator:
        found = records(emulator.client("kinesis"), "shardId-000000000000")
        assert [one["Data"] for one in found] == [b"whole", b"next"]


def create_table(dynamodb: Any, **options: Any) -> Any:
    return dynamodb.create_table(
        TableName="table",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        **options,
    )


def items(emulator: Emulator) -> Any:
    return emulator.client("dynamodb").scan(TableName="table", ConsistentRead=True)["Items"]


def generation(state: Path) -> int:
    return int((state / "snapshot" / "generation").read_text())


def test_a_snapshot_that_cannot_be_written_costs_nothing(temporary: Path) -> None:
    with Emulator(0, temporary) as emulator:
        create_table(emulator.client("dynamodb"))
        time.sleep(1.5)
        before = generation(temporary)
        (temporary / "state" / "dynamodb.json.tmp").mkdir()  # as good as a full disk
        emulator.client("dynamodb").put_item(TableName="table", Item={"pk": {"S": "a"}})
        emulator.client("kinesis").create_stream(StreamName="s", ShardCount=1)
        time.sleep(1)
        assert generation(temporary) == before
        kill(emulator)
    with Emulator(0, temporary) as emulator:
        assert items(emulator) == [{"pk": {"S": "a"}}]


@pytest.mark.parametrize(("service", "call"), [("sqs", "create_queue"), ("sns", "create_topic")])
def test_a_call_that_cannot_be_kept_says_why(temporary: Path, service: str, call: str) -> None:
    with Emulator(0, temporary) as emulator:
        assert emulator._process is not None
        client, argument = emulator.client(service), {"sqs": "QueueName", "sns": "Name"}[service]
        soft, hard = resource.prlimit(emulator._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(emulator._process.pid, resource.RLIMIT_FSIZE, (1, hard))  # as on a disk that is full
        with pytest.raises(ClientError, match=rf"InternalFailure.*{temporary}/journal-\d+ cannot be written"):
            getattr(client, call)(**{argument: "a"})
        resource.prlimit(emulator._process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        getattr(client, call)(**{argument: "b"})
        kill(emulator)
    with Emulator(0, temporary) as emulator:
        found = getattr(emulator.client(service), {"sqs": "list_queues", "sns": "list_topics"}[service])()
        assert [one for one in str(found).replace("'", " ").split() if one.endswith(("/b", ":b"))]


def test_what_an_interrupted_snapshot_left_is_cleared_away(temporary: Path) -> None:
    with Emulator(0, temporary) as emulator:
        emulator.client("kinesis").create_stream(StreamName="s", ShardCount=1)
        kill(emulator)
    for name in ("snapshot.old", "snapshot.new"):
        (temporary / name).mkdir()
        (temporary / name / "file").touch()
    (temporary / "journal-99").touch()
    with Emulator(0, temporary) as emulator:
        before = generation(temporary)
        emulator.client("kinesis").create_stream(StreamName="t", ShardCount=1)
        assert generation(temporary) > before
        kill(emulator)
    assert not (temporary / "snapshot.old").exists()
    assert [one.name for one in temporary.glob("journal-*")] == [f"journal-{generation(temporary)}"]


def test_nothing_is_to_be_played_again_after_an_end_in_peace(temporary: Path) -> None:
    with Emulator(0, temporary) as emulator:
        create_table(emulator.client("dynamodb"))
        time.sleep(1.5)
        emulator.client("dynamodb").put_item(TableName="table", Item={"pk": {"S": "a"}})
    assert [one.read_bytes() for one in temporary.glob("journal-*")] == [b""]
    with Emulator(0, temporary) as emulator:
        assert items(emulator) == [{"pk": {"S": "a"}}]


def test_a_tables_stream_goes_on_without_telling_anything_twice(temporary: Path) -> None:
    def changes(emulator: Emulator) -> Any:
        streams = emulator.client("dynamodbstreams")
        (stream,) = streams.list_streams(TableName="table")["Streams"]
        (shard,) = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
        position = {"StreamArn": stream["StreamArn"], "ShardId": shard["ShardId"]}
        iterator = streams.get_shard_iterator(**position, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        return stream["StreamArn"], streams.get_records(ShardIterator=iterator)["Records"]

    with Emulator(0, temporary) as emulator:
        dynamodb = emulator.client("dynamodb")
        create_table(dynamodb, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
        dynamodb.put_item(TableName="table", Item={"pk": {"S": "a"}})
        emulator.client("kinesis").create_stream(StreamName="s", ShardCount=1)  # so that there is a snapshot
        dynamodb.put_item(TableName="table", Item={"pk": {"S": "b"}})
        dynamodb.delete_item(TableName="table", Key={"pk": {"S": "a"}})
        told = changes(emulator)
        assert [one["eventName"] for one in told[1]] == ["INSERT", "INSERT", "REMOVE"]
        kill(emulator)
    with Emulator(0, temporary) as emulator:
        assert changes(emulator) == told
        assert items(emulator) == [{"pk": {"S": "b"}}]


def test_messages_keep_their_ids_and_deleted_ones_stay_away(temporary: Path) -> None:
    with Emulator(0, temporary) as emulator:
        sqs = emulator.client("sqs")
        url = sqs.create_queue(QueueName="q")["QueueUrl"]
        ids = {body: sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"] for body in "abcd"}
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=4)["Messages"]
        handles = {one["Body"]: one["ReceiptHandle"] for one in received}
        sqs.delete_message(QueueUrl=url, ReceiptHandle=handles["a"])
        sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": handles["b"]}])
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handles["c"], VisibilityTimeout=600)
        kill(emulator)
    with Emulator(0, temporary) as emulator:
        sqs = emulator.client("sqs")
        url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
        again = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=4)["Messages"]
        assert [(one["Body"], one["MessageId"]) for one in again] == [("d", ids["d"])]


def test_a_topic_does_not_deliver_again_to_an_address(temporary: Path, becomes: Becomes) -> None:
    got: list[dict[str, Any]] = []

    class Address(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Address) as server:
        threading.Thread(target=server.serve_forever).start()
        with Emulator(0, temporary) as emulator:
            sns, sqs = emulator.client("sns"), emulator.client("sqs")
            url = sqs.create_queue(QueueName="q")["QueueUrl"]
            topic = sns.create_topic(Name="t")["TopicArn"]
            queue = f"arn:aws:sqs:us-east-1:{topic.split(':')[4]}:q"
            policy = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue}
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [policy]})})
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
            sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"http://127.0.0.1:{server.server_port}/")
            assert becomes(lambda: len(got) == 1)
            sns.confirm_subscription(TopicArn=topic, Token=got[0]["Token"])
            sns.publish(TopicArn=topic, Message="once")
            assert becomes(lambda: len(got) == 2)
            kill(emulator)
        with Emulator(0, temporary) as emulator:
            messages = emulator.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
            assert [json.loads(one["Body"])["Message"] for one in messages] == ["once"]
            time.sleep(0.5)
        server.shutdown()
    assert [one.get("Message") for one in got[1:]] == ["once"]


def test_another_region_is_played_again_in_its_place(temporary: Path) -> None:
    def client(emulator: Emulator, service: Any) -> Any:
        session = boto3.Session("test", "test", region_name="eu-west-1")
        return session.client(service, endpoint_url=emulator.endpoint_url)

    with Emulator(0, temporary) as emulator:
        kinesis, dynamodb = client(emulator, "kinesis"), client(emulator, "dynamodb")
        create_table(dynamodb)
        kinesis.create_stream(StreamName="s", ShardCount=1)
        time.sleep(1.5)
        kinesis.put_record(StreamName="s", PartitionKey="k", Data=b"there")
        dynamodb.put_item(TableName="table", Item={"pk": {"S": "a"}})
        kill(emulator)
    with Emulator(0, temporary) as emulator:
        assert [one["Data"] for one in records(client(emulator, "kinesis"), "shardId-000000000000")] == [b"there"]
        assert client(emulator, "dynamodb").scan(TableName="table")["Items"] == [{"pk": {"S": "a"}}]


def test_an_attribute_may_have_any_name(temporary: Path) -> None:
    names = ("__bytes__", "__scoped__", "__account_region_scoped__", "__escaped__")
    kept = {"pk": {"S": "a"}, "binary": {"B": b"x"}, "map": {"M": {name: {"S": "x"} for name in names}}}
    kept |= {name: {"L": [{"N": "1"}]} for name in names}
    with Emulator(0, temporary) as emulator:
        create_table(emulator.client("dynamodb"))
        emulator.client("dynamodb").put_item(TableName="table", Item=kept)
        emulator.client("dynamodb").put_item(TableName="table", Item={"pk": {"S": "b"}, "__escaped__": {"S": ""}})
        emulator.client("kinesis").create_stream(StreamName="s", ShardCount=1)  # so that there is a snapshot
    with Emulator(0, temporary) as emulator:
        assert items(emulator) == [kept, {"pk": {"S": "b"}, "__escaped__": {"S": ""}}]


@pytest.mark.parametrize("text", ["{", '{"__ministack_format__": 2, "payload": [5]}'])
def test_a_file_that_cannot_be_read_ends_the_start_and_is_named(temporary: Path, text: str) -> None:
    with Emulator(0, temporary) as emulator:
        create_table(emulator.client("dynamodb"))
    broken = temporary / "snapshot" / "dynamodb.json"
    broken.write_text(text)
    with pytest.raises(EmulatorDied, match=f"{broken} cannot be read"):
        Emulator(0, temporary).start()
    assert broken.read_text() == text


def test_signing_in_is_not_worth_a_snapshot(temporary: Path) -> None:
    with Emulator(0, temporary) as emulator:
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = emulator.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]
        time.sleep(1)
        before = generation(temporary)
        emulator.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")
        time.sleep(1)
        assert generation(temporary) == before
