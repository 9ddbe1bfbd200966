"""A lane: the records of its keys, in order and at most one in flight.

Room: SDK core. No I/O; time and chance are arguments.
Tests: tests/producers/tidemill/sending/test_scheduler.py.

    request ─▶ buffer ─ seal ─▶ full ─ advance ─▶ out ─ end ─▶ the next may leave
                                                  │ ▲
                                                  └─┘ retry: it stays `out`, and is sent again after a back-off
"""

from collections import deque
from functools import partial

from tidemill.contract.lanes import hash_key
from tidemill.sending.backoff import Chance, backoff
from tidemill.sending.records import RECORD_REQUESTS, Buffer, PlainRecord, Record


class Lane:
    """The records of a lane: the one being filled, the full ones, and the one that is out.

    Args:
        number: its number.
        lanes: number of lanes.
        size: bytes of a full record.
        aggregate: whether requests share records.

    Attributes:
        buffer: holds the record being filled.
        full: full records, oldest first.
        out: the oldest record, if it waits in a call, is in flight, or waits to be sent again.
        ready_at: when the lane may send `out` again; None while it does not wait.
        attempts: number of failures of the record that is out, without those of whole calls.
        is_failing: whether that record has failed, other than by throttling.
    """

    __slots__ = ("attempts", "buffer", "full", "is_failing", "out", "ready_at")

    def __init__(self, number: int, lanes: int, size: int, aggregate: bool) -> None:
        empty = partial(Record, number, hash_key(number, lanes)) if aggregate else partial(PlainRecord, number)
        self.buffer: Buffer[tuple[str, bytes], Record] = Buffer(empty, size, RECORD_REQUESTS)
        self.full: deque[Record] = deque()
        self.out: Record | None = None
        self.ready_at: float | None = None
        self.attempts = 0
        self.is_failing = False

    @property
    def is_in_flight(self) -> bool:
        """Whether a record has been handed out, and so must not be changed."""
        return self.out is not None and not self.out.aboard and self.ready_at is None

    @property
    def unsettled(self) -> list[Record]:
        """Its records, oldest first."""
        out = self.out  # read once: another thread may ask
        return [*([] if out is None else [out]), *self.full, *([self.buffer.load] if self.buffer.load.count else [])]

    @property
    def waiting(self) -> list[Record]:
        """Its records that have not been handed out, oldest first."""
        return self.unsettled[self.is_in_flight :]

    def seal(self) -> bool:
        """Ends the record being filled. Returns whether there was one."""
        record = self.buffer.take()
        if record is None:
            return False
        self.full.append(record)
        return True

    def advance(self) -> Record | None:
        """Takes the next record out; None if one is out already, or none is full."""
        if self.out is None and self.full:
            self.out = self.full.popleft()
            return self.out
        return None

    def retry(self, throttled: bool, soon: bool, now: float, until: float | None, chance: Chance) -> None:
        """Schedules the record that is out to be sent again.

        Args:
            throttled: whether it was throttled.
            soon: whether only its first back-off is waited for, however often it has failed.
            now: the time in seconds.
            until: when the whole call may be sent again; None if the record failed by itself.
            chance: the source of the back-offs' jitter.
        """
        if not throttled:
            self.is_failing = True
        self.ready_at = until
        if until is None:
            self.ready_at = now + backoff(0 if soon else self.attempts, chance.random())
            self.attempts += 1

    def end(self) -> None:
        """Notes that the record that is out has ended: the next one may leave."""
        self.out = None
        self.is_failing = False
        self.attempts = 0

    def remove(self, record: Record) -> None:
        """Removes a record that has not been handed out."""
        if record is self.buffer.load:
            self.buffer.clear()
        elif record is not self.out:
            self.full.remove(record)
        else:
            self.is_failing = False
            self.out = self.ready_at = None

    def clear(self) -> None:
        """Removes all records."""
        self.buffer.take()
        self.full.clear()
        self.out = self.ready_at = None
        self.is_failing = False
