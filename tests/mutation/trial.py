"""Runs tests against a mutant, each in a process forked from one that has imported what is slow to import.

No file is touched: the fork imports the module from the mutant's text. A fork that runs for too long, or wants more
memory than is sane, has noticed the mutant too.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import math
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, ModuleType

# Imported for the forks, before the first: the most of a test run's first second.
import boto3
import cryptography.hazmat.primitives.asymmetric.ed25519
import hypothesis
import msgspec
import pytest

from .noticing import Choice, Watch, telling

WARMED = (boto3, cryptography, msgspec)
MEMORY = 6 << 30
PASSED, NO_TESTS = 0, 5


@dataclass(frozen=True)
class Run:
    """A module's text under its tests. What is printed goes to a file."""

    module: str
    path: Path
    text: bytes
    tests: tuple[str, ...]
    seconds: float
    """After so much of the processor's time it is ended."""

    waiting: float
    """After so many seconds of the clock, too: it may only wait, and a busy machine lets it wait longer."""

    chosen: tuple[str, ...] = ()
    """Of the tests, those to run; all when empty."""

    watched: Path | None = None
    """A file for which tests call what."""


@dataclass(frozen=True)
class Ran:
    """How a run ended: pytest's exit code, negative for a signal, None where it took too long."""

    run: Run
    code: int | None
    seconds: float
    """Of the processor's time."""

    waited: float
    """Seconds of the clock."""

    @property
    def passed(self) -> bool:
        """Whether every test passed: nothing noticed the mutant."""
        return self.code in (PASSED, NO_TESTS)

    @property
    def end(self) -> str:
        """How it ended, in words."""
        if self.code is None:
            return "took too long"
        if self.passed:
            return "survived"
        return {1: "failed a test", 2: "could not be imported"}.get(self.code, f"ended with {self.code}")


def each(runs: Iterable[Run], jobs: int, log: Path) -> Iterator[Ran]:
    """What becomes of each, that many at a time; in the order in which they end.

    A run of chosen tests that pass is followed by one of all.
    """
    gc.freeze()  # what is imported by now no fork need look through
    waiting = iter(runs)
    again: list[Run] = []
    working: dict[int, tuple[Run, float]] = {}
    try:
        while True:
            while len(working) < jobs and (run := again.pop() if again else next(waiting, None)):
                working[_fork(run, log)] = (run, time.monotonic())
            if not working:
                return
            for ran in _ended(working):
                if ran.passed and ran.run.chosen:
                    again.append(replace(ran.run, chosen=()))
                else:
                    yield ran
            time.sleep(0.01)
    finally:
        for pid in working:
            _kill(pid)
            os.waitpid(pid, 0)


def _ended(working: dict[int, tuple[Run, float]]) -> Iterator[Ran]:
    for pid, (run, begun) in list(working.items()):
        seconds = time.monotonic() - begun
        late = seconds > run.waiting
        if late:
            _kill(pid)
        ended, status, usage = os.wait4(pid, 0 if late else os.WNOHANG)
        if ended:
            del working[pid]
            _kill(pid)  # what its tests left running
            code = os.waitstatus_to_exitcode(status)
            yield Ran(run, None if late or code == -signal.SIGXCPU else code, usage.ru_utime + usage.ru_stime, seconds)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _fork(run: Run, log: Path) -> int:
    pid = os.fork()
    if pid:
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        return pid
    code = 3
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        most = math.ceil(run.seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 1))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.meta_path.insert(0, _Finder(run))
        code = int(pytest.main(_arguments(run.tests), plugins=list(_plugins(run))))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _plugins(run: Run) -> Iterator[object]:
    if run.watched:
        yield Watch(run.watched)
    if run.chosen:
        yield Choice(run.chosen)


def _arguments(tests: Sequence[str]) -> list[str]:
    quick = ["-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    quick += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis, imported already
    return [*quick, "-o", "faulthandler_timeout=0", "--hypothesis-seed=0", "--hypothesis-profile=mutation", *tests]


# A failure need not be made small, nor be remembered.
hypothesis.settings.register_profile(
    "mutation",
    database=None,
    deadline=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    suppress_health_check=list(hypothesis.HealthCheck),
)


class _Loader(importlib.machinery.SourceFileLoader):
    run: Run

    def get_code(self, fullname: str) -> CodeType:
        return compile(telling(self.run.text) if self.run.watched else self.run.text, self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, run: Run) -> None:
        self._run = run

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._run.module:
            return None
        loader = _Loader(fullname, str(self._run.path))
        loader.run = self._run
        return importlib.util.spec_from_file_location(fullname, self._run.path, loader=loader)
