"""The folder in which a job keeps its state: its properties, its checkpoints, its log.

Room: command line, I/O.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tidemill_cli.analytics.beginning import Kept
from tidemill_cli.errors import CommandError
from tidemill_event_source.files import write_whole


class StateFolder:
    """A job's folder.

    Args:
        path: where it is; made if it is not there.

    Raises:
        CommandError: another job uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.checkpoints = self.path / "checkpoints"
        self.log = self.path / "log"
        self.properties = self.path / "properties.json"
        self.temporary = self.path / "tmp"
        self._kept = self.path / "job.json"
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise CommandError(f"a job runs on {self.path}; stop it, or name another folder by --state") from None
        shutil.rmtree(self.temporary, ignore_errors=True)  # of a job that was killed
        self.temporary.mkdir()

    def close(self) -> None:
        """Let others use it."""
        self._lock.close()

    def kept(self, now: float) -> Kept | None:
        """What the last job left; None if there was none.

        Raises:
            CommandError: it cannot be read.
        """
        if not self._kept.exists():
            return None
        try:
            found = json.loads(self._kept.read_text(encoding="utf-8"))
            properties = {str(name): str(value) for name, value in found.items()}
            properties["generation"], properties["begin"]
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise CommandError(f"{self._kept} cannot be read ({error}); name another folder by --state") from None
        newest = max(self._whole_checkpoints(), default=None)
        return Kept(properties, newest[1].as_uri() if newest else None, now - newest[0] if newest else 0.0)

    def keep(self, properties: Mapping[str, str]) -> None:
        """Keep a job's properties before it begins."""
        write_whole(self._kept, json.dumps(dict(properties), indent=2).encode() + b"\n")

    def forget_checkpoints(self) -> None:
        """Delete the checkpoints of an earlier generation, so that the new one never goes on from them."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _whole_checkpoints(self) -> list[tuple[float, Path]]:
        found = []
        for one in self.checkpoints.glob("*/chk-*/_metadata"):
            with suppress(FileNotFoundError):  # an earlier job's that is being deleted
                found.append((one.stat().st_mtime, one.parent))
        return found
