"""A worker of a pool, which holds an execution environment, and its entries in the function's log.

Room: local platform, I/O; part of the launcher.
Tests: tests/infra/tidemill_local/patches/lambda_runtime/test_runtime.py.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from tidemill_local.patches.lambda_runtime.environment import Environment
from tidemill_local.patches.lambda_runtime.invocations import Answer, Failure, Invocation, Line

Config: TypeAlias = Mapping[str, Any]
"""A function's configuration, as in the answer of GetFunctionConfiguration."""

Open: TypeAlias = Callable[[Config, bytes, str, Path], tuple[Environment, Path]]
"""A function's configuration, its code as a zip, the log's stream and a folder for temporary files, which may not be
empty -> an environment, and its own folder."""

INIT_SECONDS = 10
"""Seconds that loading the function's code may take, before it is retried as part of the invocation."""


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """An invocation's answer, with the log of its run.

    Attributes:
        answer: the answer for the invoker.
        stream: the log's stream, one for each environment.
        lines: the log's lines.
    """

    answer: Answer
    stream: str
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """The log as `LogType=Tail` gives it."""
        return "".join(f"{line.text}\n" for line in self.lines)


class Worker:
    """A worker in one of the emulator's pools, which lease it to one invocation at a time.

    It holds an environment, and a new one when that has ended. The emulator uses `in_use`, `last_used`, `config`,
    `_proc` and `_discard_tmpdir`.
    """

    def __init__(self, open_environment: Open, _name: str, config: Config, code: bytes) -> None:
        self.in_use = False
        self.last_used = time.time()
        self.config = config
        self._proc = None  # the emulator would kill this process; the worker does so itself
        self._open = open_environment
        self._code = code
        self._lock = threading.Lock()
        self._retired = False
        self._environment: Environment | None = None
        self._folder: Path | None = None
        self._temporary = Path(tempfile.mkdtemp(prefix="function-"))  # outlives a process, as on AWS
        self._stream = ""

    def run(self, invocation: Invocation) -> LoggedAnswer:
        """Run one invocation."""
        log = _Log(invocation.request_id, self.config)
        with self._lock:
            try:
                answer = self._answer(invocation, log)
            except BaseException:
                self._close()  # the environment's condition is unknown
                raise
            logged = LoggedAnswer(answer, self._stream, tuple(log.lines))
        self._close_if_retired()
        return logged

    def _discard_tmpdir(self) -> None:
        """Retire the worker: its function has changed or is deleted, or it has been idle for long."""
        self._retired = True
        self._close_if_retired()

    def _close_if_retired(self) -> None:
        # A running invocation is not interrupted: it ends with the old code, as on AWS, and then calls this again.
        if self._retired and self._lock.acquire(blocking=False):
            self._close()
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._lock.release()

    def _answer(self, invocation: Invocation, log: _Log) -> Answer:
        limit = float(self.config["Timeout"])
        environment, left = self._ready(limit, log)
        log.say(f"START RequestId: {invocation.request_id} Version: {self.config['Version']}")
        begin = time.monotonic() - (limit - left)
        if isinstance(environment, Failure):
            result: Answer | Failure = environment
        else:
            result = environment.invoke(invocation, left, limit)
            log.lines += environment.output.take_lines()
            log.peak_memory_kib = environment.peak_memory_kib
        if isinstance(result, Failure):
            self._close()
        log.report(time.monotonic() - begin, result)
        return result.answer() if isinstance(result, Failure) else result

    def _ready(self, limit: float, log: _Log) -> tuple[Environment | Failure, float]:
        """The environment with its code loaded, and the remaining seconds for the handler.

        Failed loading is retried once within the invocation, as on AWS.
        https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-init-errors
        """
        if self._environment and self._environment.is_ready():
            return self._environment, limit
        version = self.config["Version"]
        self._stream = f"{datetime.now(UTC):%Y/%m/%d}/[{version}]{uuid.uuid4().hex}"
        environment, failure = self._initialised("init", INIT_SECONDS, log)
        if not failure:
            return environment, limit
        begin = time.monotonic()
        environment, failure = self._initialised("invoke", limit, log)
        return failure or environment, limit - (time.monotonic() - begin)

    def _initialised(self, phase: str, timeout: float, log: _Log) -> tuple[Environment, Failure | None]:
        self._close()
        environment, self._folder = self._open(self.config, self._code, self._stream, self._temporary)
        self._environment = environment
        begin = time.monotonic()
        failure = environment.initialise(log.request_id, timeout)
        log.lines += environment.output.take_lines()
        log.initialised(phase, time.monotonic() - begin, failure)
        if failure:
            self._close()
        return environment, failure

    def _close(self) -> None:
        if self._environment:
            self._environment.close()
            self._environment = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Log:
    """Gathers the log of one invocation, and adds Lambda's own lines."""

    def __init__(self, request_id: str, config: Config) -> None:
        self.request_id = request_id
        self.lines: list[Line] = []
        self.peak_memory_kib = 0
        self._memory_mb = config["MemorySize"]
        self._init_ms: float | None = None

    def say(self, text: str) -> None:
        """Add a line of Lambda's."""
        self.lines.append(Line(int(time.time() * 1000), text))

    def initialised(self, phase: str, seconds: float, failure: Failure | None) -> None:
        """Log that the code was loaded or failed to load."""
        if failure:
            fields = [f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms", f"Phase: {phase}", *_status(failure)]
            self.say("\t".join(fields))
        elif phase == "init":
            self._init_ms = seconds * 1000

    def report(self, seconds: float, result: Answer | Failure) -> None:
        """Log the end of the invocation and its REPORT line."""
        if isinstance(result, Failure) and result.status == "timeout":
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self.say(f"{now} {self.request_id} {result.message.partition('Error: ')[2]}")
        elif isinstance(result, Failure) and not result.payload:
            self.say(f"{result.message}\n{result.error_type}")
        self.say(f"END RequestId: {self.request_id}")
        fields = [
            f"REPORT RequestId: {self.request_id}",
            f"Duration: {seconds * 1000:.2f} ms",
            f"Billed Duration: {math.ceil(seconds * 1000 + (self._init_ms or 0))} ms",
            f"Memory Size: {self._memory_mb} MB",
            f"Max Memory Used: {math.ceil(self.peak_memory_kib / 1024)} MB",
        ]
        if self._init_ms is not None:
            fields.append(f"Init Duration: {self._init_ms:.2f} ms")
        if isinstance(result, Failure):
            fields += _status(result)
        self.say("\t".join(fields))


def _status(failure: Failure) -> list[str]:
    fields = [f"Status: {failure.status}"]
    return fields if failure.status == "timeout" else [*fields, f"Error Type: {failure.error_type}"]
