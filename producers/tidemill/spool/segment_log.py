"""The log of a spool: decides which segment holds a request, when it is forced to the disk, and when it is removed.

Room: SDK, I/O by the folder. Tests: tests/producers/tidemill/spool/test_spool.py.

Only the newest segment grows, and the oldest are removed first, so a SETTLED frame outlives the requests it names. If
the oldest segments hold few pending requests for their size, these move into a new segment. An ATTEMPTED frame stands
behind the requests that it names, and is written again when they move.

    all attempts are noted ─ a note cannot be written ─▶ not all are: the file `attempts` is removed
             ▲                                                  │       (if it cannot be, nothing is put)
             └──── the next note names all that are pending ────┘
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from itertools import accumulate
from math import inf
from secrets import randbits
from typing import TYPE_CHECKING, Literal, TypeAlias

from tidemill.runtime.log import log
from tidemill.spool.errors import broken
from tidemill.spool.frames import (
    ATTEMPTED,
    FORMAT,
    NEVER,
    OVERHEAD,
    REQUEST,
    SETTLED,
    to_attempted,
    to_frame,
    to_opening,
    to_settled,
)
from tidemill.spool.identity import RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tidemill.spool.folder import Segment, SpoolFiles
    from tidemill.spool.identity import Identity
    from tidemill.spool.recovery import Recovered

Policy: TypeAlias = Literal["always", "interval", "never"]
"""When requests are forced to the disk."""


class SegmentLog:
    """Requests, attempts to put them, and their settlements, as frames in segments.

    One idea: frames are added to the newest segment, and what follows when the disk refuses one. It has more than 12
    methods because each step of that is a method of a few lines.

    Args:
        files: the folder.
        identity: the folder's writer.
        found: what the folder's segments hold.
        policy: when requests are forced to the disk.
        segment_bytes: size at which a segment is full.
        sync_interval: seconds that a request may wait to be forced, with the policy "interval".
        clock: the time in seconds.

    Attributes:
        pending: the requests that are neither acknowledged nor given up.
        due: when `sync` is due, on the clock; `inf` while nothing needs it.

    Raises:
        OSError: no segment can be written, and none can be made.
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
        """Settled requests that no frame names yet."""
        self._is_troubled = False
        """Whether writing such a frame failed, and that has been logged."""
        self._notes_attempts = files.notes_attempts
        newest = found.heads[-1] if found.heads else None
        if newest is None or newest.version < FORMAT or self._segments[-1].is_suspect:
            self._roll([])
        try:
            self._mend()
            self._clean()
        except OSError as error:
            log.warning("%s; until then damaged segments stay as they are", broken(files.path, error))
        if not self._notes_attempts:
            try:
                self._note(self.pending.attempted)
            except OSError as error:
                self._say_unnoted(error)

    def append(self, payload: bytes, counter: int) -> int:
        """Adds a request, forced to the disk by the policy. Returns its number.

        Raises:
            OSError: the request could not be written, and is not kept.
        """
        self._number = number = self._number + 1  # before writing: even a failed request's number is not used again
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

    def attempt(self, tried: Mapping[int, int]) -> None:
        """Notes that requests are about to be put. The note of each request's first attempt stays.

        Args:
            tried: number -> a time not after its first attempt.

        Raises:
            OSError: neither that could be noted nor that not all is: they must not be put.
        """
        attempted, places = self.pending.attempted, self.pending.places
        fresh = {number: time for number, time in tried.items() if number not in attempted and number in places}
        if not fresh:
            return
        attempted |= fresh
        try:
            self._note(fresh)
        except OSError as error:
            try:
                self._doubt(error)
            except OSError:
                for number in fresh:
                    del attempted[number]
                raise

    def retract(self, numbers: Iterable[int]) -> None:
        """Takes back attempts that were refused for certain. If that cannot be written, a kill has them marked."""
        attempted = self.pending.attempted
        taken_back = [number for number in numbers if attempted.pop(number, None) is not None]
        if taken_back and self._notes_attempts:
            with suppress(OSError):
                self._write(ATTEMPTED, self._identity.counter, to_attempted(dict.fromkeys(taken_back, NEVER)))

    def settle(self, numbers: Iterable[int]) -> None:
        """Removes requests. Numbers that cannot be written now are written with the next ones."""
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
        """Forces all added frames to the disk.

        Raises:
            OSError: that failed. It is due again after the interval, and then writes the pending requests anew.
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
        """Closes the newest segment."""
        self._segments[-1].close()

    # ---- writing

    def _add(self, counter: int, payload: bytes) -> tuple[Segment, int]:
        identity = self._identity
        if counter > identity.reserved:
            identity.reserve(counter + RESERVED)
        if counter > identity.counter:
            identity.counter = counter
        segment, start = self._write(REQUEST, counter, payload)
        self._force(segment, start)
        return segment, start

    def _force(self, segment: Segment, start: int) -> None:
        """Forces the frame added last to the disk, by the policy, or takes it back."""
        if self._policy == "never":
            return
        if self._policy == "interval":
            now = self._clock()
            if self.due == inf:
                self.due = now + self._sync_interval
            if now < self.due:
                return
        try:
            self.sync()
        except OSError:
            segment.cut(start)
            raise

    def _note(self, fresh: Mapping[int, int]) -> None:
        """Adds a note of attempts, and of all that may be missing."""
        tried = fresh if self._notes_attempts else self.pending.attempted
        if tried:
            self._force(*self._write(ATTEMPTED, self._identity.counter, to_attempted(tried)))
        if not self._notes_attempts:
            if tried and self._policy != "never":
                self.sync()  # before the file that says so
            self._files.note_attempts(True)
            self._notes_attempts = True

    def _doubt(self, error: OSError) -> None:
        """Notes that not all attempts are noted."""
        if self._notes_attempts:
            self._files.note_attempts(False)
            self._notes_attempts = False
            self._say_unnoted(error)

    def _say_unnoted(self, error: OSError) -> None:
        problem = broken(self._files.path, error)
        log.warning("%s; until then a kill has every pending request sent again as one that may be stored", problem)

    def _write(self, kind: int, counter: int, payload: bytes) -> tuple[Segment, int]:
        """Adds a frame to a segment with room for it. Returns the segment, and where the frame starts in it."""
        segment = self._segments[-1]
        if segment.is_suspect or segment.size >= self._segment_bytes:
            self._mend()
            if self._segments[-1].size >= self._segment_bytes:
                self._roll([])
            segment = self._segments[-1]
        return segment, segment.append(to_frame(kind, self._number, counter, payload, segment.seed))

    def _start_over(self) -> bool:
        """Empties the log if nothing is pending: the only way to free room when the disk has none for a new segment.

        The oldest segments are removed first, because the newest names their settled requests; then that one is cut to
        its opening. Returns whether it did.
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
        """Writes the pending requests of suspect segments anew."""
        while any(segment.is_suspect for segment in self._segments):
            self._roll(_oldest(self._segments, self._segment_bytes))

    def _clean(self) -> None:
        """Frees the room of settled requests."""
        while len(self._segments) > 1 and not self._segments[0].live:
            self._remove(self._segments[0])
        for _ in range(len(self._segments)):
            if sum(segment.size for segment in self._segments) <= 2 * (self.pending.bytes + self._segment_bytes):
                break
            self._roll(_oldest(self._segments, self._segment_bytes))

    def _roll(self, leaving: list[Segment]) -> None:
        """Begins a segment with the pending requests of the `leaving` ones, and removes those: all or nothing."""
        last = self._segments[-1] if self._segments else None
        if last and self.due < inf and not last.is_suspect:
            last.force()
            self.due = inf
        moved = [frame for segment in leaving for frame in self.pending.frames_in(segment)]
        seed = randbits(32)
        written = [to_opening(self._number, self._identity.counter, self._identity.writer, seed)]
        written += [to_frame(one.kind, one.number, one.counter, one.payload, seed) for one in moved]
        attempted = self.pending.attempted
        tried = {one.number: attempted[one.number] for one in moved if one.number in attempted}
        if tried:
            note = to_attempted(tried)
            written.append(to_frame(ATTEMPTED, self._number, self._identity.counter, note, seed))
        # Requests that were on the disk must stay there, whatever the policy.
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
    """The oldest segments whose pending requests fit into a new one; at least one."""
    pending = list(accumulate(segment.live for segment in segments))
    return segments[: max(1, bisect_right(pending, segment_bytes))]
