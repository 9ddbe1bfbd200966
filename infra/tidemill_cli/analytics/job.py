"""A job of the stage in Flink on this machine: a process of PyFlink, which starts the JVM.

Room: command line, I/O. Both end with this process however it ends: PyFlink's process ends with its input, whose other
end this one holds, and the JVM with PyFlink's.
Tests: tests/analytics_sql/stream/platform.py, which needs PyFlink.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from tidemill_cli.analytics.folder import StateFolder
from tidemill_cli.analytics.tools import PACKAGES, Tools
from tidemill_cli.errors import CommandError

SUBMITTED = b"submitted"
START_SECONDS = 180
"""Seconds that a start may take: 10 to 25 are usual."""

STOP_SECONDS = 10
LINES_SHOWN = 15


class JobDied(CommandError):
    """The job's process ended; with its last words."""


def options(tools: Tools, folder: StateFolder, checkpoint: str | None, parallelism: int, every: int) -> dict[str, str]:
    """Flink's settings for a job on this machine, which nobody else can reach.

    Args:
        tools: the connector's.
        folder: the job's.
        checkpoint: from where it goes on.
        parallelism: subtasks of each part.
        every: seconds between checkpoints.
    """
    return {
        "parallelism.default": str(parallelism),
        "pipeline.jars": tools.jar.as_uri(),
        "pipeline.object-reuse": "true",  # an eighth of the CPU; SQL's operators change no row that they are given
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.bind-port": "0",
        "jobmanager.bind-host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.host": "127.0.0.1",
        "execution.checkpointing.interval": f"{every} s",
        "execution.checkpointing.dir": folder.checkpoints.as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "2",
        "io.tmp.dirs": str(folder.temporary),
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "10",
        "restart-strategy.fixed-delay.delay": "5 s",
        **({"execution.state-recovery.path": checkpoint} if checkpoint else {}),
    }


class Job:
    """A job, as a context manager.

    Args:
        tools: what runs it.
        folder: where its state and log are.
        groups: its runtime properties, by group.
        environment: the variables by which it reaches AWS.
        heap: MiB of the JVM's heap.

    Raises:
        JobDied: on entering, when it is not submitted.
    """

    def __init__(
        self,
        tools: Tools,
        folder: StateFolder,
        groups: Mapping[str, Mapping[str, str]],
        environment: Mapping[str, str],
        heap: int,
    ) -> None:
        self._tools, self._folder, self._groups, self._heap = tools, folder, groups, heap
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        groups = [{"PropertyGroupId": name, "PropertyMap": dict(one)} for name, one in self._groups.items()]
        self._folder.properties.write_text(json.dumps(groups), encoding="utf-8")
        program = ["-m", "tidemill_stream.main", "--properties", str(self._folder.properties), "--wait"]
        with self._folder.log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 # our own program
                [self._tools.python, *program],
                env={**os.environ, **self._environment, **self._variables()},
                stdin=subprocess.PIPE,  # never written to: its end tells the process that this one has ended
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder.temporary,
                start_new_session=True,  # Ctrl-C in a terminal is for this process
            )
        try:
            self._await_submitted()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid if self._process else 0

    def check(self, patience: float) -> None:
        """Wait so many seconds; JobDied if it ends meanwhile."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(patience)
                raise JobDied(
                    f"the job ended with {code}; its last words, of {self._folder.log}:\n{self._last_words()}"
                )

    def stop(self) -> None:
        """End the process and the JVM. A second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        # The JVM is in the same group, which keeps its number while a member lives.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _variables(self) -> dict[str, str]:
        temporary = str(self._folder.temporary)
        # The user's own options come last, so that they hold.
        java = (
            f"-Xmx{self._heap}m -XX:+UseSerialGC -Djava.io.tmpdir={temporary} {os.environ.get('JDK_JAVA_OPTIONS', '')}"
        )
        return {"PYTHONPATH": str(PACKAGES), "JDK_JAVA_OPTIONS": java.strip(), "TMPDIR": temporary}

    def _await_submitted(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while SUBMITTED not in self._folder.log.read_bytes().splitlines():
            self.check(0.1)
            if time.monotonic() > deadline:
                raise JobDied(f"the job is not submitted after {START_SECONDS} seconds:\n{self._last_words()}")

    def _last_words(self) -> str:
        lines = self._folder.log.read_text(errors="replace").splitlines()
        # Java's causes say more than the frames that follow each.
        told = [one for one in lines if not one.lstrip().startswith(("at ", "... ", "WARNING:"))]
        return "\n".join(told[-LINES_SHOWN:]) or "(none)"
