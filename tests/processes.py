"""Processes that end with the test that started them, whatever becomes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, *, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process whose output is read. It is killed if it runs at the end: leaving the block would wait for it."""
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
