"""Opening a spool: reads its segments, and finds what is pending however the last process ended.

Room: SDK, I/O by the folder. Tests: tests/producers/tidemill/spool/test_spool.py.

A write that was cut off at the end of the newest segment is removed. Any other damage makes its segment suspect: what
is pending there is written anew, and the segment is kept beside. A note of an attempt may have stood there, or may be
missing because it could not be written; then every request before may have been stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidemill.runtime.log import log
from tidemill.spool.errors import SpoolBroken
from tidemill.spool.frames import (
    ATTEMPTED,
    FORMAT,
    HEAD,
    NEVER,
    REQUEST,
    SETTLED,
    Gap,
    attempted_in,
    read,
    settled_in,
    to_head,
)
from tidemill.spool.pending import Pending

if TYPE_CHECKING:
    from tidemill.spool.folder import Segment, SpoolFiles
    from tidemill.spool.frames import Frame, Head


class Recovered:
    """What the segments of a folder hold.

    Args:
        files: the folder.

    Attributes:
        segments: the log, oldest first. The newest is open.
        heads: what each says of its writer; None where that cannot be read.
        pending: the requests that are neither acknowledged nor given up.
        number: the highest that a request has had.
        counter: the writer's highest that is in the log.

    Raises:
        SpoolBroken: a later release has written them.
        OSError: they cannot be read.
    """

    def __init__(self, files: SpoolFiles) -> None:
        self.segments = files.segments()
        self.pending = Pending()
        self.number = self.counter = 0
        if self.segments:
            self.segments[-1].open()
        self.heads = [self._scan(segment) for segment in self.segments]
        if not files.notes_attempts:
            self.pending.doubt()

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
                if head.version > FORMAT:
                    raise SpoolBroken(f"{segment.path} has format {head.version}; use the release that wrote it")
            self._take_up(segment, found)
        return head

    def _skip(self, segment: Segment, gap: Gap) -> None:
        size = gap.end - gap.start
        if gap.is_torn and segment is self.segments[-1]:
            log.warning("%s ends with %d bytes of a write that was cut off; they are removed", segment.path, size)
            segment.cut(gap.start)
        else:
            log.warning("%s: %d bytes at %d cannot be read; it is kept beside", segment.path, size, gap.start)
            segment.is_suspect = segment.has_gaps = True
            self.pending.doubt()

    def _take_up(self, segment: Segment, frame: Frame) -> None:
        self.number = max(self.number, frame.number)
        self.counter = max(self.counter, frame.counter)
        if frame.kind == SETTLED:
            for number in settled_in(frame.payload):
                self.pending.forget(number)
        elif frame.kind == ATTEMPTED:
            for number, time in attempted_in(frame.payload):
                if time == NEVER:
                    self.pending.attempted.pop(number, None)
                elif number in self.pending.places:
                    self.pending.attempted[number] = time
        elif frame.kind == REQUEST:
            if frame.number in self.pending.places:  # a kill amid moving it leaves it in two places
                self.pending.move(frame.number, segment, frame.start)
            else:
                self.pending.add(frame.number, segment, frame.start, frame.end - frame.start)
