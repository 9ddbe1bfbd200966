"""The requests of `tidemill smoke` in the archive: each a line of its own, also those of an aggregated record.

Room: command line.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tidemill.contract.request import RefusedRequest, decode
from tidemill_cli.commands.smoke.failures import Skipped, StepFailed
from tidemill_cli.commands.smoke.hearing import Hearing
from tidemill_cli.commands.smoke.under_test import UnderTest

LANDING = "landing/"
"""The prefix of the template's delivery stream, which adds dt=YYYY-MM-DD/hour=HH/ of UTC."""

LOOK_SECONDS = 2.0
"""Between two looks at the bucket."""

CLOCKS_DIFFER = timedelta(minutes=5)
"""By which a file may be older than this run, as far as clocks tell."""


@dataclass(slots=True)
class Seen:
    """What the archive's lines hold of a run.

    Args:
        run: what its ids begin with.

    Attributes:
        ids: of requests that have a line of their own.
        spoiled: lines with one of its ids that are no request: several run together, or a record as it was put.
    """

    run: str
    ids: set[str] = field(default_factory=set)
    spoiled: list[bytes] = field(default_factory=list)

    def read(self, lines: Iterable[bytes]) -> None:
        """Read the lines of a file."""
        ours = self.run.encode()
        for line in lines:
            if ours not in line:
                continue
            try:
                self.ids.add(decode(line.rstrip(b"\n")).id)
            except RefusedRequest:
                self.spoiled.append(line)

    @property
    def fault(self) -> str | None:
        """Why lines are spoiled; None if none is."""
        if not self.spoiled:
            return None
        if any(line.startswith(b'{"') for line in self.spoiled):
            return "requests stand behind one another in a line: Firehose put no delimiter after each"
        return "an aggregated record stands in it as it was put: Firehose did not take it apart"


def in_the_archive(stack: UnderTest, _: Hearing) -> str:
    """All that this run put on the stream, in files of the archive."""
    wanted = set(stack.on_stream)
    if not wanted:
        raise Skipped("nothing was put on the stream")
    seen, files, read = Seen(stack.run), 0, set[str]()
    deadline = time.monotonic() + stack.archive_seconds
    s3 = stack.client("s3")
    while True:
        for name in _new_files(stack, s3, read, deadline):
            before = len(seen.ids)
            seen.read(_lines(s3, stack.output("ArchiveBucketName"), name))
            files += len(seen.ids) > before
        if seen.fault:
            raise StepFailed(seen.fault)
        if wanted <= seen.ids:
            return f"all {len(wanted)} requests in {files} file{'s' if files > 1 else ''}, a line each"
        if time.monotonic() > deadline:
            raise StepFailed(_missing(stack, wanted, seen))
        time.sleep(LOOK_SECONDS)


def _missing(stack: UnderTest, wanted: set[str], seen: Seen) -> str:
    missing = sorted(wanted - seen.ids)
    log = stack.outputs.get("ArchiveDeliveryStreamName", "the delivery stream")
    return (
        f"{len(missing)} of {len(wanted)} requests are not in the archive after {stack.archive_seconds:.0f} s, such as "
        f"{missing[0]}: look at {log}, and at the log group ArchiveLogs of the stack"
    )


def _new_files(stack: UnderTest, s3: Any, read: set[str], deadline: float) -> Iterator[str]:
    """The names of files that may hold this run's requests, and were not read."""
    since = datetime.fromtimestamp(stack.begun, UTC) - CLOCKS_DIFFER
    bucket, pages = stack.output("ArchiveBucketName"), s3.get_paginator("list_objects_v2")
    for prefix in hours(since, datetime.fromtimestamp(stack.now(), UTC) + CLOCKS_DIFFER):
        for page in pages.paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Contents", ()):
                if time.monotonic() > deadline:
                    return
                if one["Key"] not in read and one["LastModified"] >= since:
                    read.add(one["Key"])
                    yield one["Key"]


def hours(first: datetime, last: datetime) -> list[str]:
    """The prefixes of all hours from one moment to another."""
    begin = first.replace(minute=0, second=0, microsecond=0)
    count = int((last - begin) / timedelta(hours=1)) + 1
    moments = [begin + timedelta(hours=number) for number in range(count)]
    return [f"{LANDING}dt={one:%Y-%m-%d}/hour={one:%H}/" for one in moments]


def _lines(s3: Any, bucket: str, name: str) -> Iterator[bytes]:
    body = s3.get_object(Bucket=bucket, Key=name)["Body"]
    with closing(body), gzip.GzipFile(fileobj=body) as file:
        yield from file
