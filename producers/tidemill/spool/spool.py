"""The spool: a file that requests are in before they are sent, so that neither a kill nor days offline lose any.

Room: SDK. The face of `segment_log.py`, which keeps requests, and `identity.py`, which keeps who writes; `folder.py`
touches the files, and `frames.py` has their bytes. One idea: `Spool` is the SDK's handle on a folder, and most of its
methods are one-line views of those two.

    append ─▶ a frame at the end of the newest segment
    settle ─▶ another one, which names the requests; and the oldest segments go, once nothing in them is pending
"""

from __future__ import annotations

import os
from math import inf
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakSet

from tidemill.runtime.log import log
from tidemill.runtime.processes import Unique
from tidemill.spool.errors import SpoolFull, SpoolInUse, broken
from tidemill.spool.folder import SpoolFiles
from tidemill.spool.frames import OVERHEAD
from tidemill.spool.identity import Identity
from tidemill.spool.recovery import Recovered
from tidemill.spool.segment_log import SegmentLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from tidemill.spool.pending import Spooled
    from tidemill.spool.segment_log import Policy

MAX_BYTES = 64 * 1024 * 1024
"""Most bytes of pending requests, with their frames."""

SEGMENT_BYTES = 1024 * 1024
"""Size in bytes at which a segment is full."""

SYNC_INTERVAL = 1.0
"""Seconds of requests that a power failure may cost with fsync="interval"."""

Payload: TypeAlias = bytes
"""A request's bytes: within the class `bytes` is a number."""


class Spool(Unique):
    """Requests on disk, from when they are accepted until they are acknowledged or given up.

        with Producer("requests", spool=Spool("/var/lib/shop/spool")) as producer:
            producer.send("content.view", key="content/42")

    Not safe for threads: the keeper of its producer alone calls it, and one producer at a time has it. One spool at a
    time has the folder; a process that is killed lets go of it. Never send from a copy of a folder, or from one put
    back from a backup: it would use counters again, and consumers take what comes under a used one for a repeat.

    Args:
        folder: where its files are, for their owner only; made if there is none. Nothing else belongs there.
        writer: the writer id. None takes the folder's, or makes one of 12 characters.
        max_bytes: most bytes of pending requests, with their frames. The folder has at most twice that and four
            segments, besides what is kept of damaged ones.
        fsync: when requests are forced to the disk, for power failures: "always" before `append` returns, "interval"
            at most `sync_interval` later, "never" when the operating system does. A kill costs none in any case.
        segment_bytes: size at which a segment is full, 1,024 or more.
        sync_interval: seconds. Whoever appends has `sync` called when it is due.
        clock: the time in seconds.

    Attributes:
        folder: where its files are.
        writer: the writer id.

    Raises:
        SpoolInUse: another spool has the folder.
        SpoolBroken: the folder cannot be used.
        ValueError: an argument out of its range, or the folder of another writer.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        writer: str | None = None,
        max_bytes: int = MAX_BYTES,
        fsync: Policy = "interval",
        segment_bytes: int = SEGMENT_BYTES,
        sync_interval: float = SYNC_INTERVAL,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        if fsync not in ("always", "interval", "never"):
            raise ValueError(f"fsync={fsync!r}: use 'always', 'interval' or 'never'")
        if max_bytes < 1 or segment_bytes < 1_024:
            raise ValueError(f"max_bytes={max_bytes}, segment_bytes={segment_bytes}: use 1 and 1,024 or more")
        if not 0 <= sync_interval < inf:
            raise ValueError(f"sync_interval={sync_interval}: use seconds, 0 or more")
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        self._is_closed = self._is_claimed = False
        try:
            self._files = SpoolFiles(self.folder)
        except OSError as error:
            raise broken(self.folder, error) from None
        try:
            found = Recovered(self._files)
            self._identity = Identity(self._files, writer, found)
            self._log = SegmentLog(
                self._files,
                self._identity,
                found,
                policy=fsync,
                segment_bytes=segment_bytes,
                sync_interval=sync_interval,
                clock=clock,
            )
        except OSError as error:
            self._files.close()
            raise broken(self.folder, error) from None
        except BaseException:
            self._files.close()
            raise
        self.writer = self._identity.writer
        self._pending = self._log.pending
        self._recoverable = sorted(self._pending.places)
        _open_spools.add(self)

    @property
    def counter(self) -> int:
        """No request that was ever appended has a higher one. After a kill it may be up to a million above."""
        return self._identity.counter

    @property
    def pending(self) -> int:
        """Requests that are neither acknowledged nor given up."""
        return len(self._pending.places)

    @property
    def bytes(self) -> int:
        """Bytes of the pending requests, with their frames."""
        return self._pending.bytes

    @property
    def due(self) -> float:
        """When `sync` is due, on the clock; `inf` while nothing needs it."""
        return self._log.due

    def claim(self) -> None:
        """Takes it for one producer: two would use each counter twice.

        Raises:
            SpoolInUse: another producer has it.
            ValueError: it is closed.
        """
        if self._is_closed:
            raise _closed()
        if self._is_claimed:
            raise SpoolInUse(f"another producer has this spool of {self.folder}; give each a folder of its own")
        self._is_claimed = True

    def recover(self) -> Iterator[Spooled]:
        """What was pending when the folder was opened, in the order appended; once."""
        numbers, self._recoverable = self._recoverable, []
        return self._pending.requests(numbers)

    def append(self, payload: Payload, counter: int) -> int:
        """Takes a request: its number. It is as safe as the policy says when this returns.

        Args:
            payload: its bytes.
            counter: its writer's counter; for a request of another writer any that this one has used.

        Raises:
            SpoolFull: there is no room for it.
            SpoolBroken: it could not be written, and is not kept; trying again may succeed.
        """
        if self._is_closed:
            raise _closed()
        size = OVERHEAD + len(payload)
        if self._pending.bytes + size > self.max_bytes:
            raise SpoolFull(size, self._pending.bytes, self.max_bytes)
        try:
            return self._log.append(payload, counter)
        except OSError as error:
            raise broken(self.folder, error) from None

    def room_for(self, size: int) -> bool:
        """Whether a request of so many bytes can be taken now."""
        return self._pending.bytes + OVERHEAD + size <= self.max_bytes

    def settle(self, numbers: Iterable[int]) -> None:
        """Lets go of requests that have been acknowledged or given up. Those that it does not have are no error.

        What cannot be written now is with the next ones, so a kill may bring some back. That is harmless: consumers
        know repeats by their writer and counter.
        """
        if self._is_closed:
            raise _closed()
        self._log.settle(numbers)

    def sync(self) -> None:
        """Forces to the disk what has been appended, whatever the policy.

        Raises:
            SpoolBroken: it cannot. It is due again in a while, and writes anew what is pending.
        """
        if self._is_closed:
            raise _closed()
        try:
            self._log.sync()
        except OSError as error:
            raise broken(self.folder, error) from None

    def close(self) -> None:
        """Ends it; what is pending stays in the folder. Closing twice is no error."""
        if self._is_closed:
            return
        try:
            if self._log.due < inf:
                self._log.sync()
            self._identity.release()
        except OSError as error:
            log.warning("%s", broken(self.folder, error))
        finally:
            self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _let_go(self) -> None:
        self._is_closed = True
        _open_spools.discard(self)
        self._log.close()
        self._files.close()


def _closed() -> ValueError:
    return ValueError("the spool is closed, or was opened before a fork; open it in this process")


_open_spools: WeakSet[Spool] = WeakSet()


def _let_go_of_all() -> None:
    """A fork has no part in its parent's spools: it must neither write there nor keep the locks."""
    for spool in list(_open_spools):
        spool._let_go()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_let_go_of_all)
