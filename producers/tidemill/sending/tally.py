"""A scheduler's counts of requests, records and calls, and the records that have ended.

Room: SDK core. No I/O; time is an argument.
Tests: tests/producers/tidemill/sending/test_scheduler.py.
"""

import msgspec

from tidemill.sending.records import Outcome, Record, Refused


class Stats(msgspec.Struct, frozen=True):
    """The counts of a producer's work so far.

    Attributes:
        requests: requests accepted for sending.
        refused: of those, given up: refused for good, expired, dropped, or unknown.
        expired: of the refused, those whose deadline passed.
        dropped: of the refused, those that made room for newer ones.
        unknown: of the refused, those that may be stored because an answer was lost.
        pending: requests not yet acknowledged or refused.
        pending_bytes: bytes of the records with pending requests.
        oldest: seconds that the oldest pending request has waited.
        records: acknowledged records.
        bytes: bytes of the acknowledged records' data.
        put_calls: PutRecords calls handed out.
        retried_entries: records that failed and were queued again.
        throttled_entries: of those, the ones that were throttled.
    """

    requests: int = 0
    refused: int = 0
    expired: int = 0
    dropped: int = 0
    unknown: int = 0
    pending: int = 0
    pending_bytes: int = 0
    oldest: float = 0.0
    records: int = 0
    bytes: int = 0
    put_calls: int = 0
    retried_entries: int = 0
    throttled_entries: int = 0


class Tally:
    """Keeps the counts of `Stats`, and the records that have ended until `take_news` returns them.

    Attributes:
        pending_bytes: bytes of the records that are neither acknowledged nor given up.
    """

    __slots__ = (
        "_acknowledged",
        "_bytes",
        "_news",
        "_records",
        "dropped",
        "expired",
        "pending_bytes",
        "put_calls",
        "refused",
        "requests",
        "retried_entries",
        "throttled_entries",
        "unknown",
    )

    def __init__(self) -> None:
        self.requests = self.refused = self.expired = self.dropped = self.unknown = 0
        self.put_calls = self.retried_entries = self.throttled_entries = 0
        self.pending_bytes = 0
        self._acknowledged = self._records = self._bytes = 0
        self._news: list[Record] = []

    @property
    def pending(self) -> int:
        """Requests that are neither acknowledged nor given up."""
        return self.requests - self._acknowledged - self.refused

    def settle(self, record: Record, outcome: Outcome) -> None:
        """Ends a record and all its requests with this outcome."""
        self.pending_bytes -= record.size
        if isinstance(outcome, Refused):
            outcome = outcome._replace(lost=outcome.lost or record.maybe_stored)
            self.refused += record.count
            self.unknown += record.count * outcome.lost
        else:
            self._acknowledged += record.count
            self._records += 1
            self._bytes += record.size
        record.settle(outcome)
        self._news.append(record)

    def expire(self, record: Record, now: float) -> None:
        """Gives up the requests of a record whose deadline has passed."""
        before = record.size
        ended = record.expire(now)
        self.expired += ended
        self.refused += ended
        self.unknown += ended * record.maybe_stored
        self.pending_bytes -= before - record.size if record.count else before
        self._news.append(record)

    def take_news(self) -> list[Record]:
        """The records of which some or all requests have ended since the last call."""
        news, self._news = self._news, []
        return news

    def stats(self, oldest: float) -> Stats:
        """The counts. `oldest`: seconds that the oldest pending request has waited."""
        return Stats(
            requests=self.requests,
            refused=self.refused,
            expired=self.expired,
            dropped=self.dropped,
            unknown=self.unknown,
            pending=self.pending,
            pending_bytes=self.pending_bytes,
            oldest=oldest,
            records=self._records,
            bytes=self._bytes,
            put_calls=self.put_calls,
            retried_entries=self.retried_entries,
            throttled_entries=self.throttled_entries,
        )
