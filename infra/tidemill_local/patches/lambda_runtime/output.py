"""The output of a function's process, as events of its log.

Room: local platform, I/O: reads a pipe that does not block.
Tests: tests/infra/tidemill_local/patches/lambda_runtime/test_environment.py.
"""

from __future__ import annotations

import os
import time
from typing import IO

from tidemill_local.patches.lambda_runtime.invocations import Line

LINE_LIMIT = 256 * 1024
"""Most bytes of an event of the log: a longer line is cut."""

_CHUNK = 256 * 1024

_MOST_CHUNKS_AT_ONCE = 64  # a process that prints without end must not keep its answer from being given


class Output:
    """Cuts the bytes from a pipe into lines.

    Args:
        pipe: the process's standard output and error; it is made not to block.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self.pipe = pipe
        self._printed = bytearray()
        self._lines: list[Line] = []

    def take_lines(self) -> list[Line]:
        """The lines that the process printed since the last call."""
        self.read()
        if self._printed:
            self._add_line(self._printed)
            self._printed.clear()
        lines, self._lines = self._lines, []
        return lines

    def read(self) -> bool:
        """Read what has been printed; returns whether the pipe is at its end."""
        for _ in range(_MOST_CHUNKS_AT_ONCE):
            chunk = self.pipe.read(_CHUNK)
            if not chunk:
                return chunk == b""
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                self._print(end)
                self._add_line(self._printed)
                self._printed.clear()
            self._print(rest)
        return False

    def _print(self, part: bytes) -> None:
        """Add to the unfinished line; a line that is too long becomes several."""
        self._printed += part
        while len(self._printed) > LINE_LIMIT:
            cut = LINE_LIMIT
            while cut > LINE_LIMIT - 3 and self._printed[cut] & 0xC0 == 0x80:
                cut -= 1  # not within a character
            self._add_line(self._printed[:cut])
            del self._printed[:cut]

    def _add_line(self, line: bytes | bytearray) -> None:
        text = line.decode(errors="replace").rstrip("\r").replace("\r", "\n")
        self._lines.append(Line(int(time.time() * 1000), text))
