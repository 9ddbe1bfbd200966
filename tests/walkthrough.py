"""A page read as a newcomer reads it: its files are written, its commands run in order, its output compared.

What a page's fenced blocks mean:

- any block after a line that ends with a file's name and a colon (`` `shop.py`: ``) is written to that file;
- `console` has commands, each after `$ `, and what they print. `…` stands for any text, alone on a line for any lines.
  `tidemill up` stays until the page is over; the commands after it have the variables that it prints to export;
- `text` has lines that `tidemill up` prints meanwhile;
- all others, such as `sh`, are for elsewhere, and are not run.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tidemill_local.emulator import DEFAULT_PORT

LONGEST_WAIT = 60.0
"""Seconds after which something is taken not to come."""

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"`([\w./-]+\.\w+)`:\s*\Z")
_EXPORT = re.compile(r"export (\w+)=(\S+)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its text, and the file that it is, if any."""

    language: str
    text: str
    file: str | None


@dataclass(frozen=True, slots=True)
class Command:
    """A command line, and the output that the page shows."""

    line: str
    output: str


def blocks_in(page: str) -> Iterator[Block]:
    """The fenced blocks, in order."""
    for found in _BLOCK.finditer(page):
        named = _NAMED.search(page[: found.start()])
        yield Block(found[1], found[2], named[1] if named else None)


def commands_in(text: str) -> Iterator[Command]:
    """The commands of a `console` block; a line that ends with a backslash goes on in the next."""
    for one in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, output = re.sub(r"\\\n\s*", "", one).partition("\n")
        yield Command(line, output)


def is_as_shown(output: str, shown: str) -> bool:
    """Whether a program's output is what a page shows of it."""
    lines = [r"(?s:.*)" if line == "…" else _pattern(line) + r" *\n" for line in shown.splitlines()]
    return re.fullmatch("".join(lines), output) is not None


def _pattern(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.rstrip().split("…"))


class Walkthrough:
    """A folder, the platform once the page has started it, and what ran.

    Args:
        folder: where the page's files are written and its commands run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {"PATH": path, "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}
        self.ran: list[str] = []
        """The command lines so far."""
        self._up: subprocess.Popen[str] | None = None
        self._listener = Thread(target=self._listen, daemon=True)
        self._said: list[str] = []

    def read(self, page: str) -> None:
        """Do what the page says."""
        for block in blocks_in(page):
            if block.file:
                path = self.folder / block.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text)
            elif block.language == "console":
                for command in commands_in(block.text):
                    self.run(command)
            elif block.language == "text":
                self._wait_until_said(block.text)

    def run(self, command: Command) -> None:
        """Run it, and compare what it prints with what is shown."""
        self.ran.append(command.line)
        output = self._start(command.line) if command.line.startswith("tidemill up") else self._output(command.line)
        assert is_as_shown(output, command.output), f"$ {command.line}\n{output}\nbut the page shows\n{command.output}"

    def stop(self) -> None:
        """Stop the platform, as Ctrl-C does."""
        if self._up:
            self._up.send_signal(signal.SIGINT)
            self._up.wait(LONGEST_WAIT)
            self._listener.join(LONGEST_WAIT)
            assert self._up.stdout
            self._up.stdout.close()

    def _output(self, line: str) -> str:
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_WAIT,
            check=False,
        )
        return self._with_default_port(done.stdout)

    def _start(self, line: str) -> str:
        """What `tidemill up` prints until it runs, on a port that is free."""
        assert self._up is None, "it runs already"
        self._up = subprocess.Popen(
            [*shlex.split(line), "--port", "0"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._listener.start()
        self._wait_until_said("running; Ctrl-C stops it\n")
        said = "".join(self._said)
        self.environment |= dict(_EXPORT.findall(said))
        return self._with_default_port(said)

    def _listen(self) -> None:
        assert self._up
        assert self._up.stdout
        for line in self._up.stdout:
            self._said.append(line)

    def _wait_until_said(self, shown: str) -> None:
        """Wait until the platform has printed such lines, one after the other."""
        deadline = time.monotonic() + LONGEST_WAIT
        while not is_as_shown("".join(self._said), f"…\n{shown}…\n"):
            assert time.monotonic() < deadline, f"{''.join(self._said)}\nbut the page shows\n{shown}"
            time.sleep(0.1)

    def _with_default_port(self, text: str) -> str:
        """The output of a reader whose platform has the usual port."""
        return re.sub(r"(?<=127\.0\.0\.1:)\d+", str(DEFAULT_PORT), text)


@contextmanager
def walkthrough(folder: Path) -> Iterator[Walkthrough]:
    """One whose platform stops at the end."""
    made = Walkthrough(folder)
    try:
        yield made
    finally:
        made.stop()
