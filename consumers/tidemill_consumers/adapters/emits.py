"""Follow-up requests back onto the stream, by the scheduler that keeps their order.

Room: adapters. The only Kinesis here.
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
"""Times that what was refused is sent, with a growing wait between: 1.6 s on average in all, 3.1 s at most."""


class Emits:
    """The stream that follow-up requests go back to.

    Args:
        kinesis: a boto3 Kinesis client; it need not retry.
        stream: the stream's name.
        scheduler: makes an empty scheduler that lets nothing linger, nor rest: it is awaited.
        pause: waits so many seconds.
        seals: what tells the application's own requests from others; None where there is no secret for it.
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

    def send(self, emitted: Sequence[Emitted]) -> list[Position]:
        """Send them, each key's in their order; the positions of those whose requests are not all acknowledged."""
        if not emitted:
            return []
        scheduler = self._scheduler()
        sent = [
            (one.position, scheduler.add(self._sealed(request), 0.0)) for one in emitted for request in one.requests
        ]
        scheduler.flush(0.0)
        self._drive(scheduler)
        return [position for position, record in sent if record.outcome is None]

    def _drive(self, scheduler: Scheduler) -> None:
        now = 0.0  # only the waits count
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
        except Exception as error:  # whatever it is: what is not acknowledged is delivered again by its cause
            answer = unreadable(f"{type(error).__name__}: {error}")
        if isinstance(answer, Refused):
            log.warning("cannot emit %d records: %s", call.count, answer.message)
            answer = [answer] * call.count
        # Never given up, whatever it is: a lane that goes on after a record was given up would send the next first.
        return [one._replace(again=True) if isinstance(one, Refused) else one for one in answer]
