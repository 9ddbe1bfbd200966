"""The index of a spool: where the frame of each pending request is.

Room: SDK, I/O by the segments. Tests: tests/producers/tidemill/spool/test_spool.py.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from tidemill.runtime.log import log
from tidemill.spool.frames import REQUEST, Frame, frame_at, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidemill.spool.folder import Segment


class Spooled(NamedTuple):
    """A request that is neither acknowledged nor given up."""

    number: int
    payload: bytes


class Pending:
    """The pending requests of a log, and their bytes in each segment (`Segment.live`).

    Attributes:
        places: number -> the request's segment, where its frame starts there, and the frame's size.
        attempted: of those that may have been stored, number -> a time not after the first attempt; 0: unknown.
        bytes: bytes of the requests, with their frames.
    """

    __slots__ = ("attempted", "bytes", "places")

    def __init__(self) -> None:
        self.attempted: dict[int, int] = {}
        self.places: dict[int, tuple[Segment, int, int]] = {}
        self.bytes = 0

    def add(self, number: int, segment: Segment, start: int, size: int) -> None:
        """Adds a request that is not there yet."""
        self.places[number] = (segment, start, size)
        segment.live += size
        self.bytes += size

    def forget(self, number: int) -> bool:
        """Removes a request. Returns whether it was there."""
        place = self.places.pop(number, None)
        if place is None:
            return False
        self.attempted.pop(number, None)
        segment, _, size = place
        segment.live -= size
        self.bytes -= size
        return True

    def doubt(self) -> None:
        """Notes that each may have been stored, because the notes of attempts are not whole."""
        self.attempted = dict.fromkeys(self.places, 0) | self.attempted

    def move(self, number: int, segment: Segment, start: int) -> None:
        """Notes that a request's frame is in another segment now."""
        before, _, size = self.places[number]
        before.live -= size
        segment.live += size
        self.places[number] = (segment, start, size)

    def frames_in(self, segment: Segment) -> Iterator[Frame]:
        """The frames of a segment's pending requests. If some cannot be read, marks the segment as having gaps."""
        left = segment.live
        for frame in read(_load(segment, segment.size), segment.seed) if left else ():
            if isinstance(frame, Frame) and frame.kind == REQUEST and self._is_in(segment, frame.number):
                left -= frame.end - frame.start
                yield frame
        if left:
            log.warning("%s: %d bytes can no longer be read; it is kept beside", segment.path, left)
            segment.has_gaps = True

    def requests(self, numbers: Iterable[int]) -> Iterator[Spooled]:
        """The requests of those numbers that are still pending."""
        load = lru_cache(8)(_load)
        for number in numbers:
            if number not in self.places:
                continue
            segment, start, _ = self.places[number]
            frame = frame_at(load(segment, segment.size), start, segment.seed)
            if frame is not None and frame.number == number:
                yield Spooled(number, frame.payload)
            else:
                log.warning("%s: request %d can no longer be read", segment.path, number)

    def _is_in(self, segment: Segment, number: int) -> bool:
        place = self.places.get(number)
        return place is not None and place[0] is segment


def _load(segment: Segment, size: int) -> bytes:
    """The first `size` bytes of a segment; none, with a warning, if they cannot be read."""
    try:
        return segment.load()[:size]
    except OSError as error:
        log.warning("%s cannot be read: %s", segment.path, error)
        return b""
