"""Formats whose lines a regular expression matches: all lines of a block in one call.

Room: load, logs; pure.
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from tidemill_load.logs.columns import NOTHING, Bad, Columns, bad_lines

METHOD = rb"[A-Za-z][A-Za-z_-]{0,31}"
"""An HTTP method. What is none was no request, such as a scanner's bytes or a connection that was closed."""

STAMP = rb"(?:\d{4}-\d\d-\d\dT[\d:.]+Z )?"
"""The prefix that an export of CloudWatch Logs puts before each line."""


@dataclass(frozen=True, slots=True)
class PatternReader:
    """Reads lines by a pattern.

    Args:
        name: of the format.
        pattern: with the flag MULTILINE; matches whole lines, and never more than one.
        columns: makes columns of the pattern's groups.
        explain: why a line does not match, where there is more to say.
    """

    name: str
    pattern: re.Pattern[bytes]
    columns: Callable[[Sequence[tuple[bytes, ...]]], Columns]
    explain: Callable[[bytes], str | None] = lambda _: None

    def read(self, block: bytes) -> tuple[Columns, Sequence[Bad]]:
        """All lines that match, and those that do not."""
        columns = self._rows(block)
        return columns, () if len(columns) == block.count(b"\n") else bad_lines(block, self._why)

    def _rows(self, block: bytes) -> Columns:
        rows = self.pattern.findall(block)
        return self.columns(rows).dated() if rows else NOTHING

    def _why(self, line: bytes) -> str | None:
        if len(self._rows(line)):
            return None
        if self.pattern.match(line):
            return "the time is not a time"
        return self.explain(line) or f"not {self.name}"

    def matches(self, line: bytes) -> bool:
        """Whether it holds a request."""
        return self.pattern.match(line) is not None


@lru_cache(maxsize=64 * 1024)
def path_of(url: bytes) -> bytes:
    """The path of a URL, or of one with scheme and host as a proxy's request has it."""
    path = url
    if b"://" in url:
        try:
            path = urlsplit(url).path
        except ValueError:  # such as "http://[" of a scanner
            path = url
    path = path.partition(b"?")[0].partition(b"#")[0]
    return path if path.startswith(b"/") else b"/" + path
