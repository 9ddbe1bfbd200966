"""The demo stopped, killed, or left without its emulator, at any moment: it says so, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.tree import ROOT

TIDEMILL = Path(sys.executable).with_name("tidemill")
SEED = 1995
SIDE_BY_SIDE = 6
"""Demos at a time: they mostly wait."""

LONGEST_WAIT = 60.0
"""Seconds after which something is taken not to come; it usually comes at once."""

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc to look into"),
]


@dataclass(frozen=True)
class Case:
    """Who is sent what, and when: so many seconds after the first line of output that begins so."""

    victim: str
    by: signal.Signals
    line: str
    delay: float
    speed: str = "max"

    def __str__(self) -> str:
        return f"{self.victim}-{self.by.name}-{self.delay:.2f} s after {self.line.strip()}"


@dataclass(frozen=True)
class Ending:
    """What became of a demo: its exit code, what it wrote, and the processes and files that it left."""

    code: int
    output: str
    errors: str
    left: str

    @property
    def completed(self) -> bool:
        """Whether it came to its own end before the signal came to it."""
        return "reconciled: every request" in self.output


RANDOM = Random(SEED)
DEMO_CASES = [
    Case("demo", by, line, RANDOM.uniform(0, seconds))
    for line, seconds in (("sent ", 9.5), ("creating the stack", 1.5), ("tidemill:", 0.8))
    for by in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
]
EMULATOR_CASES = [
    Case("emulator", signal.SIGKILL, line, RANDOM.uniform(0, seconds), speed)
    for line, seconds, speed in (
        ("sent ", 4.0, "max"),
        ("  sent ", 2.0, "45"),
        ("creating the stack", 0.5, "max"),
        ("starting the emulator", 0.2, "max"),
    )
]
MAKE_CASES = [Case("make", signal.SIGKILL, "creating the stack", RANDOM.uniform(0, 2.0))]
"""Killed, make cannot tell its children."""

TWICE_CASES = [Case("demo, twice", signal.SIGINT, "creating the stack", RANDOM.uniform(0, 2.0))]
CASES = [*EMULATOR_CASES, *DEMO_CASES, *MAKE_CASES, *TWICE_CASES]

by_case = partial(pytest.mark.parametrize, "case", ids=str)


class Demo:
    """A demo in a folder of its own, which marks the environment of every process it starts."""

    def __init__(self, folder: Path, *command: str | Path, cwd: Path | None = None) -> None:
        self._temporary, self._cwd, self._errors = folder / "temporary", folder / "cwd", folder / "errors"
        self._temporary.mkdir(parents=True)
        self._cwd.mkdir()
        # PATH is what the emulator's processes get of the user's environment.
        self._mark = f"{folder}/mark"
        env = {"PATH": f"{os.environ['PATH']}:{self._mark}", "HOME": str(self._cwd), "TMPDIR": str(self._temporary)}
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command, env=env, cwd=cwd or self._cwd, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self._output = ""

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    def reach(self, line: str) -> None:
        """Read the output up to the first line that begins so."""
        assert self.process.stdout
        for read in self.process.stdout:
            self._output += read
            if read.startswith(line):
                return
        code = self.process.wait(LONGEST_WAIT)
        raise AssertionError(f"{code} before {line!r}: {self._output}{self._errors.read_text()}")

    def pid(self, program: bytes) -> int:
        """The process that runs `program`, waiting for it to appear."""
        found: list[int] = []

        def appears() -> bool:
            found.extend(pid for pid in self.processes() if program in read(pid, "cmdline"))
            return bool(found)

        assert becomes(appears)
        return found[0]

    def end(self) -> Ending:
        """Wait for all that writes to its output to end, then for all it left to go."""
        try:
            self._output += self.process.communicate(timeout=LONGEST_WAIT)[0]
        except subprocess.TimeoutExpired:
            return Ending(0, self._output, self._errors.read_text(), f"it runs on: {self.left()}")
        left = "" if becomes(lambda: not self.left()) else str(self.left())
        return Ending(self.process.returncode, self._output, self._errors.read_text(), left)

    def processes(self) -> list[int]:
        return [pid for pid in pids() if os.fsencode(self._mark) in read(pid, "environ")]

    def left(self) -> list[object]:
        return [*self.processes(), *self._temporary.iterdir(), *self._cwd.iterdir()]


def pids() -> Iterator[int]:
    return (int(process.name) for process in Path("/proc").iterdir() if process.name.isdigit())


def read(pid: int, what: str) -> bytes:
    """What /proc tells of a process; nothing if it has ended or is another user's."""
    try:
        return Path("/proc", str(pid), what).read_bytes()
    except OSError:
        return b""


def becomes(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LONGEST_WAIT
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def ending(case: Case, folder: Path) -> Ending:
    options = f"--requests 300 --no-photos --speed {case.speed}"
    with (
        Demo(folder, "make", "--old-file=.venv/.ready", "demo", f"ARGS={options}", cwd=ROOT)
        if case.victim == "make"
        else Demo(folder, TIDEMILL, "demo", *options.split())
    ) as demo:
        demo.reach(case.line)
        assert demo.processes(), "what is left could not be found either"
        time.sleep(case.delay)
        if case.victim == "emulator":
            os.kill(demo.pid(b"tidemill_local.launcher"), case.by)
        else:
            demo.process.send_signal(case.by)
        if case in TWICE_CASES:
            demo.process.send_signal(case.by)
        return demo.end()


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, Ending]:
    folders = [tmp_path_factory.mktemp("demo") for _ in CASES]
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        return dict(zip(CASES, threads.map(ending, CASES, folders), strict=True))


@by_case(argvalues=CASES)
def test_nothing_is_left(case: Case, endings: dict[Case, Ending]) -> None:
    assert endings[case].left == ""


@by_case(argvalues=DEMO_CASES)
def test_a_demo_that_is_stopped_says_so_and_no_more(case: Case, endings: dict[Case, Ending]) -> None:
    end = endings[case]
    if case.by == signal.SIGKILL:
        assert (end.code, end.errors) == (-signal.SIGKILL, "") or end.completed
    else:
        assert (end.code, end.errors) == (130, "stopped\n") or end.completed, end.output
    assert "Traceback" not in end.errors


def test_most_demos_were_stopped_before_their_end(endings: dict[Case, Ending]) -> None:
    assert sum(endings[case].completed for case in DEMO_CASES) <= len(DEMO_CASES) / 4


@by_case(argvalues=EMULATOR_CASES)
def test_a_demo_whose_emulator_is_killed_says_so(case: Case, endings: dict[Case, Ending]) -> None:
    end = endings[case]
    assert end.code == 1, end.output + end.errors
    assert "tidemill demo: the emulator ended with -9" in end.errors
    assert "Traceback" not in end.errors


@by_case(argvalues=MAKE_CASES)
def test_a_demo_whose_make_is_killed_stops(case: Case, endings: dict[Case, Ending]) -> None:
    end = endings[case]
    assert not end.completed
    assert end.errors == "stopped\n"


@by_case(argvalues=TWICE_CASES)
def test_a_second_signal_is_no_trouble(case: Case, endings: dict[Case, Ending]) -> None:
    end = endings[case]
    assert end.code in (130, -case.by)  # the latter while Python is ending already
    assert end.errors in ("", "stopped\n")
