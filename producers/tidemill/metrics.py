"""Observers that report a producer's work: to a log, and to OpenTelemetry.

Room: SDK.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from msgspec.structs import asdict

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from tidemill.delivery.observer import CallMade
    from tidemill.sending.tally import Stats

LOG_SECONDS = 60.0

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bucket boundaries for a call's seconds. OpenTelemetry's defaults suit milliseconds: nearly all would be in one."""

RECORDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 300.0, 400.0, 499.0)
"""Bucket boundaries for a call's records: 500 at most."""

REQUESTS = tuple(float(one * 10**power) for power in range(6) for one in (1, 2, 5))
"""Bucket boundaries for a call's requests."""

_log = logging.getLogger("tidemill")


class LogMetrics:
    """An observer that regularly logs the producer's counts.

    The line is for people. The log record's attribute `tidemill` has these and more counts as fields, for JSON logs.

    Args:
        every: least seconds between two lines.
        logger: the logger; by default `tidemill`. The level is INFO.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        every: float = LOG_SECONDS,
        logger: logging.Logger = _log,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._every = every
        self._logger = logger
        self._clock = clock
        self._next = -float("inf")

    def __call__(self, made: CallMade) -> None:
        """Logs a line, if one is due."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._every
        stats = made.stats
        self._logger.info(
            "%d requests in %d records and %d calls; pending %d of %d bytes, the oldest %.1f s; "
            "%d records retried, %d throttled; %d requests given up, %d of them unknown",
            stats.requests,
            stats.records,
            stats.put_calls,
            stats.pending,
            stats.pending_bytes,
            stats.oldest,
            stats.retried_entries,
            stats.throttled_entries,
            stats.refused,
            stats.unknown,
            extra={"tidemill": asdict(stats)},
        )


class OpenTelemetryMetrics:
    """An observer that feeds a meter of OpenTelemetry.

    Counters of requests, records, bytes, retries, throttles, calls and failed calls; histograms of a call's seconds,
    records and requests; gauges of pending requests and of the oldest one's age, which return to 0 when nothing is
    pending or the producer has ended. Each producer needs its own observer and meter.

    Args:
        meter: such as `opentelemetry.metrics.get_meter("shop")`; needs the package opentelemetry-api 1.30 or later.
    """

    def __init__(self, meter: Meter) -> None:
        self._requests = meter.create_counter("tidemill.producer.requests", "1", "Requests sent, repeats included")
        self._records = meter.create_counter("tidemill.producer.records", "1", "Records acknowledged")
        self._bytes = meter.create_counter("tidemill.producer.bytes", "By", "Bytes sent, repeats included")
        self._retries = meter.create_counter("tidemill.producer.retries", "1", "Records not acknowledged by a call")
        self._throttles = meter.create_counter("tidemill.producer.throttles", "1", "Of those, throttled")
        self._calls = meter.create_counter("tidemill.producer.calls", "1", "PutRecords calls, by error")
        self._seconds = meter.create_histogram(
            "tidemill.producer.call.duration",
            "s",
            "Time of a PutRecords call",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self._call_records = meter.create_histogram(
            "tidemill.producer.call.records", "1", "Records of a call", explicit_bucket_boundaries_advisory=RECORDS
        )
        self._call_requests = meter.create_histogram(
            "tidemill.producer.call.requests", "1", "Requests of a call", explicit_bucket_boundaries_advisory=REQUESTS
        )
        self._pending = meter.create_gauge("tidemill.producer.pending", "1", "Requests not acknowledged")
        self._oldest = meter.create_gauge("tidemill.producer.queue.age", "s", "Age of the oldest of those")

    def __call__(self, made: CallMade) -> None:
        """Feeds the meter."""
        self._requests.add(made.requests)
        self._records.add(made.stored)
        self._bytes.add(made.bytes)
        self._retries.add(made.records - made.stored)
        self._throttles.add(made.throttled)
        self._calls.add(1, {"error.type": made.error} if made.error else {})
        self._seconds.record(made.seconds)
        self._call_records.record(made.records)
        self._call_requests.record(made.requests)
        self.changed(made.stats)

    def changed(self, stats: Stats) -> None:
        """Sets the gauges."""
        self._pending.set(stats.pending)
        self._oldest.set(stats.oldest)
