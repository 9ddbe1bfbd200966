"""The traces of the Internet Traffic Archive as tab-separated values.

Room: load, logs; pure.
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

from tidemill_load.logs.clock import Clock
from tidemill_load.logs.columns import NOTHING, Bad, Columns, Reader, bad_lines
from tidemill_load.logs.pattern import path_of

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields

HEADER = ("host", "logname", "time", "method", "url", "response", "bytes", "referer", "useragent")
"""The row that such a file begins with."""

_HEADER = "\t".join(HEADER).encode()


def recognise(lines: Sequence[bytes], fields: Fields | None) -> Reader | None:
    """A reader, if the file begins with the header."""
    return TsvReader() if lines and lines[0] == _HEADER else None


class TsvReader:
    """Reads a file."""

    name = "trace TSV"

    def __init__(self) -> None:
        self._clock = Clock(_count)

    def read(self, block: bytes) -> tuple[Columns, Sequence[Bad]]:
        """The requests of a block, and the lines that have another number of fields, an empty one, or no time."""
        columns = self._rows(block)
        return columns, () if len(columns) == block.count(b"\n") else bad_lines(block, self._why)

    def _rows(self, block: bytes) -> Columns:
        rows = [row for line in block.split(b"\n") if len(row := line.rstrip(b"\r").split(b"\t")) == len(HEADER)]
        rows = [row for row in rows if row[0] and row[3] and row[4]]
        if not rows:
            return NOTHING
        hosts, _, times, methods, urls, statuses, sizes, _, _ = zip(*rows, strict=True)
        return Columns(
            self._clock.times(times), hosts, list(map(path_of, urls)), methods, urls, statuses, sizes
        ).dated()

    def _why(self, line: bytes) -> str | None:
        if line == _HEADER or len(self._rows(line)):
            return None
        fields = line.split(b"\t")
        if len(fields) != len(HEADER):
            return f"{len(fields)} fields instead of {len(HEADER)}"
        if not (fields[0] and fields[3] and fields[4]):
            return "host, method or url is empty"
        return f"the time {fields[2][:40].decode('latin-1')!r} is not a count of seconds"


def _count(text: str) -> float:
    return float(text) if text.isdigit() and len(text) <= len("8072568000000") else nan
