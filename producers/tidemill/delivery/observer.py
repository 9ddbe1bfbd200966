"""What is told of every PutRecords call, and to whom: a function that the producer's user gives.

Room: SDK. An observer is foreign code: what it raises is logged and goes no further.
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
    """A PutRecords call that came to an end.

    Attributes:
        records: it carried.
        requests: in those.
        bytes: of their data.
        seconds: it took.
        stored: records that were acknowledged.
        throttled: records that were refused because the shard or the service said: too fast.
        error: the code with which the whole call failed, if it did.
        stats: what the producer has done so far, this call and its queue included.
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
"""Is told of every call, in the sender's thread or event loop: it must not take long."""


def call_made(call: Call, answer: Sequence[Outcome] | Refused, seconds: float, stats: Stats) -> CallMade:
    """What an observer is told. To be asked before the answer is settled, for that empties the records.

    Its `stats` are those from before, to be replaced by those after.
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
    """Tells the observer, whose faults are its own."""
    try:
        observer(made)
    except Exception:
        _log.exception("the producer's observer failed")


def tell_of_change(observer: Observer, stats: Stats) -> None:
    """Tells an observer that has a method `changed` what there is now: requests have ended without a call."""
    changed = getattr(observer, "changed", None)
    if changed is None:
        return
    try:
        changed(stats)
    except Exception:
        _log.exception("the producer's observer failed")
