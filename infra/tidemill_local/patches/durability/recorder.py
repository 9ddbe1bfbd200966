"""Keeps a snapshot and the journal since then in step, and decides when the next snapshot is taken.

Room: local platform, I/O. The hooks of the services (streams.py, tables.py, queues.py) and of all calls (calls.py)
pass their entries to the `Recorder`; durability.py brings them together.
Tests: tests/infra/tidemill_local/patches/durability/test_durability.py.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidemill_local.patches.durability.journal import Journal
from tidemill_local.patches.durability.snapshot import Snapshot
from tidemill_local.patches.durability.state_files import lock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from pathlib import Path

SNAPSHOT_SECONDS = 0.5
"""Seconds from a change of resources to a snapshot."""

JOURNAL_BYTES = 64 * 1024 * 1024
"""Bytes of the journal above which a snapshot replaces it."""

RETRY_SECONDS = 5
"""Seconds from a failed snapshot to the next attempt."""

log = logging.getLogger(__name__)


class Recorder:
    """Keeps the emulator's state in a folder.

    Args:
        folder: the folder; one emulator at a time.
        loop: the event loop on which snapshots are taken, between two calls.
        save: writes the emulator's state into `state`.
        scope: gives the account and region of the current call.
        settled: whether no stack is being created: a snapshot would hold half a stack, which is never completed.

    Attributes:
        replaying: whether the journal is being replayed.

    Raises:
        StateUnusable: the folder is another emulator's, or cannot be written to.
    """

    def __init__(
        self,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        save: Callable[[], None],
        scope: Callable[[], dict[str, str]],
        settled: Callable[[], bool],
    ) -> None:
        self._folder = folder
        self._lock = lock(folder)
        self._snapshot = Snapshot(folder)
        self._journal = Journal(folder)
        self._snapshot.restore()
        self._journal.discard_others(self._snapshot.number)
        self._loop, self._save, self._scope, self._settled = loop, save, scope, settled
        self._writing = threading.RLock()  # some records are put by the emulator's threads
        self._due = False
        self.replaying = False

    @contextmanager
    def replayed(self) -> Iterator[Iterator[dict[str, Any]]]:
        """The journal's entries, to be replayed in the block; after it, the journal is open for appending.

        Raises:
            StateUnusable: the journal cannot be read.
        """
        number = self._snapshot.number
        self.replaying = True
        try:
            yield self._journal.entries(number)
        finally:
            self.replaying = False
        self._journal.open(number)

    def append(self, entry: dict[str, Any]) -> None:
        """Journal an entry, with the account and region of the current call unless it names others.

        Raises:
            OSError: the entry cannot be written, as on a full disk.
        """
        with self._writing:
            self._journal.append(self._scope() | entry)
            is_large = self._journal.size > JOURNAL_BYTES
        if is_large:
            self.snapshot_soon()

    def snapshot_soon(self, seconds: float = SNAPSHOT_SECONDS) -> None:
        """Schedule a snapshot after some seconds, unless one is scheduled already. Any thread may call this."""
        if not self._due:
            self._due = True
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self.snapshot_if_settled)

    def snapshot_if_settled(self) -> None:
        """Take a snapshot now, or as soon as no stack is being created. Runs on the loop."""
        self._due = False
        if not self._settled():
            self.snapshot_soon()
        elif not self._taken():
            self.snapshot_soon(RETRY_SECONDS)

    def end(self) -> None:
        """Take a last snapshot if anything has changed since the present one, and end the process."""
        if self._due or self._journal.size:
            self._taken()
        os._exit(0)

    def _taken(self) -> bool:
        """Take a snapshot; returns whether it succeeded. If not, the earlier one and its journal stay valid."""
        with self._writing:
            try:
                self._save()
                number = self._snapshot.number + 1
                with self._journal.succeeded(number):
                    self._snapshot.replace(number)
            except Exception:
                log.exception("the state cannot be written to %s; what was written before still holds", self._folder)
                return False
        return True
