"""The demo's result: its fields, which --json writes, and its lines on the terminal.

Room: command line. tests/e2e/test_demo.py holds it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tidemill_cli.next_steps import after_demo
from tidemill_load.wording import counted


@dataclass
class Result:
    """The machine-readable result, as --json writes it."""

    requests: int = 0
    """Sent, and emitted by the rules."""
    emitted: int = 0
    accepted: int = 0
    rejected: int = 0
    quarantined: int = 0
    replies: int = 0
    producers: int = 1
    """Producers that sent: those that got a request."""
    producers_asked_for: int = 1
    invocations: int = 0
    records: int = 0
    put_calls: int = 0
    dynamodb_write_calls: int = 0
    distinct_keys_written: int = 0
    archived_rows: int = 0
    seconds: float = 0.0
    reconciled: bool = False
    unreadable_lines: int = 0
    photos: int = 0
    """Uploaded, of which one is replaced and one deleted."""
    refused_files: int = 0
    """Not uploaded: no thumbnails can be made of them, or they cannot be read."""
    sheet: str = ""
    """Where the contact sheet is."""
    not_written: list[str] = field(default_factory=list)
    """Files that were asked for and cannot be written, and why."""
    hostile: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @contextmanager
    def noting_what_is_not_written(self) -> Iterator[None]:
        """A file that cannot be written is part of the result: on a full disk the user still hears of all else."""
        try:
            yield
        except OSError as error:
            self.not_written.append(str(error))

    def count_without(self, missing: int) -> None:
        """Count the changes of photos that the stream was told of, and not those that it should have been told of."""
        if missing <= 0:
            return
        self.requests -= missing
        self.records -= missing
        self.put_calls -= missing
        self.differences.append(f"{counted(missing, 'change')} of photos not told to the stream, or not archived")


def _of(result: Result) -> str:
    if result.producers_asked_for == 1:
        return ""
    some = f"{result.producers:,} of " if result.producers < result.producers_asked_for else ""
    return f" of {some}{result.producers_asked_for:,} producers"


def report(result: Result, kept: Path | None, say: Callable[[str], None]) -> None:
    """Tell what was done, what differs, and what to run next.

    Args:
        result: of the demo.
        kept: the folder that its state and archive are in, if they are kept.
        say: shows a line.
    """
    say("")
    width = max(map(len, result.hostile), default=0)
    for name, fate in result.hostile.items():
        say(f"  hostile: {name:<{width}} {fate}")
    say(
        f"{result.requests:,} requests: {result.accepted:,} accepted, {result.rejected:,} rejected, "
        f"{result.quarantined:,} quarantined; {result.replies:,} replies; {result.archived_rows:,} archived"
    )
    if result.emitted:
        say(f"{result.emitted:,} of them were emitted by rules")
    if result.unreadable_lines:
        say(f"{result.unreadable_lines:,} lines of the log were not readable")
    say(
        f"{result.requests:,} requests{_of(result)} -> {result.invocations} Lambda invocations, "
        f"{result.dynamodb_write_calls} write calls for {result.distinct_keys_written:,} entities, "
        f"{result.records:,} records in {result.put_calls} puts; {result.seconds} s"
    )
    for line in result.differences:
        say(f"NOT RECONCILED: {line}")
    if result.reconciled:
        say("reconciled: every request applied once, in order, answered and archived")
    if result.reconciled and result.photos:
        say(f"reconciled: {counted(result.photos, 'photo')}, of which bucket, thumbnails, table and index agree")
    if result.refused_files:
        say(f"not uploaded: {counted(result.refused_files, 'file')}, for the reasons above")
    if result.sheet:
        say(f"the photos' contact sheet: {result.sheet}")
    for line in after_demo(kept):
        say(line)
