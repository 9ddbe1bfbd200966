"""What is left of an emulator when it ends, however it ends: nothing.

Room: local platform, I/O. The sweeper is a process in a session of its own. At the end of the launcher it kills the
process groups that are registered, and at the end of the emulator's parent it deletes their folder. It learns of
both by the end of a pipe that only they hold, so neither has to live to see it done.
Tests: tests/infra/tidemill_local/patches/lambda_runtime/test_environment.py.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Its output is an input too: shells do not agree on descriptors above those. Killing comes first, so that nothing
# writes into the folder while it is deleted. A killed process may still finish a write: hence the second try.
_SWEEP = """
read -r _
for group in "$1"/groups/*; do kill -s KILL -- "-${group##*/}"; done
read -r _ <&1
rm -rf -- "$1" || { sleep 0.2; rm -rf -- "$1"; }
"""


class Groups:
    """The process groups that belong to an emulator: a file each in its folder, named by the number."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "groups"
        self._folder.mkdir(exist_ok=True)

    def register(self, group: int) -> None:
        """To be killed with the emulator."""
        (self._folder / str(group)).touch()

    def forget(self, group: int) -> None:
        """It has ended, and its number is free for others."""
        (self._folder / str(group)).unlink(missing_ok=True)


class Sweeper:
    """Sweeps `folder`; held by the parent of the emulator.

    Attributes:
        launchers_end: the descriptor that only the launcher shall hold.
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
        """The launcher holds its end now, or never will."""
        os.close(self.launchers_end)

    def finish(self) -> None:
        """Sweep, once the launcher has ended."""
        os.close(self._parents_end)
        self._process.wait(timeout=10)
        if self._folder.exists():  # somebody has killed it
            _start(self._folder, subprocess.DEVNULL, subprocess.DEVNULL).wait(timeout=10)


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
