"""`tidemill demo`: the whole pipe on this machine, on a generated workload or a real access log.

Room: command line. Starts the platform, replays, waits, reconciles, reports.
Tests: tests/e2e/test_demo.py.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from operator import ge
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill_cli.arguments.page import add_page
from tidemill_cli.arguments.trace import add_trace, fields_of
from tidemill_cli.commands.demo.crowd import of_many
from tidemill_cli.commands.demo.replay import PATIENCE, Progress, flush, paced
from tidemill_cli.commands.demo.report import Result, report
from tidemill_cli.commands.demo.stored import copy_archive, quarantined
from tidemill_cli.commands.demo.stored import documents as stored_documents
from tidemill_cli.errors import FAILED, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_result
from tidemill_cli.units import above_zero, positive, producers

if TYPE_CHECKING:
    from tidemill import Reply, Request
    from tidemill_cli.commands.demo.reconcile import Expected
    from tidemill_consumers.core.batch import State
    from tidemill_load.workloads.hostile import HostileRecord
    from tidemill_load.workloads.scheduled_request import ScheduledRequest
    from tidemill_local.platform import Platform

DEFAULT_REQUESTS = 5_000
PARENT_SECONDS = 0.5
"""Seconds between two looks at whether make, which started the demo, is still there."""

WINDOW_SECONDS, ARCHIVE_SECONDS = "5", "5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_trace(parser, "replay what was asked for once")
    parser.add_argument("--requests", type=positive, metavar="N", help="at most N requests")
    parser.add_argument(
        "--producers",
        type=producers,
        default=1,
        metavar="N",
        help="who send, each a writer of its own (1)",
    )
    parser.add_argument("--speed", type=_speed, metavar="N|max", help="times real time, or as fast as it goes")
    parser.add_argument("--seed", type=int, default=1, help="of the generated workload")
    parser.add_argument(
        "--hostile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mix in records that are no requests",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="leave the platform's state and the archive in FOLDER, a new one"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result to PATH")
    add_page(parser)
    parser.epilog = "example: tidemill demo --trace access.log --speed max --json out.json"


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 when everything reconciles."""
    _say("tidemill: the whole pipe on this machine; nothing leaves it")
    if "MAKELEVEL" in os.environ:
        _end_with_parent()
    # Imported here: the line above must not wait for them.
    from tidemill import GivenUp
    from tidemill_analytics.archive import ArchiveError
    from tidemill_load.workloads.trace import TraceError
    from tidemill_local.deployment import DeploymentFailed
    from tidemill_local.emulator import EmulatorError

    expected = (TraceError, DeploymentFailed, EmulatorError, GivenUp, ArchiveError)
    return run_or_tell("demo", lambda: _run(args), *expected)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    if args.keep:
        _check_new(args.keep)
    result = _Demo(args).run()
    if args.json:
        write_result(args.json, json_text(asdict(result)))
    return 0 if result.reconciled else FAILED


def _end_with_parent() -> None:
    """Stop as on SIGTERM once the parent is gone: make, when killed, cannot tell its children."""
    parent, main = os.getppid(), threading.main_thread()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        signal.pthread_kill(main.ident or 0, signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


class _Demo:
    def __init__(self, args: argparse.Namespace) -> None:
        from tidemill_load.workloads.hostile import hostile_records

        self._args = args
        self._keep: Path | None = args.keep
        self._hostile: list[HostileRecord] = hostile_records(args.seed) if args.hostile else []
        self._result = Result()
        self._sent: Sequence[Request] = []
        self._replies: dict[str, Reply] = {}
        self._applied = 0

    def run(self) -> Result:
        from tidemill.replies.queue import reply_queue
        from tidemill_cli.commands.up.page import shown_meanwhile
        from tidemill_local import kept_parameters
        from tidemill_local.platform import Platform
        from tidemill_page import Answers

        begun = time.monotonic()
        scheduled = self._workload()
        settings = {"BatchingWindowSeconds": WINDOW_SECONDS, "ArchiveIntervalSeconds": ARCHIVE_SECONDS}
        state = self._keep / "state" if self._keep else None
        answers = Answers()

        def heard(answer: bytes) -> None:
            answers.heard(answer)
            self._heard(answer)

        with (
            Platform(0, settings, say=_say, heard=heard, state=state) as platform,
            shown_meanwhile(platform, answers, self._args.page, _say),
        ):
            with reply_queue(platform.outputs["RepliesTopicArn"], client_of=platform.emulator.client) as queue:
                self._replay(platform, scheduled)
                expected = self._expect()
                self._wait(platform, queue)
            self._reconcile(platform, expected)
            if self._keep and state:
                kept_parameters.write(state, settings)
                copy_archive(platform, self._keep / "archive")
        self._result.seconds = round(time.monotonic() - begun, 2)
        report(self._result, self._keep, _say)
        return self._result

    def _workload(self) -> Iterable[ScheduledRequest]:
        from tidemill_load.workloads.trace import read_trace
        from tidemill_load.workloads.workload import generate

        if not self._args.trace:
            scheduled = generate(self._args.requests or DEFAULT_REQUESTS, self._args.seed)
            return scheduled if self._args.producers == 1 else of_many(scheduled, self._args.producers, self._args.seed)
        trace = read_trace(self._args.trace, fields_of(self._args))
        replayed = list(islice(trace, self._args.requests))
        self._result.unreadable_lines = trace.unreadable
        for line in trace.first_unreadable:
            _say(f"line {line.line} is not readable: {line.reason}")
        return replayed

    def _heard(self, answer: bytes) -> None:
        applied = json.loads(answer)["applied"]
        self._result.distinct_keys_written += applied["keys"]
        self._result.dynamodb_write_calls += applied["write_calls"]
        self._applied += applied["requests"]

    def _replay(self, platform: Platform, scheduled: Iterable[ScheduledRequest]) -> None:
        from tidemill_cli.commands.demo.senders import sender

        kinesis = platform.emulator.client("kinesis")
        stream = platform.outputs["StreamName"]
        for record in self._hostile:
            kinesis.put_record(StreamName=stream, PartitionKey=record.partition_key, Data=record.data)
        sent: list[Request] = []
        progress = Progress(
            platform.emulator,
            lambda: f"sent {len(sent):,}; {platform.event_sources[0].counts.invocations} invocations",
            _say,
        )
        sending = sender(platform.emulator, stream, self._args.producers)
        try:
            sent.extend(map(sending.send, paced(scheduled, self._args.speed, progress)))
            flush(sending, progress)
            self._sent = sending.in_order(sent)
        finally:
            sending.close()
        self._result.requests = len(self._sent) + len(self._hostile)
        self._result.producers, self._result.producers_asked_for = sending.producers, self._args.producers
        self._result.records = sending.records + len(self._hostile)
        self._result.put_calls = sending.put_calls + len(self._hostile)
        _say(f"sent {self._result.requests:,} requests in {self._result.records:,} records")

    def _expect(self) -> Expected:
        from tidemill_cli.commands.demo.reconcile import expect
        from tidemill_consumers.media import RULES

        expected = expect(self._sent, RULES)
        self._result.emitted = len(expected.emitted)
        self._result.requests += self._result.emitted
        return expected

    def _wait(self, platform: Platform, queue: str) -> None:
        """Until all is applied, answered and archived, or nothing has moved for long."""
        from tidemill import Replies

        def reached() -> tuple[int, int, int, int]:
            archived = platform.delivery_streams[0].delivered.records + platform.delivery_streams[0].delivered.failed
            return platform.event_sources[0].counts.records, self._applied, len(self._replies), archived

        # What rules emit comes in records of its own, beyond those that were sent; its requests are counted, but twice
        # if they come again.
        goal = self._result.records, self._result.requests, len(self._sent), self._result.requests
        steps = "records done", "requests applied", "replies heard", "requests archived"

        def text() -> str:
            return ", ".join(
                f"{done:,} of {max(done, whole):,} {step}"
                for done, whole, step in zip(reached(), goal, steps, strict=True)
            )

        progress = Progress(platform.emulator, text, _say)
        moved, before = time.monotonic(), reached()
        with Replies(queue, sqs=platform.emulator.client("sqs")) as replies:
            while time.monotonic() - moved < PATIENCE:
                progress.tick()
                self._replies |= {reply.id: reply for reply in replies.poll(1)}
                now = reached()
                if all(map(ge, now, goal)):
                    return
                if now != before:
                    moved, before = time.monotonic(), now
        _say(f"nothing has moved for {PATIENCE:.0f} s; reconciling what there is")

    def _reconcile(self, platform: Platform, expected: Expected) -> None:
        from tidemill_analytics.archive import Archive
        from tidemill_cli.commands.demo.reconcile import differences

        result = self._result
        archive = Archive(
            f"s3://{platform.outputs['ArchiveBucketName']}", platform.emulator.endpoint_url, "test", "test"
        )
        ids = archive.sql("SELECT id FROM interactions")["id"]
        documents = stored_documents(platform)
        result.archived_rows = len(ids)
        ours = Counter(one for one in ids.dropna() if one in expected.statuses)
        result.differences = differences(expected, self._replies, documents, ours)
        statuses: Counter[str] = Counter(self._replies[i].status for i in expected.statuses if i in self._replies)
        # Nobody is answered for what rules emit: that it is archived, and the documents, tell.
        statuses.update(expected.statuses[i] for i in expected.emitted if ours[i])
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
        payloads = quarantined(platform)
        for record in self._hostile:
            tracked = (documents.get(record.partition_key) or {}).get("events", 0)
            fate = "quarantined" if record.data in payloads else "accepted" if tracked else "lost"
            self._result.hostile[record.name] = fate
            statuses[fate] += 1
            if fate != record.fate:
                self._result.differences.append(f"hostile record {record.name}: {fate}, not {record.fate}")


def _check_new(folder: Path) -> None:
    """Make the folder, for its owner only; refuse one with contents, whose requests would not reconcile."""
    os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise OSError(f"{folder} cannot keep anything: {error.strerror}") from None
    if taken:
        raise FileExistsError(f"{folder} is not empty; name a new folder to keep it in")


def _speed(text: str) -> float:
    return float("inf") if text == "max" else above_zero(text, "is neither a positive number nor max")


def _say(text: str) -> None:
    print(text, flush=True)
