"""Observers: functions of the application that are told of every PutRecords call.

Room: SDK. An observer is foreign code: its exceptions are logged and not raised.
Tests: tests/producers/tidemill/test_metrics.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tidemill.sending.records import THROTTLED, Acknowledged, Refused

if TYPE_CHECKING:
    from tidemill.sending.records import Call, Outcome
    from tidemill.sending.tally import Stats

_log = logging.getLogger("tidemill")


class CallMade(NamedTuple):
    """A PutRecords call that has ended.

    Attributes:
        records: number of its records.
        requests: number of the requests in them.
        bytes: bytes of the records' data.
        seconds: the call's duration.
        stored: number of records that were acknowledged.
        throttled: number of records that the shard or the service throttled.
        error: the error code, if the whole call failed.
        stats: the producer's counts so far, this call included.
    """

    records: int
    requests: int
    bytes: int
    seconds: float
    stored: int
    throttled: int
    error: str | None
    stats: Stats


Observer: TypeAlias = Callable[[CallMade], None]
"""A function that is told of every call, in the herald's thread. If it is too slow, calls are dropped."""


def call_made(call: Call, answer: Sequence[Outcome] | Refused, seconds: float, stats: Stats) -> CallMade:
    """The CallMade for an observer. To be made before the answer is settled, because settling empties the records.

    Its `stats` are from before the answer; the caller replaces them afterwards.
    """
    outcomes = [answer] * call.count if isinstance(answer, Refused) else answer
    return CallMade(
        records=call.count,
        requests=sum(record.count for record in call.records),
        bytes=sum(record.size for record in call.records),
        seconds=seconds,
        stored=sum(isinstance(outcome, Acknowledged) for outcome in outcomes),
        throttled=sum(isinstance(outcome, Refused) and outcome.code in THROTTLED for outcome in outcomes),
        error=answer.code if isinstance(answer, Refused) else None,
        stats=stats,
    )


def tell(observer: Observer, made: CallMade) -> None:
    """Calls the observer, and logs its exceptions."""
    try:
        observer(made)
    except Exception:
        _log.exception("the producer's observer failed")


def tell_of_change(observer: Observer, stats: Stats) -> None:
    """Calls the observer's method `changed`, if it has one, with the counts: requests have ended without a call."""
    changed = getattr(observer, "changed", None)
    if changed is None:
        return
    try:
        changed(stats)
    except Exception:
        _log.exception("the producer's observer failed")
