"""The application of the README and of docs/ runs word for word: its rules, their tests, its client, the archive."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import boto3
import pytest

from tests.pages import APPLICATION, ARCHIVE, CONTRACT, PHOTOS, PRODUCER, README, blocks, blocks_of
from tests.producers.tidemill.content.photos import photo
from tidemill import Producer, reply_queue
from tidemill_local.clients import REGION, ROOT_KEY

TIDEMILL = Path(sys.executable).with_name("tidemill")
LONGEST_WAIT = 60.0
"""Seconds after which something is taken not to come."""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a client needs to find the platform that runs the README's rules, and the stack's outputs."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "shop.py").write_text(blocks("Your own application")[0])
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
    command = [str(TIDEMILL), "up", "--port", "0", "--rules", "shop"]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as up:
        try:
            yield env | told(up)
        finally:
            up.terminate()


def told(up: subprocess.Popen[str]) -> dict[str, str]:
    """The variables and the outputs among the lines that `up` prints until it runs."""
    found = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_KEY}
    assert up.stdout
    for line in up.stdout:
        if line.startswith("running"):
            return found
        if match := re.fullmatch(r"(?:export )?(\w+)(?:=|\s+)(\S+)", line.strip()):
            found[match[1]] = match[2]
    raise AssertionError(f"`tidemill up` ended with {up.wait()}")


def test_there_are_rules_and_their_tests_and_a_client_and_a_reader() -> None:
    rules, client = blocks("Your own application")
    [tests], [reader] = blocks("Tests", APPLICATION), blocks("Reading documents", APPLICATION)
    assert "RULES = {" in rules
    assert "Trial(RULES" in tests
    assert '"tidemill-requests-…"' in client
    assert "get_item" in reader


def test_each_extra_is_listed() -> None:
    extras = tomllib.loads((README.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    [paragraph] = re.findall(r"^Extras: (?:.+\n)+", README.read_text(), re.MULTILINE)
    assert [extra for extra in extras if f"`{extra}`" not in paragraph] == []


def test_the_rules_tests_pass_as_printed(tmp_path: Path) -> None:
    rules, [tests] = blocks("Your own application")[0], blocks("Tests", APPLICATION)
    (tmp_path / "shop.py").write_text(rules)
    (tmp_path / "test_shop.py").write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "2 passed"), done.stdout


def test_an_application_with_photos_takes_its_own_requests_and_those_of_the_media_function(tmp_path: Path) -> None:
    _, rules = blocks("On your machine", PHOTOS)
    (tmp_path / "shop.py").write_text(blocks("Your own application")[0] + rules)
    code = "import shop; print(sorted({'item.restock', 'content.processed', 'content.removed'} - shop.RULES.keys()))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize(
    ("block", "ends"), [(0, ["phone-1,2025-11-24 16:00:01"]), (1, ["item.reserve    2"]), (2, ["item.reserve │     2"])]
)
def test_the_archive_is_asked_as_printed(tmp_path: Path, block: int, ends: list[str]) -> None:
    landing = tmp_path / "kept/archive/landing/dt=2025-11-24/hour=16"
    landing.mkdir(parents=True)
    one = {"v": 1, "cmd": "item.reserve", "key": "item/42", "client": "phone-1", "data": {"count": 1}}
    sent = [json.dumps(one | {"id": name, "at": at}) for name, at in (("a", 1764000000000), ("b", 1764000001000))]
    lines = [*sent, sent[0], '{"v": 1, "id": "bro', '"no object"']
    (landing / "one.ndjson.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    printed = blocks_of(ARCHIVE.read_text())
    code = printed[block] if block else "".join(f"{TIDEMILL.parent}/{line}\n" for line in printed[0].splitlines())
    command = ["sh", "-ec", code] if not block else [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [end for end in ends if end not in done.stdout] == [], done.stdout


def run(code: str, environment: dict[str, str]) -> tuple[int, str, str]:
    """A program's exit code, and what it said."""
    command, folder = [sys.executable, "-c", code], environment["HOME"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_own_application_works_as_printed(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = environment["StreamName"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    [_, client], [reader] = blocks("Your own application"), blocks("Reading documents", APPLICATION)
    client = client.replace("tidemill-requests-…", stream).replace("arn:aws:sns:…", environment["RepliesTopicArn"])
    assert run(client, environment) == (0, "{'left': 4}\n", "")
    wait_for_stock(environment, "4")
    reader = reader.replace("tidemill-Entities-…", environment["TableName"])
    assert run(reader, environment) == (0, "{'stock': Decimal('4')}\n", "")


def test_the_producer_works_as_printed(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client, large, upload = (
        block.replace("tidemill-requests-…", environment["StreamName"]) for block in blocks_of(PRODUCER.read_text())
    )
    client = client.replace("arn:aws:sns:…", environment["RepliesTopicArn"])
    with Producer(environment["StreamName"]) as producer:
        producer.send("item.restock", key="item/42", data={"count": 5}).result(LONGEST_WAIT)
    assert run(client, environment) == (0, "accepted\n", "")
    with closing(boto3.client("sqs")) as sqs:
        assert sqs.list_queues().get("QueueUrls", []) == [], "it is gone"
    large = large.replace('bucket="…"', f"bucket={environment['ContentBucketName']!r}")
    assert run(f"from tidemill import Producer\nrows = ['row'] * 20_000\n{large}", environment) == (0, "", "")
    with closing(boto3.client("s3")) as s3:
        uploads = s3.list_objects_v2(Bucket=environment["ContentBucketName"], Prefix="uploads/phone-1/")
        assert uploads["KeyCount"] == 1
    (Path(environment["HOME"]) / "beach.jpg").write_bytes(photo(100))
    upload = upload.replace('bucket="…"', f"bucket={environment['ContentBucketName']!r}")
    assert run(f"from tidemill import Producer\n{upload}", environment) == (0, "", "")
    with closing(boto3.client("s3")) as s3:
        s3.head_object(Bucket=environment["ContentBucketName"], Key="photos/phone-1/content/42")


def test_a_photo_is_uploaded_without_credentials_as_printed(environment: dict[str, str]) -> None:
    client, server = blocks("Uploading without AWS credentials", PHOTOS)
    server = server.replace('bucket="…"', f"bucket={environment['ContentBucketName']!r}")
    (Path(environment["HOME"]) / "beach.jpg").write_bytes(photo(100))
    (Path(environment["HOME"]) / "server.py").write_text(server)
    asked = (
        "import os, server\n\ndef ask_server(key, description):\n    return server.sign('ann', key, description)\n\n"
    )
    forgotten = "for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):\n    del os.environ[name]\n"
    assert run(f"{asked}{forgotten}{client}", environment) == (0, "photos/ann/content/42\n", "")


NODE = shutil.which("node")
NODE_MODULES = os.environ.get("TIDEMILL_NODE_MODULES")


def javascript(code: str, environment: dict[str, str]) -> str:
    """What a program in Node prints, as a module beside the packages that are at hand."""
    folder = Path(environment["HOME"])
    if NODE_MODULES and not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "client.mjs").write_text(code)
    command = [str(NODE), "client.mjs"]
    env = environment | {"NODE_NO_WARNINGS": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def answered(environment: dict[str, str], send: Callable[[], object]) -> list[str]:
    """The bodies of messages to phone-2, once one has come."""
    topic = environment["RepliesTopicArn"]
    with reply_queue(topic, "phone-2", tags={"identity": "x"}) as queue, closing(boto3.client("sqs")) as sqs:
        assert sqs.list_queue_tags(QueueUrl=queue)["Tags"] == {"identity": "x"}
        send()
        messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages", [])
    return [message["Body"] for message in messages]


@pytest.mark.skipif(NODE is None, reason="no node at hand")
def test_the_contracts_javascript_makes_records_and_reads_replies(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    making, _, reading = blocks("In JavaScript", CONTRACT)
    tell = """
    const {PartitionKey, Data} = record("item.restock", "item/7", {count: 5}, "phone-2");
    console.log(JSON.stringify({PartitionKey, Data: new TextDecoder().decode(Data)}));
    """
    made = json.loads(javascript(making + tell, environment))
    with closing(boto3.client("kinesis")) as kinesis:
        [body] = answered(environment, lambda: kinesis.put_record(StreamName=environment["StreamName"], **made))
    twice = f"const body = {json.dumps(body)};\nconsole.log(JSON.stringify([replies(body), replies(body)]));\n"
    first, second = json.loads(javascript(reading + twice, environment))
    assert [(one["id"], one["status"]) for one in first] == [(json.loads(made["Data"])["id"], "accepted")]
    assert second == []


@pytest.mark.skipif(NODE is None or not NODE_MODULES, reason="no node, or no TIDEMILL_NODE_MODULES with the AWS SDK")
def test_the_contracts_javascript_sends_by_the_sdk(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    making, sending, _ = blocks("In JavaScript", CONTRACT)
    code = sending.replace("tidemill-requests-…", environment["StreamName"])
    [body] = answered(environment, lambda: javascript(making + code, environment))
    assert [one["status"] for one in json.loads(body)["replies"]] == ["accepted"]


def wait_for_stock(environment: dict[str, str], wanted: str) -> None:
    stock, deadline = "", time.monotonic() + LONGEST_WAIT
    with closing(boto3.client("dynamodb")) as dynamodb:
        while stock != wanted and time.monotonic() < deadline:
            time.sleep(0.2)
            item = dynamodb.get_item(TableName=environment["TableName"], Key={"pk": {"S": "item/42"}}).get("Item")
            stock = item["doc"]["M"]["stock"]["N"] if item else ""
    assert stock == wanted
