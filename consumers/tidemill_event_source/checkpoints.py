"""Checkpoints on disk: a restarted mapping goes on where it stood.

Room: event source, I/O.
Tests: tests/consumers/tidemill_event_source/test_source.py.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from threading import Lock

import msgspec

from tidemill_event_source.decisions.checkpoint import Checkpoint
from tidemill_event_source.files import UnreadableFile, write_whole


class _File(msgspec.Struct):
    stream: str
    shards: dict[str, Checkpoint]


class Checkpoints:
    """A mapping's checkpoints, saved whole each time one changes. For one process at a time.

    Args:
        path: the file; None keeps them in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = Lock()
        self._stream = ""
        self._shards: dict[str, Checkpoint] = {}

    @property
    def all(self) -> dict[str, Checkpoint]:
        """Each shard's checkpoint, as of now."""
        with self._lock:
            return dict(self._shards)

    def check(self) -> None:
        """Look whether the file can be read.

        Raises:
            UnreadableFile: the file holds something else.
        """
        self._found()

    def load(self, stream: str) -> None:
        """Take up the checkpoints in the file; none if they are of an earlier stream of the same name.

        Raises:
            UnreadableFile: the file holds something else.
        """
        self._stream, self._shards = stream, {}
        found = self._found()
        if found and found.stream == stream:
            self._shards = found.shards

    def _found(self) -> _File | None:
        if not self._path or not self._path.exists():
            return None
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnreadableFile(
                f"{self._path} holds no checkpoints ({error}); delete it to begin at the starting position"
            ) from None

    def save(self, shard: str, checkpoint: Checkpoint) -> None:
        """Remember a shard's checkpoint; on return a killed process would find it again."""
        with self._lock:
            if self._shards.get(shard) != checkpoint:
                self._shards[shard] = checkpoint
                self._write()

    def keep(self, shards: Collection[str]) -> None:
        """Forget the shards that are not among these: the stream has dropped them."""
        with self._lock:
            if gone := self._shards.keys() - set(shards):
                for shard in gone:
                    del self._shards[shard]
                self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        write_whole(self._path, msgspec.json.encode(_File(self._stream, self._shards)))
