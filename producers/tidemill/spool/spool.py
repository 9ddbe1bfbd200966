"""The spool: a file that requests are in before they are sent, for a kill or days offline to lose none.

Room: SDK. What is kept and for how long is decided here; `spool_files.py` does it, and bytes are `frames.py`'s.

    append ─▶ a frame at the end of the newest segment
    settle ─▶ another one, which names the requests; and the oldest segments go, once nothing in them is pending

The folder is a log in segments. Only the newest grows, and only the oldest go: a frame that says what is settled
outlives what it is about. Where too little in the oldest is pending for the room that they take, it moves into a new
segment. The file `writer` keeps the writer id and reserves counters, a million at a time: when power fails, requests
that have been sent may be missing in the log, and their counters must not be used again.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from math import inf
from pathlib import Path
from secrets import randbits, token_urlsafe
from time import monotonic
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from weakref import WeakSet

from tidemill.runtime.log import log
from tidemill.runtime.processes import Unique
from tidemill.spool.folder import Identity, Segment, SpoolFiles
from tidemill.spool.folder import SpoolInUse as SpoolInUse
from tidemill.spool.frames import (
    FORMAT,
    HEAD,
    OVERHEAD,
    REQUEST,
    SETTLED,
    Frame,
    Gap,
    frame_at,
    read,
    settled_in,
    to_frame,
    to_head,
    to_opening,
    to_settled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from tidemill.spool.frames import Head

MAX_BYTES = 64 * 1024 * 1024
"""Most bytes of pending requests, with their frames."""

SEGMENT_BYTES = 1024 * 1024
"""Size in bytes at which a segment is full."""

SYNC_INTERVAL = 1.0
"""Seconds of requests that a power failure may cost with fsync="interval"."""

RESERVED = 1 << 20
"""Counters that are reserved at a time."""

Policy: TypeAlias = Literal["always", "interval", "never"]
"""When requests are forced to the disk."""

_REMEDIES = {
    errno.EACCES: "compare the owner and the permissions of the folder and of what is in it",
    errno.EDQUOT: "free some room",
    errno.EINVAL: "remove it, or use another folder",
    errno.ENOTSUP: "use a spool on Linux or macOS, or a producer without one",
    errno.EPERM: "use a folder of this user's alone, of mode 700",
    errno.EFBIG: "raise the process's limit on the size of files",
    errno.EMFILE: "raise the process's limit on open files",
    errno.ENOENT: "make a new spool, and let nobody else remove its files",
    errno.ENOSPC: "free some room",
    errno.EROFS: "use a folder that can be written",
}


class SpoolFull(Exception):
    """The spool has no room for the request until others have been settled.

    Attributes:
        size: bytes that it would take.
        limit: bytes that all may take.
    """

    def __init__(self, size: int, pending: int, limit: int) -> None:
        super().__init__(
            f"the spool has no room for {size} bytes: {pending} of {limit} are pending; "
            "wait until some are acknowledged, or raise max_bytes"
        )
        self.size = size
        self.limit = limit


class SpoolBroken(OSError):
    """The folder, or a file in it, cannot be used; says why, and what to do about it. `errno` is the system's."""


class Spooled(NamedTuple):
    """A request that is neither acknowledged nor given up."""

    number: int
    payload: bytes


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
        writer: the writer id.
        counter: no request that was ever appended has a higher one. After a kill it may be up to a million above.
        bytes: of the pending requests, with their frames.
        due: when `sync` is due, on the clock; `inf` while nothing needs it.

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
        self.writer = ""
        self.bytes = self.counter = 0
        self.due = inf
        self._policy = fsync
        self._segment_bytes = segment_bytes
        self._sync_interval = sync_interval
        self._clock = clock
        self._number = self._reserved = 0
        self._pending: dict[int, tuple[Segment, int, int]] = {}
        """Number -> the request's segment, where its frame starts there, and the frame's size."""
        self._unrecorded: list[int] = []
        self._is_closed = self._is_troubled = self._is_claimed = False
        self._segments: list[Segment] = []
        try:
            self._files = SpoolFiles(self.folder)
        except OSError as error:
            raise self._broken(error) from None
        try:
            self._open(writer)
        except OSError as error:
            self._let_go()
            raise self._broken(error) from None
        except BaseException:
            self._let_go()
            raise
        self._recoverable = sorted(self._pending)
        _open_spools.add(self)

    @property
    def pending(self) -> int:
        """Requests that are neither acknowledged nor given up."""
        return len(self._pending)

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
        load = lru_cache(8)(_load)
        for number in numbers:
            if number not in self._pending:
                continue
            segment, start, _ = self._pending[number]
            frame = frame_at(load(segment, segment.size), start, segment.seed)
            if frame is not None and frame.number == number:
                yield Spooled(number, frame.payload)
            else:
                log.warning("%s: request %d can no longer be read", segment.path, number)

    def append(self, payload: bytes, counter: int) -> int:
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
        if self.bytes + size > self.max_bytes:
            raise SpoolFull(size, self.bytes, self.max_bytes)
        self._number = number = self._number + 1  # before it is written: not even one that fails is used again
        try:
            segment, start = self._place(counter, payload)
        except OSError as error:
            raise self._broken(error) from None
        self._pending[number] = (segment, start, size)
        segment.live += size
        self.bytes += size
        return number

    def room_for(self, size: int) -> bool:
        """Whether a request of so many bytes can be taken now."""
        return self.bytes + OVERHEAD + size <= self.max_bytes

    def settle(self, numbers: Iterable[int]) -> None:
        """Lets go of requests that have been acknowledged or given up. Those that it does not have are no error.

        What cannot be written now is with the next ones, so a kill may bring some back. That is harmless: consumers
        know repeats by their writer and counter.
        """
        if self._is_closed:
            raise _closed()
        self._unrecorded += filter(self._forget, numbers)
        try:
            self._clean()
            if self._unrecorded:
                self._write(SETTLED, self.counter, to_settled(self._unrecorded))
                self._unrecorded.clear()
            self._is_troubled = False
        except OSError as error:
            if self._start_over():
                return
            if not self._is_troubled:
                log.warning("%s; until then a kill may have settled requests sent again", self._broken(error))
            self._is_troubled = True

    def sync(self) -> None:
        """Forces to the disk what has been appended, whatever the policy.

        Raises:
            SpoolBroken: it cannot. It is due again in a while, and writes anew what is pending.
        """
        if self._is_closed:
            raise _closed()
        try:
            self._sync()
        except OSError as error:
            raise self._broken(error) from None

    def close(self) -> None:
        """Ends it; what is pending stays in the folder. Closing twice is no error."""
        if self._is_closed:
            return
        try:
            if self.due < inf:
                self._sync()
            if self._reserved > self.counter:
                self._reserve(self.counter)
        except OSError as error:
            log.warning("%s", self._broken(error))
        finally:
            self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- opening

    def _open(self, writer: str | None) -> None:
        self._segments = self._files.segments()
        if self._segments:
            self._segments[-1].open()
        heads = [self._scan(segment) for segment in self._segments]
        self._take_identity(writer, [head for head in heads if head])
        if not heads or not heads[-1] or self._segments[-1].is_suspect:
            self._roll([])
        try:
            self._mend()
            self._clean()
        except OSError as error:
            log.warning("%s; until then damaged segments stay as they are", self._broken(error))

    def _scan(self, segment: Segment) -> Head | None:
        """Takes up what a segment holds: its head, if that can be read."""
        data = segment.load()
        segment.size = len(data)
        head = None
        for found in read(data, segment.seed):
            if isinstance(found, Gap):
                self._skip(segment, found)
                continue
            if found.kind == HEAD:
                head = to_head(found.payload)
                segment.opening = found.end
                if head.version != FORMAT:
                    raise SpoolBroken(f"{segment.path} has format {head.version}; use the release that wrote it")
            self._take_up(segment, found)
        return head

    def _skip(self, segment: Segment, gap: Gap) -> None:
        size = gap.end - gap.start
        if gap.is_torn and segment is self._segments[-1]:
            log.warning("%s ends with %d bytes of a write that was cut off; they are removed", segment.path, size)
            segment.cut(gap.start)
        else:
            log.warning("%s: %d bytes at %d cannot be read; it is kept beside", segment.path, size, gap.start)
            segment.is_suspect = segment.has_gaps = True

    def _take_up(self, segment: Segment, frame: Frame) -> None:
        self._number = max(self._number, frame.number)
        self.counter = max(self.counter, frame.counter)
        if frame.kind == SETTLED:
            for number in settled_in(frame.payload):
                self._forget(number)
        elif frame.kind == REQUEST:
            self._forget(frame.number)  # a kill amid moving it leaves it in two places
            size = frame.end - frame.start
            self._pending[frame.number] = (segment, frame.start, size)
            segment.live += size
            self.bytes += size

    def _take_identity(self, writer: str | None, heads: list[Head]) -> None:
        """Who writes here, and from which counter on."""
        kept = self._files.load_identity()
        known = kept.writer if kept else heads[-1].writer if heads else None
        if writer and known and writer != known:
            raise ValueError(f"{self.folder} is the spool of the writer {known!r}, not {writer!r}; use another folder")
        if writer and self._segments and not known:
            raise SpoolBroken(
                f"{self.folder} is damaged: the counters that {writer!r} has used are not known; use a new writer id"
            )
        self.writer = known or writer or token_urlsafe(9)
        if kept:
            self.counter = max(self.counter, kept.counter)
        elif self._segments:
            self.counter += 2 * RESERVED  # how many were reserved is not known, but fewer
        if not kept:
            self._reserve(self.counter)
        self._reserved = self.counter

    # ---- writing

    def _write(self, kind: int, counter: int, payload: bytes) -> tuple[Segment, int]:
        """Adds a frame to the log: its segment, and where it starts there."""
        segment = self._segments[-1]
        if segment.is_suspect or segment.size >= self._segment_bytes:
            segment = self._advance()
        return segment, segment.append(to_frame(kind, self._number, counter, payload, segment.seed))

    def _place(self, counter: int, payload: bytes) -> tuple[Segment, int]:
        """Adds a request, as safe as the policy says; where it cannot, once more with the room of what is settled."""
        try:
            return self._add(counter, payload)
        except OSError:
            if not self._start_over():
                raise
        return self._add(counter, payload)

    def _add(self, counter: int, payload: bytes) -> tuple[Segment, int]:
        if counter > self._reserved:
            self._reserve(counter + RESERVED)
        if counter > self.counter:
            self.counter = counter
        segment, start = self._write(REQUEST, counter, payload)
        if self._policy != "never":
            self._make_durable(segment, start)
        return segment, start

    def _start_over(self) -> bool:
        """Frees all room, where nothing is pending: on a disk with less room than a segment nothing else does.

        The oldest go first, for the newest says what is settled in them; then it is cut to what it began with.
        """
        newest = self._segments[-1]
        if self._pending or newest.is_suspect or not newest.opening or newest.size == newest.opening:
            return False
        for segment in self._segments[:-1]:
            self._remove(segment)
        newest.cut(newest.opening)
        self._unrecorded.clear()
        self._is_troubled = False
        return not newest.is_suspect

    def _make_durable(self, segment: Segment, start: int) -> None:
        """Does what the policy asks for, or takes back the frame that starts there."""
        if self._policy == "interval":
            now = self._clock()
            if self.due == inf:
                self.due = now + self._sync_interval
            if now < self.due:
                return
        try:
            self._sync()
        except OSError:
            segment.cut(start)
            raise

    def _sync(self) -> None:
        try:
            if self._segments[-1].is_suspect:
                self._mend()
            else:
                self._segments[-1].force()
        except OSError:
            self.due = self._clock() + self._sync_interval
            raise
        self.due = inf

    def _reserve(self, counter: int) -> None:
        """Keeps that no counter is higher."""
        self._files.keep_identity(Identity(self.writer, counter))
        self._reserved = counter

    # ---- segments

    def _advance(self) -> Segment:
        """A segment that can be added to."""
        self._mend()
        if self._segments[-1].size >= self._segment_bytes:
            self._roll([])
        return self._segments[-1]

    def _mend(self) -> None:
        """Writes anew what is pending in suspect segments."""
        while any(segment.is_suspect for segment in self._segments):
            self._roll(self._oldest())

    def _clean(self) -> None:
        """Frees the room of what is settled."""
        while len(self._segments) > 1 and not self._segments[0].live:
            self._remove(self._segments[0])
        for _ in range(len(self._segments)):
            if sum(segment.size for segment in self._segments) <= 2 * (self.bytes + self._segment_bytes):
                break
            self._roll(self._oldest())

    def _oldest(self) -> list[Segment]:
        """The oldest segments, as many as a new one can take the pending requests of."""
        pending = list(accumulate(segment.live for segment in self._segments))
        return self._segments[: max(1, bisect_right(pending, self._segment_bytes))]

    def _roll(self, leaving: list[Segment]) -> None:
        """Begins a segment with what is pending in the oldest ones, which go: all of that, or nothing."""
        last = self._segments[-1] if self._segments else None
        if last and self.due < inf and not last.is_suspect:
            last.force()
            self.due = inf
        moved = [frame for segment in leaving for frame in self._pending_in(segment)]
        seed = randbits(32)
        written = [to_opening(self._number, self.counter, self.writer, seed)]
        written += [to_frame(one.kind, one.number, one.counter, one.payload, seed) for one in moved]
        # What has been on the disk for days must not leave it, whatever the policy.
        force = bool(moved) or self._policy != "never"
        segment = self._files.begin(last.ordinal + 1 if last else 1, seed, b"".join(written), force)
        if last:
            last.close()
        segment.opening = len(written[0])
        self._segments.append(segment)
        for frame, start in zip(moved, accumulate(map(len, written)), strict=False):
            self._move(frame.number, segment, start)
        for one in leaving:
            self._remove(one)

    def _pending_in(self, segment: Segment) -> Iterator[Frame]:
        left = segment.live
        for frame in read(_load(segment, segment.size), segment.seed) if left else ():
            if isinstance(frame, Frame) and frame.kind == REQUEST and self._is_in(segment, frame.number):
                left -= frame.end - frame.start
                yield frame
        if left:
            log.warning("%s: %d bytes can no longer be read; it is kept beside", segment.path, left)
            segment.has_gaps = True

    def _is_in(self, segment: Segment, number: int) -> bool:
        place = self._pending.get(number)
        return place is not None and place[0] is segment

    def _move(self, number: int, segment: Segment, start: int) -> None:
        before, _, size = self._pending[number]
        before.live -= size
        segment.live += size
        self._pending[number] = (segment, start, size)

    def _remove(self, segment: Segment) -> None:
        self._segments.remove(segment)
        self._files.remove(segment)

    def _forget(self, number: int) -> bool:
        """Lets go of a request; says whether it was there."""
        place = self._pending.pop(number, None)
        if place is None:
            return False
        segment, _, size = place
        segment.live -= size
        self.bytes -= size
        return True

    # ---- the end

    def _let_go(self) -> None:
        self._is_closed = True
        _open_spools.discard(self)
        for segment in self._segments[-1:]:
            segment.close()
        self._files.close()

    def _broken(self, error: OSError) -> OSError:
        if isinstance(error, SpoolInUse | SpoolBroken):
            return error
        remedy = _REMEDIES.get(error.errno or 0, "look after the disk")
        broken = SpoolBroken(f"the spool {self.folder} cannot be used: {error.strerror or error}; {remedy}")
        broken.errno = error.errno
        return broken


def _load(segment: Segment, size: int) -> bytes:
    """So many bytes of a segment; none, with a warning, if they cannot be had."""
    try:
        return segment.load()[:size]
    except OSError as error:
        log.warning("%s cannot be read: %s", segment.path, error)
        return b""


def _closed() -> ValueError:
    return ValueError("the spool is closed, or was opened before a fork; open it in this process")


_open_spools: WeakSet[Spool] = WeakSet()


def _let_go_of_all() -> None:
    """A fork has no part in its parent's spools: it must neither write there nor keep the locks."""
    for spool in list(_open_spools):
        spool._let_go()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_let_go_of_all)
