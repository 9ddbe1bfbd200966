"""From the parts of a load test to its measurements: counts added up, latencies thrown together, and the bill.

Room: load, pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import asdict

from tidemill.contract.request import Status
from tidemill_load.cost_model.assumptions import OBJECT_DAYS, UPLOAD_DAYS
from tidemill_load.cost_model.bill import Counts, price
from tidemill_load.cost_model.cost import archive, kept_months, listening
from tidemill_load.cost_model.prices import Prices
from tidemill_load.results.faults import Faults
from tidemill_load.results.latency import latency
from tidemill_load.results.request_tracker import RequestTracker
from tidemill_load.results.result import Measurement, Mode
from tidemill_load.results.spent import Spent


@dataclass(frozen=True, slots=True)
class Items:
    """Items of entities.

    Attributes:
        count: how many.
        bytes: of all of them, as DynamoDB counts them.
        writers: that they remember, added up.
    """

    count: int = 0
    bytes: int = 0
    writers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a load test, sent and settled.

    Attributes:
        requests: sent.
        bytes: of their JSON.
        seconds: from the first one's due time to the last's.
        sending_seconds: from the first one's due time until the last one left.
        drain_seconds: from the last one's due time to the last answer.
        statuses: answers by status.
        latencies: seconds from due to answered.
        entities: distinct entities.
        writers: writers of each entity, added up.
        items: the entities' items as they were found in the end.
        faults: None where they are not known: it was stopped, or nobody could look.
        errors: requests given up, or answered by an error.
        retries: times that something was sent again.
        spent: what was used.
    """

    requests: int
    bytes: int
    seconds: float
    sending_seconds: float
    drain_seconds: float
    statuses: Mapping[Status, int]
    latencies: Sequence[float]
    entities: int
    writers: int = 0
    items: Items = field(default_factory=Items)
    faults: Faults | None
    errors: int
    retries: int
    spent: Spent = field(default_factory=Spent)


def part(
    tracker: RequestTracker, faults: Faults | None, retries: int, spent: Spent, items: Items | None = None
) -> Part:
    """The counts of a part that has ended."""
    return Part(
        requests=tracker.requests,
        bytes=tracker.bytes,
        seconds=tracker.last_due - tracker.first_due,
        sending_seconds=max(0.0, tracker.last_sent - tracker.first_due),
        drain_seconds=max(0.0, tracker.last_answer - tracker.last_due),
        statuses=tracker.statuses,
        latencies=tracker.latencies,
        entities=tracker.entities,
        writers=tracker.writers,
        items=items or Items(),
        faults=faults,
        errors=tracker.errors,
        retries=retries,
        spent=spent,
    )


def measurement(
    mode: Mode, rate: float, parts: Sequence[Part], memory_mb: int | None, shards: int, span: float
) -> Measurement:
    """The measurement of one mode at one rate: all its parts together, of which there is at least one.

    Args:
        mode: the mode.
        rate: requests a second.
        parts: of it.
        memory_mb: of its function.
        shards: open, 0 where there is no stream.
        span: seconds that all parts together stand for.
    """
    spent = parts[0].spent
    for one in parts[1:]:
        spent = spent.plus(one.spent)
    statuses: Counter[Status] = Counter()
    for one in parts:
        statuses.update(one.statuses)
    faults = _faults([one.faults for one in parts])
    requests = sum(one.requests for one in parts)
    sending = sum(one.sending_seconds for one in parts)
    return Measurement(
        mode=mode,
        rate=rate,
        slices=len(parts),
        requests=requests,
        bytes=sum(one.bytes for one in parts),
        seconds=sum(one.seconds for one in parts),
        span=span,
        drain_seconds=sum(one.drain_seconds for one in parts),
        sent_rate=requests / sending if sending else 0.0,
        memory_mb=memory_mb,
        shards=shards,
        entities=sum(one.entities for one in parts),
        writers_per_key=_mean(sum(one.writers for one in parts), sum(one.entities for one in parts)),
        item_bytes=_mean(sum(one.items.bytes for one in parts), sum(one.items.count for one in parts)),
        remembered=_mean(sum(one.items.writers for one in parts), sum(one.items.count for one in parts)),
        receipts=sum(statuses.values()),
        accepted=statuses["accepted"],
        rejected=statuses["rejected"],
        quarantined=statuses["quarantined"],
        latency=latency(seconds for one in parts for seconds in one.latencies),
        lost=faults.lost if faults else None,
        duplicates=faults.duplicates if faults else None,
        reordered=faults.reordered if faults else None,
        errors=sum(one.errors for one in parts),
        retries=sum(one.retries for one in parts),
        **asdict(spent),
    )


def counts(one: Measurement) -> Counts:
    """The counts that AWS would bill for the time that the requests stand for, though the answers come later.

    All that the cost model has is in it: the archive, each client with a queue of its own, and objects and uploads,
    which are kept as long as it assumes. An upload that was read was put once.
    """
    hours = (one.span or one.seconds) / 3600
    messages = one.reply_messages or 0
    archived = archive(one.records, one.stream_bytes / one.records, one.bytes, hours) if one.records else {}
    return Counts(
        requests=one.requests,
        http_requests=one.http_requests,
        invocations=one.invocations or 0,
        gb_seconds=one.gb_seconds or 0.0,
        put_units=one.put_units,
        shard_hours=one.shards * hours,
        write_units=one.write_units or 0.0,
        read_units=one.read_units or 0.0,
        sns_messages=messages,
        sqs_requests=listening(messages, messages),
        object_puts=one.object_puts or 0,
        object_gets=one.object_heads or 0,
        object_byte_months=kept_months(one.object_bytes or 0, OBJECT_DAYS),
        upload_puts=one.upload_gets or 0,
        upload_gets=one.upload_gets or 0,
        upload_byte_months=kept_months(one.upload_bytes or 0, UPLOAD_DAYS),
        **archived,
    )


def bill(one: Measurement, prices: Prices) -> dict[str, float]:
    """Dollars by item, as `Counts` names them."""
    return {line.item: line.dollars for line in price(counts(one), prices).lines}


def _mean(whole: float, count: int) -> float | None:
    return whole / count if count else None


def _faults(of_parts: Sequence[Faults | None]) -> Faults | None:
    """All of them; None where one is not known."""
    every = Faults()
    for one in of_parts:
        if one is None:
            return None
        every = every.plus(one)
    return every
