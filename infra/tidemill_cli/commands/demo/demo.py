"""One demo: starts the platform, uploads photos, replays requests, waits, reconciles, reports.

Room: command line. Tests: tests/e2e/test_demo.py.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from operator import ge
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill_cli.arguments.trace import fields_of
from tidemill_cli.commands.demo.crowd import of_many
from tidemill_cli.commands.demo.replay import flush, paced
from tidemill_cli.commands.demo.report import Result, report
from tidemill_cli.commands.demo.stored import copy_archive, quarantined
from tidemill_cli.commands.demo.stored import documents as stored_documents
from tidemill_cli.commands.demo.waiting import Progress
from tidemill_cli.result_file import write_result

if TYPE_CHECKING:
    from tidemill import Reply, Request
    from tidemill_cli.commands.demo.photos.course import Course
    from tidemill_cli.commands.demo.photos.generated import Shot
    from tidemill_cli.commands.demo.reconcile import Expected
    from tidemill_consumers.core.batch import State
    from tidemill_load.workloads.hostile import HostileRecord
    from tidemill_load.workloads.scheduled_request import ScheduledRequest
    from tidemill_local.platform import Platform

DEFAULT_REQUESTS = 5_000

EVENTS = ("content.processed", "content.removed")
"""Commands of what the media function tells the stream."""

WINDOW_SECONDS, ARCHIVE_SECONDS = "5", "5"

MOST_PHOTOS = 200
"""Files of a folder that are uploaded: a demo ends within minutes."""


class Demo:
    """A demo, to be run once.

    Args:
        args: the command's arguments.
        say: shows a line.
    """

    def __init__(self, args: argparse.Namespace, say: Callable[[str], None]) -> None:
        from tidemill_load.workloads.hostile import hostile_records

        self._args = args
        self._say = say
        self._keep: Path | None = args.keep
        self._hostile: list[HostileRecord] = hostile_records(args.seed) if args.hostile else []
        self._result = Result()
        self._shots = _shots(args)
        self._photos: Course | None = None
        self._sent: Sequence[Request] = []
        self._replies: dict[str, Reply] = {}
        self._applied = 0

    def run(self) -> Result:
        """Run it, and tell what came of it.

        Raises:
            DeploymentFailed, EmulatorError, GivenUp, ArchiveError, TraceError: it could not be run.
        """
        from tidemill.replies.queue import reply_queue
        from tidemill_cli.commands.up.page import shown_meanwhile
        from tidemill_local import kept_parameters
        from tidemill_local.platform import Platform
        from tidemill_page import Answers

        begun = time.monotonic()
        scheduled = self._workload()
        settings = {"BatchingWindowSeconds": WINDOW_SECONDS, "ArchiveIntervalSeconds": ARCHIVE_SECONDS}
        if self._shots:
            settings |= {"Photos": "on", "ApplicationSecret": secrets.token_urlsafe(32)}
        state = self._keep / "state" if self._keep else None
        answers = Answers()

        def heard(answer: bytes) -> None:
            answers.heard(answer)
            self._heard(answer)

        with (
            Platform(0, settings, say=self._say, heard=heard, state=state) as platform,
            shown_meanwhile(platform, answers, self._args.page, self._say),
        ):
            with reply_queue(platform.outputs["RepliesTopicArn"], client_of=platform.emulator.client) as queue:
                self._photos = self._upload(platform)
                self._replay(platform, scheduled)
                if self._photos:
                    self._change(self._photos)
                expected = self._expect()
                self._wait(platform, queue)
            self._reconcile(platform, expected)
            if self._photos:
                self._compare(self._photos)
            kept = None
            if self._keep and state:
                with self._result.noting_what_is_not_written():
                    kept_parameters.write(state, settings)
                    copy_archive(platform, self._keep / "archive")
                    kept = self._keep
        self._result.seconds = round(time.monotonic() - begun, 2)
        report(self._result, kept, self._say)
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
            self._say(f"line {line.line} is not readable: {line.reason}")
        return replayed

    def _heard(self, answer: bytes) -> None:
        found = json.loads(answer)
        if not isinstance(found, dict) or "applied" not in found:
            return  # another function's
        applied = found["applied"]
        self._result.distinct_keys_written += applied["keys"]
        self._result.dynamodb_write_calls += applied["write_calls"]
        self._applied += applied["requests"]

    def _upload(self, platform: Platform) -> Course | None:
        """The photos, on their way; None if there are to be none."""
        from tidemill_cli.commands.demo.photos.course import Course

        if not self._shots:
            return None
        if len(self._shots) > MOST_PHOTOS:
            self._say(f"of {len(self._shots):,} files in {self._args.photos}, the first {MOST_PHOTOS} by name")
        photos = Course(platform, self._shots[:MOST_PHOTOS])
        photos.send(self._say)
        return photos

    def _change(self, photos: Course) -> None:
        """Replace a photo and delete another, once all were looked at."""
        photos.settle(self._say)
        self._say(photos.change())
        photos.close()
        self._result.photos, self._result.refused_files = len(photos.wanted), len(photos.refused)
        self._result.requests += len(photos.requests) + photos.events
        self._result.records += photos.records + photos.events
        self._result.put_calls += photos.put_calls + photos.events

    def _replay(self, platform: Platform, scheduled: Iterable[ScheduledRequest]) -> None:
        from tidemill_cli.commands.demo.senders import sender

        kinesis = platform.emulator.client("kinesis")
        stream = platform.outputs["StreamName"]
        for record in self._hostile:
            kinesis.put_record(StreamName=stream, PartitionKey=record.partition_key, Data=record.data)
        sent: list[Request] = []
        progress = Progress(platform.emulator.check, self._say)

        def tick() -> None:
            progress.tick(lambda: f"sent {len(sent):,}; {platform.event_sources[0].counts.invocations} invocations")

        sending = sender(platform.emulator, stream, self._args.producers)
        try:
            sent.extend(map(sending.send, paced(scheduled, self._args.speed, tick)))
            flush(sending, tick)
            self._sent = sending.in_order(sent)
        finally:
            sending.close()
        self._result.requests = len(self._sent) + len(self._hostile)
        self._result.producers, self._result.producers_asked_for = sending.producers, self._args.producers
        self._result.records = sending.records + len(self._hostile)
        self._result.put_calls = sending.put_calls + len(self._hostile)
        self._say(f"sent {self._result.requests:,} requests in {self._result.records:,} records")

    def _expect(self) -> Expected:
        from tidemill_cli.commands.demo.reconcile import expect
        from tidemill_consumers.media import RULES

        expected = expect(self._sent, RULES)
        if self._photos:  # what becomes of their contents, the photos' own comparison tells
            published = {one.id: "accepted" for one in self._photos.requests}
            expected = replace(expected, statuses={**expected.statuses, **published})
        self._result.emitted = len(expected.emitted)
        self._result.requests += self._result.emitted
        return expected

    def _wait(self, platform: Platform, queue: str) -> None:
        """Until all is applied, answered and archived, or nothing has moved for long."""
        from tidemill import Replies

        # What rules emit comes in records of its own, beyond those that were sent; its requests are counted, but twice
        # if they come again.
        asked = self._result.requests - self._result.emitted - len(self._hostile)
        goal = self._result.records, self._result.requests, asked, self._result.requests
        steps = "records done", "requests applied", "replies heard", "requests archived"

        def text(reached: tuple[int, ...]) -> str:
            return ", ".join(
                f"{done:,} of {max(done, whole):,} {step}"
                for done, whole, step in zip(reached, goal, steps, strict=True)
            )

        with Replies(queue, sqs=platform.emulator.client("sqs")) as replies:

            def look() -> tuple[int, ...]:
                self._replies |= {reply.id: reply for reply in replies.poll(1)}
                delivered = platform.delivery_streams[0].delivered
                archived = delivered.records + delivered.failed
                return platform.event_sources[0].counts.records, self._applied, len(self._replies), archived

            Progress(platform.emulator.check, self._say).until(look, lambda now: all(map(ge, now, goal)), text, pause=0)

    def _reconcile(self, platform: Platform, expected: Expected) -> None:
        from tidemill_analytics.archive import Archive
        from tidemill_cli.commands.demo.reconcile import differences

        result = self._result
        archive = Archive(
            f"s3://{platform.outputs['ArchiveBucketName']}", platform.emulator.endpoint_url, "test", "test"
        )
        rows = archive.sql("SELECT id, cmd FROM interactions")
        ids, events = rows["id"], set(rows["id"][rows["cmd"].isin(EVENTS)])
        documents = stored_documents(platform)
        result.archived_rows = len(ids)
        ours = Counter(one for one in ids.dropna() if one in expected.statuses)
        result.differences = differences(expected, self._replies, documents, ours)
        if self._photos:
            result.count_without(self._photos.events - len(events))
        statuses: Counter[str] = Counter(self._replies[i].status for i in expected.statuses if i in self._replies)
        # Nobody is answered for what rules emit: that it is archived, and the documents, tell.
        statuses.update(expected.statuses[i] for i in expected.emitted if ours[i])
        statuses.update(self._replies[i].status for i in events if i in self._replies)
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

    def _compare(self, photos: Course) -> None:
        """Whether bucket, table and index agree on the photos; and their contact sheet."""
        self._result.differences += photos.disagreements(self._say)
        self._result.reconciled = not self._result.differences
        sheet = photos.sheet()
        for path in filter(None, [self._args.sheet, self._keep and self._keep / "contact-sheet.html"]):
            with self._result.noting_what_is_not_written():
                write_result(path, sheet)
                self._result.sheet = str(path)

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


def _shots(args: argparse.Namespace) -> list[Shot]:
    """The photos to upload; none if there are to be none."""
    if args.no_photos or (args.trace and not args.photos):
        return []
    if args.photos:
        from tidemill_cli.commands.demo.photos.files import shots_in

        return list(shots_in(args.photos))
    from tidemill_cli.commands.demo.photos.generated import shots

    return list(shots(args.seed))
