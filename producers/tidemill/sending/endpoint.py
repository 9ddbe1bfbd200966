"""Whether an endpoint answers: one back-off for all that goes there.

Room: SDK core. No I/O; time is an argument.

    it answers     ─ nothing waits
    a call failed  ─ nothing leaves until the back-off is over; then one call, of half the size at most
    it answers     ─ calls leave at once, each up to twice as large as the one before

A call that fails as a whole says something about the endpoint, and nothing about the lanes of its records: a lane has a
back-off of its own only for what the endpoint answered about its record. A smaller call costs less while nobody
answers; and a record that makes every call fail ends up in a call of its own, so that the others pass.
"""

from math import inf

from tidemill.sending.records import CALL_RECORDS


class Endpoint:
    """When calls may leave, and how large they may be.

    Attributes:
        until: no call may leave before; `inf` while the one is on its way that finds out whether somebody answers.
        limit: records that the next call may have.
        failures: calls that have failed one after another.
    """

    __slots__ = ("failures", "limit", "until")

    def __init__(self) -> None:
        self.until = -inf
        self.limit = CALL_RECORDS
        self.failures = 0

    def left(self) -> None:
        """A call has left."""
        if self.failures:
            self.until = inf

    def answered(self) -> None:
        """A call has been answered, whatever the answer says."""
        self.until = -inf
        self.failures = 0
        self.limit = min(2 * self.limit, CALL_RECORDS)

    def failed(self, records: int, until: float) -> None:
        """A call of so many records failed as a whole; the next may leave at `until`."""
        self.until = until
        self.limit = max(1, min(self.limit, records) // 2)
        self.failures += 1
