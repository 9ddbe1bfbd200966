"""A log of one file or many: its requests as columns in the order of time, and what could not be read.

Room: load, logs. Streaming: a block of each file that is open, and no more.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill_load.logs.columns import NOTHING, Bad, Columns, Fields, bad_lines
from tidemill_load.logs.detect import NAMES, recognise
from tidemill_load.logs.files import MAX_LINE_BYTES, Damaged, TraceError, blocks, files_of
from tidemill_load.logs.merge import Stream, in_order
from tidemill_load.logs.unfit import why

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Reader

REASONS_KEPT = 5
"""How many unreadable lines are kept with their reason; all are counted."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that holds no request: its number, counted from 1, why, and in which file."""

    line: int
    reason: str
    path: Path


class Log:
    """An access log. Each iteration reads it again, and yields columns in the order of time.

    The counts are those of the latest iteration.

    Attributes:
        files: that hold requests.
        without: files of a folder that hold none, such as a load balancer's test file.
        formats: of the files, for people.
        requests: requests read.
        unreadable: lines that hold no request.
        first_unreadable: the first few of those lines, with reasons.
    """

    def __init__(self, paths: Sequence[Path], fields: Fields | None = None) -> None:
        self._fields = fields
        self._start_count()
        beginnings = {path: self._beginning(path) for path in files_of(paths)}
        self.files = [path for path, start in beginnings.items() if start is not None]
        self.without = [path for path, start in beginnings.items() if start is None]
        self._starts = [start for start in beginnings.values() if start is not None]
        if not self.files or any(path in self.without for path in paths):
            raise TraceError(self._no_request(next(path for path in (*paths, *self.without) if path not in self.files)))

    def __iter__(self) -> Generator[Columns]:
        self._start_count()
        streams = [Stream(start, self._of_file(path)) for start, path in zip(self._starts, self.files, strict=True)]
        for columns in in_order(streams):
            self.requests += len(columns)
            yield columns

    def _start_count(self) -> None:
        self.requests = 0
        self.unreadable = 0
        self.formats: dict[str, None] = {}
        self.first_unreadable: tuple[Unreadable, ...] = ()

    def _beginning(self, path: Path) -> float | None:
        """When its first request was; None where it holds none."""
        with closing(self._of_file(path)) as parts:
            return next((float(part.times[0]) for part in parts if len(part)), None)

    def _no_request(self, path: Path) -> str:
        noted = next((one for one in self.first_unreadable if path in (one.path, *one.path.parents)), None)
        because = f": line {noted.line}: {noted.reason}" if noted else ""
        if self._fields is None:
            return f"{path} holds no request in {NAMES}{because}"
        return f"{path} holds no request in JSON or CSV with such fields{because}"

    def _of_file(self, path: Path) -> Generator[Columns]:
        reader: Reader | None = None
        before = 0
        try:
            for block in blocks(path):
                reader = reader or recognise(block, self._fields)
                columns, bad = reader.read(block) if reader else (NOTHING, self._unknown(block))
                for one in bad:
                    self._note(path, before + one.place + 1, _plainly(one))
                before += block.count(b"\n")
                if reader:
                    self.formats[reader.name] = None
                yield columns
        except Damaged as error:
            self._note(path, before + 1, str(error))

    def _unknown(self, block: bytes) -> list[Bad]:
        reason = why(block, self._fields)
        return bad_lines(block, lambda _: reason)

    def _note(self, path: Path, line: int, reason: str) -> None:
        self.unreadable += 1
        if len(self.first_unreadable) < REASONS_KEPT:
            self.first_unreadable += (Unreadable(line, reason, path),)


def _plainly(bad: Bad) -> str:
    """Why, but where it is plainer what the line is."""
    if zeros := bad.line.count(0):
        return "UTF-16, which is not read; write it as UTF-8" if zeros > len(bad.line) // 3 else "binary, not text"
    return f"longer than {MAX_LINE_BYTES} bytes" if len(bad.line) >= MAX_LINE_BYTES else bad.reason


def read_log(paths: Iterable[Path], fields: Fields | None = None) -> Log:
    """The access log in those files and folders; format and gzip are recognised by content, file by file.

    Files are read in the order of time, several at once where they overlap, as those of a load balancer's nodes do.
    Empty lines and comments are skipped, unreadable lines counted.

    Args:
        paths: files and folders.
        fields: the names of the fields, in JSON or CSV of one's own.

    Raises:
        TraceError: no such file, not permitted, or without one readable line.
    """
    return Log(list(paths), fields)


def lines_of(log: Log) -> Iterator[str]:
    """The first unreadable lines, a sentence each."""
    for one in log.first_unreadable:
        where = f"{one.path.name}, " if len(log.files) > 1 else ""
        yield f"{where}line {one.line} is not readable: {one.reason}"
