"""The pace of one shard: a token bucket whose rate is learned from the shard's answers.

Room: SDK core. No I/O; time is an argument.

    never refused  ─ records leave at once. What is beyond a shard's documented limits is tried in doubling steps
    refused once   ─ at most TOP of those limits, and less while refusals show that others use the shard, too
    period is over ─ few refused: a step more  ·  many: a cut  ·  as many whatever the rate, by chance: no less
"""

from __future__ import annotations

from math import inf, sqrt

from tidemill.sending.pacing.bucket import Bucket
from tidemill.sending.pacing.evidence import Before, Neighbours

TOP = 0.98
"""Highest rate of a shard that has refused a record: what it takes beyond that becomes its reserve."""

LEAST = 0.1
"""Lowest rate."""

DARE = 0.05
"""Seconds beyond the documented limits that are tried first; twice as many as were acknowledged are tried next."""

FREE = 16.0
"""Seconds beyond the limits after which a shard counts as one without limits."""

FIRST_SETTLING = 1.0
"""Seconds after the first refusal that are not judged: the shard may have to gather strength after a burst."""

SETTLING = 0.2
"""Seconds after a judgement that are not judged: answers to earlier calls."""

PERIOD = 1.0
"""Least seconds of a period that is judged."""

FEWEST = 8
"""Fewest records of a period that is judged."""

TOLERATED = 0.05
"""Share of the records that may be refused, beyond those refused by chance, without a cut."""

STEP = 0.08
"""What a rate gains in a second while few records are refused."""

CUT = 0.8
"""Factor of a cut. It is the same for high and low rates, and the step is, so producers of one shard become equal."""

FIRST_CUT = 0.5
"""Least factor of a cut from the highest rate, where a larger share refused makes a larger cut."""

PAUSE = 0.1
"""Seconds of its rate that a bucket waits after a cut."""

SMOOTHING = 0.2
"""Weight of a period in the share refused by chance."""

NEGLIGIBLE = 0.02
"""Share refused by chance below which there is none."""


class Pace:
    """When records of a shard may leave.

    Attributes:
        bucket: what the shard takes now.
        is_limited: whether the shard has ever refused a record.
        chance: share of the records that are refused by chance.
    """

    def __init__(self) -> None:
        self.bucket = Bucket()
        self.is_limited = False
        self.chance = 0.0
        self._credit = DARE
        self._neighbours = Neighbours()
        self._before: Before | None = None
        self._begin(inf)

    def opens_at(self, now: float) -> float:
        """When records may leave: `now`, or later."""
        if self._credit > FREE:
            return now
        opens_at = self.bucket.opens_at(now, self._credit)
        self._was_short |= opens_at > now
        return opens_at

    def left(self, size: int, now: float) -> None:
        """Notes that a record of `size` bytes leaves."""
        if self._credit <= FREE:
            self.bucket.take(size, now)

    def acknowledged(self, now: float) -> None:
        """Notes that a record was stored."""
        if self.is_limited:
            self._note(False, now)
        elif 2 * self.bucket.debt > self._credit:
            self._credit = 2 * self.bucket.debt
            self.bucket.reopen()

    def refused(self, now: float) -> None:
        """Notes that the shard refused a record because it takes no more."""
        if not self.is_limited:
            self.is_limited = True
            self._credit = 0.0
            self.bucket.rate = TOP
            self.bucket.reopen()
            if self.bucket.was_used(now):  # else the load is not from here, or there is none
                self.bucket.pause(now, PAUSE)
            self._begin(now + FIRST_SETTLING)
        self._note(True, now)

    def _note(self, is_refused: bool, now: float) -> None:
        if self._since + PERIOD <= now and self._records >= FEWEST:
            self._judge(now)
            self._neighbours.forget()
            self._begin(now + SETTLING)
        self._neighbours.note(is_refused, now)
        if self._since <= now:
            self._records += 1
            self._refused += is_refused

    def _begin(self, since: float) -> None:
        """Begins a period."""
        self._since = since
        self._records = self._refused = 0
        self._was_short = False

    def _judge(self, now: float) -> None:
        """Learns from the period that is over."""
        share = self._refused / self._records
        if self._neighbours.are_independent is False:
            self.chance = 0.0
        by_chance = self._records * self.chance
        are_many = self._refused > self._records * TOLERATED + by_chance + 2 * sqrt(by_chance)
        if self._before is not None:
            self._before = self._before.after(self._records, self._refused)
        if self._is_by_chance(are_many):
            self.chance = (self.chance + share) / 2 if self.chance else share
            self.bucket.rate = self._before.first_rate if self._before else self.bucket.rate
            self._before = None
        elif are_many:
            self._cut(share, now)
        elif self._before is None or self._before.has_fallen:
            self._before = None
            self._recover(share, now - self._since)

    def _is_by_chance(self, are_many: bool) -> bool:
        """Whether more is refused by chance than the share known so far."""
        independent = self._neighbours.are_independent
        if independent is not None:
            return are_many and independent
        return self._before is not None and self._before.is_as_before(self.bucket.rate)

    def _recover(self, share: float, seconds: float) -> None:
        """Raises the rate, if it was too low for what there was to send."""
        if self._was_short:
            self.bucket.rate = min(TOP, self.bucket.rate + STEP * seconds)
        if self.chance:
            chance = self.chance + SMOOTHING * (share - self.chance)
            self.chance = chance if chance > NEGLIGIBLE else 0.0

    def _cut(self, share: float, now: float) -> None:
        """Lowers the rate, because so large a share was refused."""
        rate = self.bucket.rate
        if self._before is None:
            self._before = Before(rate, rate, share)
        elif self._before.is_known and self._before.has_fallen:
            self._before = self._before.lowered(rate)
        factor = CUT if rate < TOP else max(FIRST_CUT, CUT * (1 - share))
        self.bucket.rate = max(LEAST, factor * rate)
        self.bucket.pause(now, PAUSE)
