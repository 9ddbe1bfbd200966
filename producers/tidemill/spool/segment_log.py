"""The log of a spool: what is kept on the disk, in which segment, how safely, and until when.

Room: SDK, I/O by the folder. Tests: tests/producers/tidemill/spool/test_spool.py.

Only the newest segment grows, and only the oldest go: a frame that says what is settled outlives what it is about.
Where too little in the oldest is pending for the room that they take, it moves into a new segment.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from math import inf
from secrets import randbits
from typing import TYPE_CHECKING, Literal, TypeAlias

from tidemill.runtime.log import log
from tidemill.spool.errors import broken
from tidemill.spool.frames import OVERHEAD, REQUEST, SETTLED, to_frame, to_opening, to_settled
from tidemill.spool.identity import RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tidemill.spool.folder import Segment, SpoolFiles
    from tidemill.spool.identity import Identity
    from tidemill.spool.recovery import Recovered

Policy: TypeAlias = Literal["always", "interval", "never"]
"""When requests are forced to the disk."""


class SegmentLog:
    """Requests and what became of them, as frames in segments.

    Args:
        files: the folder.
        identity: who writes there.
        found: what the folder's segments hold.
        policy: when requests are forced to the disk.
        segment_bytes: size at which a segment is full.
        sync_interval: seconds that a request may wait to be forced, with the policy "interval".
        clock: the time in seconds.

    Attributes:
        pending: the requests that are neither acknowledged nor given up.
        due: when `sync` is due, on the clock; `inf` while nothing needs it.

    Raises:
        OSError: there is no segment that can be added to, and none can be made.
    """

    def __init__(
        self,
        files: SpoolFiles,
        identity: Identity,
        found: Recovered,
        *,
        policy: Policy,
        segment_bytes: int,
        sync_interval: float,
        clock: Callable[[], float],
    ) -> None:
        self.pending = found.pending
        self.due = inf
        self._files = files
        self._identity = identity
        self._segments = found.segments
        self._number = found.number
        self._policy = policy
        self._segment_bytes = segment_bytes
        self._sync_interval = sync_interval
        self._clock = clock
        self._unrecorded: list[int] = []
        """Requests that are settled, which no frame says yet."""
        self._is_troubled = False
        """Whether that could not be written, and the log says so."""
        if not found.heads or not found.heads[-1] or self._segments[-1].is_suspect:
            self._roll([])
        try:
            self._mend()
            self._clean()
        except OSError as error:
            log.warning("%s; until then damaged segments stay as they are", broken(files.path, error))

    def append(self, payload: bytes, counter: int) -> int:
        """Adds a request, as safe as the policy says: its number.

        Raises:
            OSError: it could not be written, and is not kept.
        """
        self._number = number = self._number + 1  # before it is written: not even one that fails is used again
        try:
            segment, start = self._add(counter, payload)
        except OSError:
            if not self._start_over():
                raise
            segment, start = self._add(counter, payload)
        size = OVERHEAD + len(payload)
        pending = self.pending
        pending.places[number] = (segment, start, size)  # its `add`, in less time
        segment.live += size
        pending.bytes += size
        return number

    def settle(self, numbers: Iterable[int]) -> None:
        """Lets go of requests. What cannot be written now is with the next ones."""
        self._unrecorded += filter(self.pending.forget, numbers)
        try:
            self._clean()
            if self._unrecorded:
                self._write(SETTLED, self._identity.counter, to_settled(self._unrecorded))
                self._unrecorded.clear()
            self._is_troubled = False
        except OSError as error:
            if self._start_over():
                return
            if not self._is_troubled:
                problem = broken(self._files.path, error)
                log.warning("%s; until then a kill may have settled requests sent again", problem)
            self._is_troubled = True

    def sync(self) -> None:
        """Forces to the disk what has been added.

        Raises:
            OSError: it cannot. It is due again in a while, and writes anew what is pending.
        """
        try:
            if self._segments[-1].is_suspect:
                self._mend()
            else:
                self._segments[-1].force()
        except OSError:
            self.due = self._clock() + self._sync_interval
            raise
        self.due = inf

    def close(self) -> None:
        """Ends adding to it."""
        self._segments[-1].close()

    # ---- writing

    def _add(self, counter: int, payload: bytes) -> tuple[Segment, int]:
        identity = self._identity
        if counter > identity.reserved:
            identity.reserve(counter + RESERVED)
        if counter > identity.counter:
            identity.counter = counter
        segment, start = self._write(REQUEST, counter, payload)
        if self._policy == "never":
            return segment, start
        if self._policy == "interval":
            now = self._clock()
            if self.due == inf:
                self.due = now + self._sync_interval
            if now < self.due:
                return segment, start
        try:
            self.sync()
        except OSError:
            segment.cut(start)
            raise
        return segment, start

    def _write(self, kind: int, counter: int, payload: bytes) -> tuple[Segment, int]:
        """Adds a frame to a segment that has room for it: the segment, and where the frame starts there."""
        segment = self._segments[-1]
        if segment.is_suspect or segment.size >= self._segment_bytes:
            self._mend()
            if self._segments[-1].size >= self._segment_bytes:
                self._roll([])
            segment = self._segments[-1]
        return segment, segment.append(to_frame(kind, self._number, counter, payload, segment.seed))

    def _start_over(self) -> bool:
        """Frees all room, where nothing is pending: on a disk with less room than a segment nothing else does.

        The oldest go first, for the newest says what is settled in them; then it is cut to its opening.
        """
        newest = self._segments[-1]
        if self.pending.places or newest.is_suspect or not newest.opening or newest.size == newest.opening:
            return False
        for segment in self._segments[:-1]:
            self._remove(segment)
        newest.cut(newest.opening)
        self._unrecorded.clear()
        self._is_troubled = False
        return not newest.is_suspect

    # ---- segments

    def _mend(self) -> None:
        """Writes anew what is pending in suspect segments."""
        while any(segment.is_suspect for segment in self._segments):
            self._roll(_oldest(self._segments, self._segment_bytes))

    def _clean(self) -> None:
        """Frees the room of what is settled."""
        while len(self._segments) > 1 and not self._segments[0].live:
            self._remove(self._segments[0])
        for _ in range(len(self._segments)):
            if sum(segment.size for segment in self._segments) <= 2 * (self.pending.bytes + self._segment_bytes):
                break
            self._roll(_oldest(self._segments, self._segment_bytes))

    def _roll(self, leaving: list[Segment]) -> None:
        """Begins a segment with what is pending in the oldest ones, which go: all of that, or nothing."""
        last = self._segments[-1] if self._segments else None
        if last and self.due < inf and not last.is_suspect:
            last.force()
            self.due = inf
        moved = [frame for segment in leaving for frame in self.pending.frames_in(segment)]
        seed = randbits(32)
        written = [to_opening(self._number, self._identity.counter, self._identity.writer, seed)]
        written += [to_frame(one.kind, one.number, one.counter, one.payload, seed) for one in moved]
        # What has been on the disk for days must not leave it, whatever the policy.
        force = bool(moved) or self._policy != "never"
        segment = self._files.begin(last.ordinal + 1 if last else 1, seed, b"".join(written), force)
        if last:
            last.close()
        segment.opening = len(written[0])
        self._segments.append(segment)
        for frame, start in zip(moved, accumulate(map(len, written)), strict=False):
            self.pending.move(frame.number, segment, start)
        for one in leaving:
            self._remove(one)

    def _remove(self, segment: Segment) -> None:
        self._segments.remove(segment)
        self._files.remove(segment)


def _oldest(segments: list[Segment], segment_bytes: int) -> list[Segment]:
    """The oldest segments, as many as a new one can take the pending requests of."""
    pending = list(accumulate(segment.live for segment in segments))
    return segments[: max(1, bisect_right(pending, segment_bytes))]
