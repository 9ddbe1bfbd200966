"""Real processes killed with SIGKILL at random moments while requests stream: nothing may be lost or doubled.

    python tests/faults/kills.py [--kills 200] [--seed 1] [--json out.json]

Killed are producers, functions amid their invocations, and the whole platform (the event source mappings, the
emulator and all), which goes on from its folder. In the end each entity must be what the stream's log makes of it,
and each request of the log must have been answered.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from tidemill.contract import aggregation
from tidemill.contract.attempts import tried_of
from tidemill.contract.request import ReplyMessage, Request, decode
from tidemill_consumers.codec.items import from_item
from tidemill_event_source.shard_reader import ShardReader
from tidemill_local.clients import EmulatorSession

RULES = """
import zlib
from tidemill_consumers.core.batch import Accepted, Rejected

def step(state, request):
    before = state or {"n": 0, "chain": 0}
    if request.data["refuse"]:
        return Rejected("as it asks for")
    chain = zlib.crc32(f"{request.writer} {request.counter}".encode(), before["chain"])
    return Accepted({"n": before["n"] + 1, "chain": chain})

RULES = {"step": step}
"""

PRODUCER = """
import random, sys
from tidemill import Producer

dice = random.Random(sys.argv[2])
with Producer(sys.argv[1], client=sys.argv[3]) as producer:
    print("sending", flush=True)
    while True:
        producer.send("step", key=f"key/{dice.randrange(12)}", data={"refuse": dice.random() < 0.1})
        if dice.random() < 0.1:
            producer.flush(30)
"""

SETTLE_SECONDS = 120.0


class Platform:
    """`tidemill up` in a process of its own, killed and started again on the same port and folder."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._folder = folder
        (folder / "simulated_rules.py").write_text(RULES)
        self.process = self._start()
        self.session = EmulatorSession(f"http://127.0.0.1:{self.port}", "test", "test")
        self.outputs: dict[str, str] = self._state()["outputs"]

    def _start(self) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).with_name("tidemill")), "up", "--port", str(self.port)]
        command += ["--state", "state", "--rules", "simulated_rules", "--json", "up.json"]
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(self._folder), "HOME": str(self._folder)}
        (self._folder / "up.json").unlink(missing_ok=True)
        with (self._folder / "up.log").open("ab") as log:
            return subprocess.Popen(command, cwd=self._folder, env=environment, stdout=log, stderr=log)

    def _state(self) -> dict[str, Any]:
        """What `up` keeps in its file, once it does."""
        deadline = time.monotonic() + 60
        while not (self._folder / "up.json").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit((self._folder / "up.log").read_text()[-3_000:])
            time.sleep(0.05)
        found: dict[str, Any] = json.loads((self._folder / "up.json").read_text())
        return found

    def kill(self) -> None:
        """Kill it, and start another where it stood."""
        self.process.kill()
        self.process.wait()
        while not self._is_free():
            time.sleep(0.02)
        self.process = self._start()
        self._state()

    def _is_free(self) -> bool:
        with suppress(OSError), socket.create_server(("127.0.0.1", self.port)):
            return True
        return False

    def functions(self) -> list[int]:
        """The processes that run functions for it."""
        return [
            pid
            for pid, environment in _environments()
            if b"AWS_LAMBDA_RUNTIME_API=" in environment and str(self._folder).encode() in environment
        ]

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(timeout=30)


def _environments() -> Iterator[tuple[int, bytes]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                yield int(entry.name), (entry / "environ").read_bytes()


class Producers:
    """Two producers, each replaced when it is killed."""

    def __init__(self, platform: Platform, seed: int) -> None:
        self._platform = platform
        self._made = seed * 1_000
        self._running = [self._start() for _ in range(2)]

    def _start(self) -> subprocess.Popen[bytes]:
        self._made += 1
        command = [sys.executable, "-c", PRODUCER, self._platform.outputs["StreamName"], str(self._made), "client"]
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._platform.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self, which: int) -> None:
        """Kill one, and start another: with a writer of its own, for what was not acknowledged is not its."""
        self._running[which].kill()
        self._running[which].wait()
        self._running[which] = self._start()

    def stop(self) -> None:
        """Kill both for good."""
        for process in self._running:
            process.kill()
            process.wait()


def listen(platform: Platform) -> str:
    """A queue that hears all replies; its URL."""
    sqs, sns = platform.session.client("sqs"), platform.session.client("sns")
    url: str = sqs.create_queue(QueueName="replies")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=platform.outputs["RepliesTopicArn"], Protocol="sqs", Endpoint=arn)
    time.sleep(1)  # the queue and its subscription are in the snapshot by then
    return url


def hear(platform: Platform, queue: str, heard: dict[str, set[str]]) -> None:
    """Take what the queue holds."""
    sqs = platform.session.client("sqs")
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            body = message["Body"]
            text = json.loads(body)["Message"] if '"Type"' in body[:200] else body
            for reply in msgspec.json.decode(text, type=ReplyMessage).replies:
                heard.setdefault(reply.id, set()).add(reply.status)
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def log_of(platform: Platform) -> list[Request]:
    """Every request on the stream, in order within its shard, and so within its key; with its record's mark."""
    kinesis, name = platform.session.client("kinesis"), platform.outputs["StreamName"]
    found: list[Request] = []
    for shard in kinesis.list_shards(StreamName=name)["Shards"]:
        reader = ShardReader(kinesis, {"StreamName": name}, shard["ShardId"])
        while True:
            time.sleep(0.25)  # five reads a second, and the platform reads too
            try:
                page = reader.read()
            except kinesis.exceptions.ProvisionedThroughputExceededException:
                continue
            for record in page.records:
                tried = tried_of(record.partition_key)
                found += [
                    msgspec.structs.replace(decode(one.data), tried=tried) for one in aggregation.unpack(record.data)
                ]
            if not page.behind_ms:
                break
    return found


def expected(log: list[Request]) -> tuple[dict[str, Any], dict[str, str]]:
    """Each key's document and each request's status, folded from the log without repeats."""
    rules: dict[str, Any] = {}
    exec(RULES, rules)  # our own words, above
    documents: dict[str, Any] = {}
    statuses: dict[str, str] = {}
    for request in log:
        if request.id not in statuses:
            outcome = rules["step"](documents.get(str(request.key)), request)
            refused = request.data["refuse"]
            statuses[request.id] = "rejected" if refused else "accepted"
            if not refused:
                documents[str(request.key)] = outcome.state
    return documents, statuses


def main() -> int:
    """Kill, then look; 0 when nothing is lost, doubled, reordered or unanswered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="PATH")
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidemill-kills-") as folder:
        platform = Platform(Path(folder))
        try:
            result = torment(platform, args.kills, args.seed)
        finally:
            platform.stop()
    result["seconds"] = round(time.monotonic() - begun, 1)
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if not any(result[name] for name in ("lost", "double", "reordered", "unanswered", "wrong")) else 1


def torment(platform: Platform, count: int, seed: int) -> dict[str, Any]:
    """Kill so many times while requests stream; what came of it."""
    dice, kills = random.Random(seed), Counter[str]()
    queue, heard = listen(platform), dict[str, set[str]]()
    producers = Producers(platform, seed)
    try:
        while kills.total() < count:
            time.sleep(dice.uniform(0.05, 0.8))
            strike(dice, platform, producers, kills)
            if kills.total() % 20 == 0:
                print(f"  {kills.total()} kills: {dict(kills)}", flush=True)
                hear(platform, queue, heard)
    finally:
        producers.stop()
    return judge(platform, queue, heard) | {"kills": dict(kills)}


def strike(dice: random.Random, platform: Platform, producers: Producers, kills: Counter[str]) -> None:
    """One kill."""
    fate = dice.random()
    if fate < 0.2:
        platform.kill()
        kills["platform"] += 1
    elif fate < 0.5:
        producers.kill(dice.randrange(2))
        kills["producer"] += 1
    elif functions := platform.functions():
        with suppress(ProcessLookupError):
            os.kill(dice.choice(functions), signal.SIGKILL)
            kills["function"] += 1


def judge(platform: Platform, queue: str, heard: dict[str, set[str]]) -> dict[str, Any]:
    """Wait until all is applied and answered, then compare."""
    documents, statuses = expected(log_of(platform))
    table = platform.session.client("dynamodb")
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        hear(platform, queue, heard)
        pages = table.get_paginator("scan").paginate(TableName=platform.outputs["TableName"], ConsistentRead=True)
        actual = {one.key: one.document for page in pages for one in map(from_item, page["Items"])}
        unanswered = sum(one not in heard for one in statuses)
        if (actual == documents and not unanswered) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    result = dict.fromkeys(("lost", "double", "reordered"), 0)
    for key, wanted in documents.items():
        found: Any = actual.get(key) or {"n": 0}
        result["lost"] += max(0, wanted["n"] - found["n"])
        result["double"] += max(0, found["n"] - wanted["n"])
        result["reordered"] += wanted["n"] == found["n"] and wanted != found
    wrong = sum(heard.get(one, {status}) != {status} for one, status in statuses.items())
    return {"requests": len(statuses), **result, "unanswered": unanswered, "wrong": wrong}


if __name__ == "__main__":
    sys.exit(main())
