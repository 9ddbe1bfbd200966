"""A stack is taken down while requests stream in: what was accepted is applied and archived, and nothing else."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tidemill import Handle, NotAccepted, Producer
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(300)

SENDERS, KEYS = 3, 20


@pytest.fixture
def platform() -> Iterator[Platform]:
    with Platform(0, {"BatchingWindowSeconds": "1", "ArchiveIntervalSeconds": "1", "Rules": RULES}) as running:
        yield running


RULES = "tidemill_consumers.media"


def senders_client(platform: Platform, stream_arn: str) -> Any:
    """A client with the keys of a user who may put requests on the stream, and no more."""
    iam = platform.emulator.client("iam")
    iam.create_user(UserName="sender")
    actions = ["kinesis:PutRecords", "kinesis:DescribeStreamSummary"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": stream_arn}],
    }
    iam.put_user_policy(UserName="sender", PolicyName="send", PolicyDocument=json.dumps(policy))
    made = iam.create_access_key(UserName="sender")["AccessKey"]
    return platform.emulator.session(made["AccessKeyId"], made["SecretAccessKey"]).client("kinesis")


def send(kinesis: Any, stream: str, number: int, first: Event, over: Event) -> dict[str, str]:
    """Sends until nothing is accepted any more; the accepted requests' commands, by id."""
    accepted: dict[str, str] = {}
    with Producer(stream, kinesis=kinesis) as producer:
        while not over.is_set():
            handles = [
                (cmd, producer.send(cmd, key=f"content/{number}-{one % KEYS}"))
                for one in range(50)
                for cmd in (["content.view", "no.such.command"] if one == 0 else ["content.view"])
            ]
            taken = {handle.id: cmd for cmd, handle in handles if is_accepted(handle)}
            accepted |= taken
            first.set()
            if len(taken) < len(handles):
                return accepted
    return accepted


def is_accepted(handle: Handle) -> bool:
    try:
        handle.result(30)
    except NotAccepted:
        return False
    return True


def run(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **platform.emulator.environment}
    command = [str(Path(sys.executable).with_name("tidemill")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)


def test_all_that_was_accepted_is_applied_and_archived_before_the_stack_goes(platform: Platform) -> None:
    outputs = dict(platform.outputs)
    kinesis = senders_client(platform, outputs["StreamArn"])
    over = Event()
    begun = [Event() for _ in range(SENDERS)]
    with ThreadPoolExecutor(SENDERS) as pool:
        senders = [
            pool.submit(send, kinesis, outputs["StreamName"], number, begun[number], over) for number in range(SENDERS)
        ]
        try:
            assert all(one.wait(60) for one in begun)
            ended = run(platform, "destroy", "--stack", "tidemill", "--yes")
        finally:
            over.set()
        accepted = {id_: cmd for sender in senders for id_, cmd in sender.result(60).items()}
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "kept: Entities" in ended.stdout
    assert applied(platform, outputs["TableName"]) == sum(cmd == "content.view" for cmd in accepted.values())
    assert quarantined(platform, outputs["QuarantineBucketName"]) == {
        id_ for id_, cmd in accepted.items() if cmd != "content.view"
    }
    assert archived(platform, outputs["ArchiveBucketName"]) == set(accepted)


@pytest.mark.slow
def test_a_stack_whose_mapping_is_off_stays_open_and_is_told_why(platform: Platform) -> None:
    functions, outputs = platform.emulator.client("lambda"), dict(platform.outputs)
    (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    kinesis = platform.emulator.client("kinesis")
    with Producer(outputs["StreamName"], kinesis=kinesis) as producer:
        producer.send("content.view", key="content/1").result(30)
    ended = run(platform, "destroy", "--stack", "tidemill", "--yes")
    assert ended.returncode == 1, ended.stdout
    assert f"the mapping is Disabled: aws lambda update-event-source-mapping --uuid {mapping['UUID']}" in ended.stderr
    assert "Nothing was done" in ended.stderr
    with Producer(outputs["StreamName"], kinesis=kinesis) as producer:
        producer.send("content.view", key="content/1").result(30)
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    ended = run(platform, "destroy", "--stack", "tidemill", "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert applied(platform, outputs["TableName"]) == 2


@pytest.mark.slow
def test_rules_that_emit_endlessly_and_shards_that_change_meanwhile_end_with_nothing_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spinning.py").write_text(SPINNING)
    monkeypatch.syspath_prepend(str(tmp_path))
    parameters = {"BatchingWindowSeconds": "0", "ArchiveIntervalSeconds": "1", "Rules": "spinning"}
    with Platform(0, {**parameters, "ShardCount": "1", "EmitDepth": "8"}) as platform:
        outputs, kinesis = dict(platform.outputs), platform.emulator.client("kinesis")
        with Producer(outputs["StreamName"], kinesis=kinesis) as producer:
            handles = [producer.send("spin", key=f"top/{number}") for number in range(20)]
            for handle in handles:
                handle.result(30)
        kinesis.update_shard_count(StreamName=outputs["StreamName"], TargetShardCount=2, ScalingType="UNIFORM_SCALING")
        ended = run(platform, "destroy", "--stack", "tidemill", "--yes")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        looped = quarantined(platform, outputs["QuarantineBucketName"])
        assert len(looped) == 20
        every = archived(platform, outputs["ArchiveBucketName"])
        assert {handle.id for handle in handles} | looped <= every
        assert len(every) == 20 * (1 + 8 + 1)  # each, its follow-ups, and the one that is too deep


SPINNING = """
from tidemill_consumers import Accepted, Emit

def spin(state, request):
    return Accepted({}, emits=(Emit("spin", request.key),))

RULES = {"spin": spin}
"""


def applied(platform: Platform, table: str) -> int:
    """The views of all contents."""
    pages = platform.emulator.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    documents = [item["doc"].get("M", {}) for page in pages for item in page["Items"]]
    return sum(int(one["views"]["N"]) for one in documents if "views" in one)


def objects(platform: Platform, bucket: str) -> Iterator[bytes]:
    s3: Any = platform.emulator.client("s3")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", []):
            yield s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()


def quarantined(platform: Platform, bucket: str) -> set[str]:
    return {json.loads(body)["id"] for body in objects(platform, bucket)}


def archived(platform: Platform, bucket: str) -> set[str]:
    """The ids of the archived requests but the probes."""
    lines = [json.loads(line) for body in objects(platform, bucket) for line in gzip.decompress(body).splitlines()]
    return {one["id"] for one in lines if one["cmd"] != "tidemill.probe"}
