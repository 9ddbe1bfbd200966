"""The requests of `tidemill smoke` in the archive: each a line of its own, also those of an aggregated record.

Room: command line.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tidemill.contract.request import RefusedRequest, decode
from tidemill_cli.commands.smoke.failures import Skipped, StepFailed
from tidemill_cli.commands.smoke.hearing import Hearing
from tidemill_cli.commands.smoke.subject import UnderTest
from tidemill_deploy.stack.archive_files import ArchiveFiles

LANDING = "landing/"
"""The prefix of the template's delivery stream, which adds dt=YYYY-MM-DD/hour=HH/ of UTC."""

LOOK_SECONDS = 2.0
"""Between two looks at the bucket."""


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
    seen, files = Seen(stack.run), 0
    deadline = time.monotonic() + stack.archive_seconds
    begun = datetime.fromtimestamp(stack.begun, UTC)
    archive = ArchiveFiles(stack.client("s3"), stack.output("ArchiveBucketName"), LANDING, begun)
    while True:
        for name in archive.new(datetime.fromtimestamp(stack.now(), UTC)):
            before = len(seen.ids)
            seen.read(archive.lines(name))
            files += len(seen.ids) > before
            if time.monotonic() > deadline:
                break
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
