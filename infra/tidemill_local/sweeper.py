"""Removes an emulator's processes and files when it ends, however it ends.

Room: local platform, I/O. The sweeper is a process in a session of its own. When the launcher ends, it kills the
registered process groups; when the emulator's parent ends, it deletes the folder. It notices either end by a pipe whose
other end only that process holds, so it works even if both are killed.
Tests: tests/infra/tidemill_local/patches/lambda_runtime/test_environment.py.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Descriptor 1, usually the output, is an input too: shells differ on descriptors above 2. Killing comes first, so that
# nothing writes into the folder while it is deleted. A killed process may still finish a write: hence the second try.
_SWEEP = """
read -r _
for group in "$1"/groups/*; do kill -s KILL -- "-${group##*/}"; done
read -r _ <&1
rm -rf -- "$1" || { sleep 0.2; rm -rf -- "$1"; }
"""


DELETE_SECONDS = 60
"""Seconds that deleting may take: the functions' code is thousands of files, and the machine may have much to do."""


class Groups:
    """The process groups that belong to an emulator: each is a file in its folder, named by the group's number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "groups"
        self._folder.mkdir(exist_ok=True)

    def register(self, group: int) -> None:
        """Add a group, to be killed with the emulator."""
        (self._folder / str(group)).touch()

    def forget(self, group: int) -> None:
        """Remove a group that has ended: its number may be reused by others."""
        (self._folder / str(group)).unlink(missing_ok=True)


class Sweeper:
    """Starts the sweeper of `folder`; held by the parent of the emulator.

    Attributes:
        launchers_end: the pipe's descriptor that only the launcher shall hold.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        launcher, self.launchers_end = os.pipe()
        parent, self._parents_end = os.pipe()
        try:
            self._process = _start(folder, launcher, parent)
        finally:
            os.close(launcher)
            os.close(parent)

    def launched(self) -> None:
        """Close this process's copy of `launchers_end`, after the launcher has started or failed to."""
        os.close(self.launchers_end)

    def finish(self) -> None:
        """Delete the folder; called once the launcher has ended."""
        os.close(self._parents_end)
        self._process.wait(timeout=DELETE_SECONDS)
        if self._folder.exists():  # the sweeper was killed
            _start(self._folder, subprocess.DEVNULL, subprocess.DEVNULL).wait(timeout=DELETE_SECONDS)


def _start(folder: Path, launcher: int, parent: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 # our own words
        ["/bin/sh", "-c", _SWEEP, "sh", str(folder)],
        env={"PATH": os.environ.get("PATH", os.defpath)},
        cwd="/",
        stdin=launcher,
        stdout=parent,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
