"""Tables of comma-separated values whose columns are named.

Room: load, logs; pure.
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tidemill_load.logs.clock import Clock, any_time
from tidemill_load.logs.columns import NOTHING, Bad, Columns, Reader

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Fields

DELIMITERS = ",;\t|"

MAX_CARRIED = 1024 * 1024
"""Bytes of an unfinished quotation that wait for its end; more than that is no quotation but a stray mark."""

MAX_ROW = 2 * MAX_CARRIED

_NAME = re.compile(r"[^\W\d][\w ./:-]{0,39}")


def recognise(lines: Sequence[bytes], fields: Fields | None) -> Reader | None:
    """A reader, if the first line names the columns; or if they are given by number, 1 for the first."""
    if fields is None or not lines:
        return None
    wanted = [fields.time, fields.key, *filter(None, [fields.client])]
    for delimiter in DELIMITERS:
        header = _cells(lines[0], delimiter)
        if set(wanted) <= set(header):
            return CsvReader(delimiter, tuple(map(header.index, wanted)), header)
        if all(name.isdigit() and 1 <= int(name) <= len(header) for name in wanted) and len(header) > 1:
            return CsvReader(delimiter, tuple(int(name) - 1 for name in wanted))
    return None


def names(line: bytes) -> list[str]:
    """The columns that a header names; none if it does not look like one."""
    cells = max((_cells(line, delimiter) for delimiter in DELIMITERS), key=len)
    return cells if len(cells) > 1 and all(map(_NAME.fullmatch, cells)) else []


@dataclass(slots=True)
class CsvReader:
    """Reads a table.

    Args:
        delimiter: between cells.
        places: of time, key and, where it is known, client.
        header: the line that names the columns; None where there is none.
    """

    delimiter: str
    places: tuple[int, ...]
    header: list[str] | None = None
    name: str = "CSV"
    _carried: bytes = b""
    _clock: Clock = field(default_factory=lambda: Clock(any_time))

    def read(self, block: bytes) -> tuple[Columns, Sequence[Bad]]:
        """The rows of a block, and those that lack a cell or a time.

        A quotation may hold line breaks, and go on in the next block.
        """
        before = self._carried.count(b"\n")
        block, self._carried = _closed(self._carried + block)
        rows, bad = self._rows(block, before)
        if not rows:
            return NOTHING, bad
        _, cells = zip(*rows, strict=True)
        columns = list(zip(*cells, strict=True))
        clients = columns[2] if len(columns) > 2 else (b"-",) * len(rows)
        found = Columns(self._clock.times(columns[0]), clients, columns[1])
        undated = np.flatnonzero(~np.isfinite(found.times)).tolist()
        bad += [Bad(rows[row][0], b"", f"{_cut(columns[0][row])!r} is not a time") for row in undated]
        return found.dated(), sorted(bad, key=lambda one: one.place)

    def _rows(self, block: bytes, before: int) -> tuple[list[tuple[int, tuple[bytes, ...]]], list[Bad]]:
        """The rows whose cells are there, each with the place of its line."""
        csv.field_size_limit(MAX_ROW)
        lines = block.decode("utf-8-sig", "surrogateescape").splitlines(keepends=True)
        table = csv.reader(lines, delimiter=self.delimiter)
        most, key = max(self.places), self.places[1]
        rows: list[tuple[int, tuple[bytes, ...]]] = []
        bad: list[Bad] = []
        for row in table:
            place = table.line_num - 1 - before
            if len(row) > most and row[key]:
                if self.header != row:
                    rows.append((place, tuple(row[cell].encode("utf-8", "surrogateescape") for cell in self.places)))
            elif row:
                why = "the key is empty" if len(row) > most else f"{len(row)} cells, and {most + 1} are needed"
                bad.append(Bad(place, b"", why))
        return rows, bad


def _closed(block: bytes) -> tuple[bytes, bytes]:
    """The rows that are whole, and the one whose quotation is not at its end yet."""
    if block.count(b'"') % 2 == 0 or len(block) > MAX_CARRIED:
        return block, b""
    cut = block.rfind(b"\n", 0, block.rfind(b'"')) + 1
    return block[:cut], block[cut:]


def _cells(line: bytes, delimiter: str) -> list[str]:
    text = line.decode("utf-8-sig", "replace")
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:  # a carriage return within, or more than a cell may hold: no header
        return []


def _cut(text: bytes) -> str:
    return text[:40].decode("utf-8", "replace")
