"""Sends follow-up requests to the stream, by the scheduler that keeps their order.

Room: adapters. The only module that puts records on Kinesis.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from random import Random
from time import sleep
from typing import TYPE_CHECKING, Any

from tidemill.contract.request import Request
from tidemill.sending.answers import outcomes, unreadable
from tidemill.sending.records import Call, Outcome, Refused
from tidemill.sending.scheduler import Scheduler
from tidemill_consumers.core.batch import Emitted, Position
from tidemill_consumers.core.trust import Seals

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

log = logging.getLogger(__name__)

ROUNDS = 6
"""Times that a record is sent, with growing waits between: 1.6 s on average in all, 3.1 s at most."""


class Emits:
    """The stream that follow-up requests go back to.

    Args:
        kinesis: a boto3 Kinesis client; it need not retry.
        stream: the stream's name.
        scheduler: makes an empty scheduler without linger or rests, because the function waits for it.
        pause: sleeps for some seconds.
        seals: make the application's seal on the requests; None if it has no secret.
    """

    def __init__(
        self,
        kinesis: KinesisClient,
        stream: str,
        scheduler: Callable[[], Scheduler] = lambda: Scheduler(Random(), linger=0, paced=False),
        pause: Callable[[float], None] = sleep,
        seals: Seals | None = None,
    ) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._scheduler = scheduler
        self._pause = pause
        self._sealed: Callable[[Request], Request] = seals.seal if seals else lambda request: request
        self.sent = 0
        """Number of requests that the stream took."""

    def send(self, emitted: Sequence[Emitted]) -> list[Position]:
        """Send the requests, each key's in order; the positions of causes whose requests are not all acknowledged.

        All are marked: a delivery that another has overtaken sends them for the first time, yet behind the other's.
        """
        if not emitted:
            return []
        scheduler = self._scheduler()
        sent = [
            (one.position, scheduler.add(self._sealed(request), 0.0, _tried(one), maybe_stored=True))
            for one in emitted
            for request in one.requests
        ]
        scheduler.flush(0.0)
        self._drive(scheduler)
        failed = [position for position, record in sent if record.outcome is None]
        self.sent += len(sent) - len(failed)
        return failed

    def put(self, request: Request, since: float) -> bool:
        """Put a request that no other one caused; whether the stream took it.

        It is not marked: whoever puts it again after a crash knows of no earlier attempt, and its rule must tell
        repeats that its entity cannot tell any more.

        Args:
            request: with a key, a writer and a counter.
            since: a time before it was first put, in seconds since 1970 by the stream's clock.
        """
        scheduler = self._scheduler()
        record = scheduler.add(self._sealed(request), 0.0, max(0, int(since * 1000)))
        scheduler.flush(0.0)
        self._drive(scheduler)
        self.sent += record.outcome is not None
        return record.outcome is not None

    def _drive(self, scheduler: Scheduler) -> None:
        now = 0.0  # a clock that only the waits advance
        for _ in range(ROUNDS):
            while isinstance(due := scheduler.next_call(now), Call):
                scheduler.acknowledged(due, self._put(due), now)
            if not scheduler.pending:
                return
            self._pause(due - now)
            now = due

    def _put(self, call: Call) -> Sequence[Outcome]:
        records: Any = [one.entry for one in call.records]
        try:
            answer = outcomes(self._kinesis.put_records(StreamName=self._stream, Records=records), call.count)
        except Exception as error:  # unacknowledged: the cause is delivered again
            answer = unreadable(f"{type(error).__name__}: {error}")
        if isinstance(answer, Refused):
            log.warning("cannot emit %d records: %s", call.count, answer.message)
            answer = [answer] * call.count
        # No record is ever given up: its lane would then send the next one, out of order.
        return [one._replace(again=True) if isinstance(one, Refused) else one for one in answer]


def _tried(emitted: Emitted) -> int:
    """A time before the requests were first put, for their marks, in whole milliseconds."""
    return max(0, int(emitted.since * 1000))
