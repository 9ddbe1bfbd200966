"""Tracks whether an endpoint answers: one back-off for all calls to it.

Room: SDK core. No I/O; time is an argument.

    it answers     ─ calls leave at once
    a call failed  ─ no call leaves until the back-off is over; then one call, of half the size at most
    it answers     ─ calls leave at once, each up to twice as large as the one before

The failure of a whole call concerns the endpoint, and not the lanes of its records: a lane's own back-off follows only
the answers about its own record. Smaller calls waste less while the endpoint does not answer. A record that makes every
call fail ends up alone in a call, so that the others succeed.
"""

from math import inf

from tidemill.sending.records import CALL_RECORDS


class Endpoint:
    """When calls may leave, and how large they may be.

    Attributes:
        until: when the next call may leave; `inf` while a single call in flight tests whether the endpoint answers.
        limit: most records of the next call.
        failures: number of consecutive failed calls.
    """

    __slots__ = ("failures", "limit", "until")

    def __init__(self) -> None:
        self.until = -inf
        self.limit = CALL_RECORDS
        self.failures = 0

    def left(self) -> None:
        """Notes that a call has left."""
        if self.failures:
            self.until = inf

    def answered(self) -> None:
        """Notes that a call has been answered, with success or not."""
        self.until = -inf
        self.failures = 0
        self.limit = min(2 * self.limit, CALL_RECORDS)

    def failed(self, records: int, until: float) -> None:
        """Notes that a call of `records` records failed as a whole; the next may leave at `until`."""
        self.until = until
        self.limit = max(1, min(self.limit, records) // 2)
        self.failures += 1
