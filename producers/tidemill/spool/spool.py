"""The spool: keeps requests on disk before they are sent, so that neither a kill nor days offline lose any.

Room: SDK. The face of `segment_log.py`, which keeps requests, and `identity.py`, which keeps the writer; `folder.py`
does the I/O, and `frames.py` encodes the bytes. One idea: `Spool` is the SDK's handle on a folder, and most of its
methods are one-line views of those two.

    append ─▶ a frame at the end of the newest segment
    attempt ─▶ a frame that names the requests of a call, before it leaves; `retract` takes that back
    settle ─▶ a frame that names the requests; the oldest segments are removed once nothing in them is pending
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
    from collections.abc import Callable, Iterable, Iterator, Mapping
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
"""A request's bytes. An alias, because within the class `bytes` is a property."""


class Spool(Unique):
    """Requests on disk, from when they are accepted until they are acknowledged or given up.

        with Producer("requests", spool=Spool("/var/lib/shop/spool")) as producer:
            producer.send("content.view", key="content/42")

    Not thread-safe: only its producer's keeper calls it, and one producer at a time uses it. One spool at a time uses
    the folder; a killed process frees it. Never send from a copy of a folder, or from one restored from a backup: it
    would use counters again, and consumers take a request with a used counter for a repeat.

    Args:
        folder: the folder for its files, for their owner only; made if there is none. Keep nothing else there.
        writer: the writer id. None takes the folder's, or makes one of 12 characters.
        max_bytes: most bytes of pending requests, with their frames. The folder has at most twice that and four
            segments, and copies of damaged segments besides.
        fsync: when requests are forced to the disk, for power failures: "always" before `append` returns, "interval"
            at most `sync_interval` later, "never" when the operating system does. A kill costs none in any case.
        segment_bytes: size at which a segment is full, 1,024 or more.
        sync_interval: seconds for fsync="interval". The caller of `append` must call `sync` when it is due.
        clock: returns the time in seconds.

    Attributes:
        folder: the folder with its files.
        writer: the writer id.

    Raises:
        SpoolInUse: another spool has the folder.
        SpoolBroken: the folder cannot be used.
        ValueError: an argument is out of its range, or the folder is another writer's.
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
        """At least the highest counter of all requests ever appended. After a kill it may be up to a million higher."""
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
    def attempted(self) -> Mapping[int, int]:
        """Of the pending requests that may have been stored: number -> the time that `attempt` noted; 0: unknown."""
        return self._pending.attempted

    @property
    def due(self) -> float:
        """When `sync` is due, on the clock; `inf` while nothing needs it."""
        return self._log.due

    def claim(self) -> None:
        """Reserves the spool for one producer: two would use each counter twice.

        Raises:
            SpoolInUse: another producer has the spool.
            ValueError: the spool is closed.
        """
        if self._is_closed:
            raise _closed()
        if self._is_claimed:
            raise SpoolInUse(f"another producer has this spool of {self.folder}; give each a folder of its own")
        self._is_claimed = True

    def recover(self) -> Iterator[Spooled]:
        """The requests that were pending when the folder was opened, in the order appended; only on the first call."""
        numbers, self._recoverable = self._recoverable, []
        return self._pending.requests(numbers)

    def append(self, payload: Payload, counter: int) -> int:
        """Adds a request, forced to the disk by the policy `fsync`. Returns its number.

        Args:
            payload: the request's bytes.
            counter: its writer's counter; for a request of another writer, any counter that this one has used.

        Raises:
            SpoolFull: there is no room for the request.
            SpoolBroken: the request could not be written, and is not kept; a retry may succeed.
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

    def attempt(self, tried: Mapping[int, int]) -> None:
        """Notes that requests are about to be put, so that they are marked when they are sent again after a kill.

        Args:
            tried: number -> a time not after its first attempt, in milliseconds since 1970 by the stream's clock; 0:
                unknown. Requests that have been noted keep their time.

        Raises:
            SpoolBroken: that could not be noted, so they must not be put yet; a retry may succeed.
        """
        if self._is_closed:
            raise _closed()
        try:
            self._log.attempt(tried)
        except OSError as error:
            raise broken(self.folder, error) from None

    def may_hold(self, size: int) -> bool:
        """Whether it could hold a request of `size` bytes if it were empty."""
        return OVERHEAD + size <= self.max_bytes

    def retract(self, numbers: Iterable[int]) -> None:
        """Takes back that requests were attempted: they were refused for certain. What is not noted is no error."""
        if self._is_closed:
            raise _closed()
        self._log.retract(numbers)

    def room_for(self, size: int) -> bool:
        """Whether a request of `size` bytes can be taken now."""
        return self._pending.bytes + OVERHEAD + size <= self.max_bytes

    def settle(self, numbers: Iterable[int]) -> None:
        """Removes requests that have been acknowledged or given up. Unknown numbers are no error.

        Numbers that cannot be written now are written with the next ones, so a kill may bring some requests back. That
        is harmless: consumers recognise repeats by writer and counter.
        """
        if self._is_closed:
            raise _closed()
        self._log.settle(numbers)

    def sync(self) -> None:
        """Forces all appended requests to the disk, whatever the policy.

        Raises:
            SpoolBroken: that failed. It is due again after the interval, and then writes the pending requests anew.
        """
        if self._is_closed:
            raise _closed()
        try:
            self._log.sync()
        except OSError as error:
            raise broken(self.folder, error) from None

    def close(self) -> None:
        """Closes the spool; pending requests stay in the folder. Closing twice is no error."""
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
    """Closes all spools in a forked child: it must neither write into its parent's folders nor keep their locks."""
    for spool in list(_open_spools):
        spool._let_go()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_let_go_of_all)
