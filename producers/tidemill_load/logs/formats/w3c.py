"""W3C's extended log format, whose #Fields line names the columns: CloudFront's standard logs, and IIS's.

Room: load, logs; pure. https://www.w3.org/TR/WD-logfile.html and
https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tidemill_load.logs.clock import Clock, any_time, iso_second
from tidemill_load.logs.columns import NOTHING, Bad, Columns, Reader, together
from tidemill_load.logs.pattern import path_of

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields

NAME = "W3C extended log format"

_FIELDS = b"#Fields:"
_STAMPS = (b"timestamp(ms)", b"timestamp")


def recognise(lines: Sequence[bytes], fields: Fields | None) -> Reader | None:
    """A reader, if a #Fields line comes before all others."""
    first = next((line for line in lines if not line.startswith(b"#")), b"")
    named = any(line.startswith(_FIELDS) for line in lines[: lines.index(first) if first else None])
    return W3cReader() if named else None


@dataclass(slots=True)
class W3cReader:
    """Reads a file; a #Fields line holds until the next."""

    name: str = NAME
    _names: list[bytes] = field(default_factory=list)
    _seconds: Clock = field(default_factory=lambda: Clock(iso_second))
    _stamps: Clock = field(default_factory=lambda: Clock(any_time))

    def read(self, block: bytes) -> tuple[Columns, Sequence[Bad]]:
        """The requests of a block, in which the names of the columns may change, and the lines that hold none."""
        parts: list[tuple[Columns, Sequence[Bad]]] = []
        lines: list[tuple[int, bytes]] = []
        for place, line in enumerate(block.splitlines()):
            if line.startswith(_FIELDS):
                parts.append(self._part(lines))
                lines, self._names = [], line[len(_FIELDS) :].split()
            elif line and not line.startswith(b"#"):
                lines.append((place, line))
        parts.append(self._part(lines))
        columns = [columns for columns, _ in parts if len(columns)]
        return together(columns or [NOTHING]), [bad for _, its in parts for bad in its]

    def _part(self, lines: Sequence[tuple[int, bytes]]) -> tuple[Columns, Sequence[Bad]]:
        columns = self._rows([line for _, line in lines])
        if len(columns) == len(lines):
            return columns, ()
        return columns, [Bad(place, line, self._why(line)) for place, line in lines if not len(self._rows([line]))]

    def _why(self, line: bytes) -> str:
        cells = len(line.split(_separator(line)))
        if cells != len(self._names):
            return f"{cells} columns, and #Fields names {len(self._names)}"
        return "the columns of the time hold none, or there are none for time and cs-uri-stem"

    def _rows(self, lines: Sequence[bytes]) -> Columns:
        if not lines:
            return NOTHING
        separator, width = _separator(lines[0]), len(self._names)
        rows = [row for line in lines if len(row := line.split(separator)) == width]
        columns = dict(zip(self._names, zip(*rows, strict=True), strict=True)) if rows else {}
        times, stems = self._times(columns), columns.get(b"cs-uri-stem")
        if times is None or stems is None:
            return NOTHING
        queries = columns.get(b"cs-uri-query") or (b"-",) * len(stems)
        return Columns(
            times,
            columns.get(b"c-ip") or (b"-",) * len(stems),
            list(map(path_of, stems)),
            columns.get(b"cs-method", ()),
            [stem if query == b"-" else stem + b"?" + query for stem, query in zip(stems, queries, strict=True)],
            columns.get(b"sc-status", ()),
            columns.get(b"sc-bytes", ()),
        ).dated()

    def _times(self, columns: dict[bytes, tuple[bytes, ...]]) -> np.ndarray[tuple[int], np.dtype[np.float64]] | None:
        for name in _STAMPS:
            if name in columns:
                return self._stamps.times(columns[name])
        if b"date" not in columns or b"time" not in columns:
            return None
        pairs = zip(columns[b"date"], columns[b"time"], strict=True)
        return self._seconds.times([day + b"T" + clock for day, clock in pairs])


def _separator(line: bytes) -> bytes:
    return b"\t" if b"\t" in line else b" "
