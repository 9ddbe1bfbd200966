"""`tidemill demo`: the whole pipe on this machine, on a generated workload or a real access log.

Room: command line. Starts the platform, replays, waits, reconciles, reports.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill import Producer, Reply, Request
    from tidemill_consumers.core.batch import State
    from tidemill_load.hostile import HostileRecord
    from tidemill_load.planned import Planned
    from tidemill_local.platform import Platform

DEFAULT_REQUESTS = 5_000
REPLAY_SECONDS = 10.0
"""How long the generated workload takes unless --speed says otherwise."""

PATIENCE = 30.0
"""Seconds without any progress after which the demo gives up waiting and reports what is missing."""

WINDOW_SECONDS, ARCHIVE_SECONDS = "5", "5"


@dataclass
class Result:
    """The machine-readable result, as --json writes it."""

    requests: int = 0
    accepted: int = 0
    rejected: int = 0
    quarantined: int = 0
    replies: int = 0
    invocations: int = 0
    records: int = 0
    put_calls: int = 0
    dynamodb_write_calls: int = 0
    distinct_keys_written: int = 0
    archived_rows: int = 0
    seconds: float = 0.0
    reconciled: bool = False
    unreadable_lines: int = 0
    hostile: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--trace", type=Path, metavar="FILE", help="replay an access log (CLF, Combined, TSV)")
    parser.add_argument("--requests", type=_positive, metavar="N", help="at most N requests")
    parser.add_argument("--speed", type=_speed, metavar="N|max", help="times real time, or as fast as it goes")
    parser.add_argument("--seed", type=int, default=1, help="of the generated workload")
    parser.add_argument(
        "--hostile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mix in records that are no requests",
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result to PATH")
    parser.epilog = "example: tidemill demo --trace access.log --speed max --json out.json"


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 when everything reconciles."""
    _say("tidemill: the whole pipe on this machine; nothing leaves it")
    # Imported here: the line above must not wait for them.
    from tidemill_load.trace import TraceError
    from tidemill_local.deployment import DeploymentFailed
    from tidemill_local.emulator import EmulatorError

    try:
        if args.json and not args.json.absolute().parent.is_dir():
            raise NotADirectoryError(f"{args.json}: there is no such folder to write to")
        result = _Demo(args).run()
        if args.json:
            args.json.write_text(json.dumps(asdict(result), indent=2) + "\n")
    except (TraceError, DeploymentFailed, EmulatorError, OSError) as error:
        print(f"tidemill demo: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0 if result.reconciled else 1


class _Demo:
    def __init__(self, args: argparse.Namespace) -> None:
        from tidemill_load.hostile import hostile_records

        self._args = args
        self._hostile: list[HostileRecord] = hostile_records(args.seed) if args.hostile else []
        self._result = Result()
        self._sent: list[Request] = []
        self._replies: dict[str, Reply] = {}

    def run(self) -> Result:
        from tidemill_local.platform import Platform

        begun = time.monotonic()
        planned = self._workload()
        settings = {"BatchingWindowSeconds": WINDOW_SECONDS, "ArchiveIntervalSeconds": ARCHIVE_SECONDS}
        with Platform(0, settings, say=_say, heard=self._heard) as platform:
            queue = _subscribe(platform)
            self._replay(platform, planned)
            self._wait(platform, queue)
            self._reconcile(platform)
        self._result.seconds = round(time.monotonic() - begun, 2)
        self._report()
        return self._result

    def _workload(self) -> Iterable[Planned]:
        from tidemill_load.trace import read_trace
        from tidemill_load.workload import generate

        if not self._args.trace:
            return generate(self._args.requests or DEFAULT_REQUESTS, self._args.seed)
        trace = read_trace(self._args.trace)
        planned = list(islice(trace, self._args.requests))
        self._result.unreadable_lines = trace.unreadable
        for line in trace.first_unreadable:
            _say(f"line {line.line} is not readable: {line.reason}")
        return planned

    def _heard(self, answer: bytes) -> None:
        applied = json.loads(answer)["applied"]
        self._result.distinct_keys_written += applied["keys"]
        self._result.dynamodb_write_calls += applied["write_calls"]

    def _replay(self, platform: Platform, planned: Iterable[Planned]) -> None:
        from tidemill import Producer

        kinesis = platform.emulator.client("kinesis")
        stream = platform.outputs["StreamName"]
        for record in self._hostile:
            kinesis.put_record(StreamName=stream, PartitionKey=record.partition_key, Data=record.data)
        with Producer(stream, kinesis=kinesis) as producer:
            shown = time.monotonic()
            for one in self._paced(planned):
                self._send(producer, one)
                if time.monotonic() - shown > 1:
                    shown = time.monotonic()
                    _say(f"  sent {len(self._sent):,}; {platform.event_sources[0].counts.invocations} invocations")
            producer.flush(PATIENCE)
            stats = producer.stats
        self._result.requests = len(self._sent) + len(self._hostile)
        self._result.records = stats.records + len(self._hostile)
        self._result.put_calls = stats.put_calls + len(self._hostile)
        _say(f"sent {self._result.requests:,} requests in {self._result.records:,} records")

    def _send(self, producer: Producer, one: Planned) -> None:
        from tidemill import Request

        handle = producer.send(one.cmd, key=one.key, data=one.data, client=one.client)
        self._sent.append(Request(id=handle.id, cmd=one.cmd, key=one.key, client=one.client, data=one.data))

    def _paced(self, planned: Iterable[Planned]) -> Iterator[Planned]:
        ready = list(planned)
        speed = self._args.speed or max(1.0, ready[-1].at / REPLAY_SECONDS if ready else 1.0)
        begun = time.monotonic()
        for one in ready:
            wait = begun + one.at / speed - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            yield one

    def _wait(self, platform: Platform, queue: str) -> None:
        """Until all is applied, answered and archived, or nothing has moved for long."""
        from tidemill import Replies

        sqs = platform.emulator.client("sqs")
        moved, before = time.monotonic(), (-1, -1, -1)
        with Replies(queue, sqs=sqs) as replies:
            while time.monotonic() - moved < PATIENCE:
                platform.emulator.check()
                self._replies |= {reply.id: reply for reply in replies.poll(1)}
                archived = platform.delivery_streams[0].delivered
                now = (
                    platform.event_sources[0].counts.records,
                    len(self._replies),
                    archived.records + archived.failed,
                )
                if now[0] >= self._result.records and now[1] >= len(self._sent) and now[2] >= self._result.requests:
                    return
                if now != before:
                    moved, before = time.monotonic(), now
                    if sys.stderr.isatty():
                        pass

    def _reconcile(self, platform: Platform) -> None:
        from tidemill_analytics.archive import Archive
        from tidemill_cli.reconcile import differences, expect
        from tidemill_consumers.rules import RULES

        result = self._result
        archive = Archive(
            f"s3://{platform.outputs['ArchiveBucketName']}", platform.emulator.endpoint_url, "test", "test"
        )
        ids = archive.sql("SELECT id FROM interactions")["id"]
        documents = _documents(platform)
        result.archived_rows = len(ids)
        expected = expect(self._sent, RULES)
        ours = Counter(one for one in ids.dropna() if one in expected.statuses)
        result.differences = differences(expected, self._replies, documents, ours)
        statuses: Counter[str] = Counter(self._replies[i].status for i in expected.statuses if i in self._replies)
        self._settle_hostile(platform, documents, statuses)
        result.accepted, result.rejected = statuses["accepted"], statuses["rejected"]
        result.quarantined = statuses["quarantined"]
        result.replies = len(self._replies)
        result.invocations = platform.event_sources[0].counts.invocations
        total = result.accepted + result.rejected + result.quarantined
        if total != result.requests:
            result.differences.append(f"{result.requests} requests but {total} outcomes")
        if result.archived_rows != result.requests:
            result.differences.append(f"{result.requests} requests but {result.archived_rows} archived rows")
        result.reconciled = not result.differences

    def _settle_hostile(self, platform: Platform, documents: dict[str, State], statuses: Counter[str]) -> None:
        """Where the hostile records ended: in the quarantine, or as an event of their key."""
        payloads = _quarantined(platform)
        for record in self._hostile:
            tracked = (documents.get(record.partition_key) or {}).get("events", 0)
            fate = "quarantined" if record.data in payloads else "accepted" if tracked else "lost"
            self._result.hostile[record.name] = fate
            statuses[fate] += 1
            if fate != record.fate:
                self._result.differences.append(f"hostile record {record.name}: {fate}, not {record.fate}")

    def _report(self) -> None:
        result = self._result
        _say("")
        for name, fate in result.hostile.items():
            _say(f"  hostile: {name:<28} {fate}")
        _say(
            f"{result.requests:,} requests: {result.accepted:,} accepted, {result.rejected:,} rejected, "
            f"{result.quarantined:,} quarantined; {result.replies:,} replies; {result.archived_rows:,} archived"
        )
        if result.unreadable_lines:
            _say(f"{result.unreadable_lines:,} lines of the log were not readable")
        _say(
            f"{result.requests:,} requests -> {result.invocations} Lambda invocations, {result.dynamodb_write_calls} "
            f"write calls for {result.distinct_keys_written:,} entities, {result.records:,} records in "
            f"{result.put_calls} puts; {result.seconds} s"
        )
        for line in result.differences:
            _say(f"NOT RECONCILED: {line}")
        if result.reconciled:
            _say("reconciled: every request applied once, in order, answered and archived")
        _say("next: tidemill up, then tidemill query")


def _subscribe(platform: Platform) -> str:
    """A queue that hears all replies; its URL."""
    sqs, sns = platform.emulator.client("sqs"), platform.emulator.client("sns")
    queue: str = sqs.create_queue(QueueName="tidemill-demo-replies")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = platform.outputs["RepliesTopicArn"]
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true"},
    )
    return queue


def _documents(platform: Platform) -> dict[str, State]:
    from tidemill_consumers.shell.attributes import from_item

    pages = platform.emulator.client("dynamodb").get_paginator("scan")
    found = pages.paginate(TableName=platform.outputs["TableName"], ConsistentRead=True)
    return {entity.key: entity.document for page in found for entity in map(from_item, page["Items"])}


def _quarantined(platform: Platform) -> set[bytes]:
    from base64 import b64decode

    s3, bucket = platform.emulator.client("s3"), platform.outputs["QuarantineBucketName"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    bodies = (json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys)
    return {b64decode(body["payload"]) for body in bodies}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _speed(text: str) -> float:
    if text == "max":
        return float("inf")
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a positive number nor max")
    return number


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201
