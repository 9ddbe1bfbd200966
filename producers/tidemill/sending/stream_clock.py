"""The stream's clock: a time that is certainly not after the present, by the dates of Kinesis' answers.

Room: SDK core. No I/O; time is an argument.

    an answer's Date, less a second ─ plus the time since it came, by a monotonic clock ─▶ at most the stream's time

Every error makes it earlier, never later: an answer is on its way for a while after its date, a monotonic clock may
stop while the machine sleeps, and for one that runs fast a thousandth is taken off. So a record's first attempt, which
leaves now, arrives later than this.
"""

MARGIN = 1.0
"""Seconds by which the clock that dates an answer may be ahead of the one that notes arrivals; dates are whole ones."""

DRIFT = 0.001
"""The part by which a monotonic clock may be fast. NTP changes its speed by half of that at most."""


class StreamClock:
    """Learns the stream's time from answers. One thread may teach it while another reads it."""

    __slots__ = ("_heard",)

    def __init__(self) -> None:
        self._heard: tuple[float, float] | None = None
        """The latest answer's date, and when it came. Replaced whole."""

    def hear(self, date: float, now: float) -> None:
        """Learns from an answer. The latest one counts, even if its date is earlier: it is the nearest to the present.

        Args:
            date: the time in its header `Date`, in seconds since 1970.
            now: when it came, in seconds on the monotonic clock of all the other calls.
        """
        self._heard = date, now

    def at(self, now: float) -> int:
        """A time certainly not after `now`, in whole milliseconds since 1970 by the stream's clock; 0: unknown."""
        if self._heard is None:
            return 0
        date, came = self._heard
        return max(0, int((date - MARGIN + max(0.0, now - came) * (1 - DRIFT)) * 1000))
