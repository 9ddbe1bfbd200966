"""The flow of requests at a steady rate: records, shards, batches, invocations, folded writes, delay.

Room: load, pure; formulas, no simulation. packing.py and batching.py have the parts, docs/cost.md has their basis.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

from tidemill_load.cost_model.assumptions import Assumptions, Design, Impossible
from tidemill_load.cost_model.batching import EVENT_BYTES, EVENT_HEAD, POLL_SECONDS, Arriving, Batches, batches
from tidemill_load.cost_model.packing import Stream, stream
from tidemill_load.workloads.key_distribution import KeyDistribution

MAX_RATE = 1e6

PUT_SECONDS, API_SECONDS, REPLY_SECONDS = 0.02, 0.01, 0.05
"""Seconds of a PutRecords call, of an API, of a reply's way to its client: estimates, small beside the window."""

ITEM_UNITS = 1_000
"""Write units a second of one partition. An item lies in one partition, and direct writes it for each request.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""

PIECE_BYTES = 8 * 1024 * 1024
"""Bytes of uploads that are applied together: a batch with more is applied in pieces, of which each saves and answers
by itself."""

TIMEOUT = 120.0
"""Seconds after which the apply function is stopped: the template's `Timeout`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The flow of requests in one mode at one rate.

    Attributes:
        mode: the mode.
        rate: requests a second.
        shards: shards that the stream needs; 0 without a stream.
        lanes: lanes of its producers; 0 where there are none.
        requests_per_record: average number of requests in a record; 0 without a stream.
        record_bytes: average bytes of a record's data.
        batch: average number of requests in an invocation.
        event_bytes: average bytes of the function's event, base64 and envelope included.
        distinct: distinct keys among the requests of a batch, each an item read and written.
        forgotten: writers that the items of a batch have no room for, and that it notes in a table, on average.
        messages: messages that carry the replies of a batch.
        listeners: clients that receive these messages.
        duration: seconds that an invocation takes.
        p50: median seconds from sending a request until it is answered, or stored where nobody is answered.
        p99: 99th percentile of the same. Neither includes cold starts, throttling or retries.
        problems: reasons why this cannot be run, a sentence each.
    """

    mode: Design
    rate: float
    shards: int = 0
    lanes: int = 0
    requests_per_record: float = 0.0
    record_bytes: float = 0.0
    batch: float = 1.0
    event_bytes: float = 0.0
    distinct: float = 1.0
    forgotten: float = 0.0
    messages: float = 0.0
    listeners: float = 0.0
    duration: float
    p50: float
    p99: float
    problems: tuple[str, ...] = ()

    @property
    def invocations_per_million(self) -> float:
        """The number of invocations for a million requests."""
        return 1e6 / self.batch


def flow(mode: Design, rate: float, given: Assumptions) -> Flow:
    """The flow of requests that come at a steady rate.

        flow("aggregated", 1000, Assumptions()).invocations_per_million  # 200

    Args:
        mode: the mode.
        rate: requests a second, above 0 and at most a million.
        given: all other assumptions.

    Raises:
        Impossible: the rate is out of range.
    """
    if not 0 < rate <= MAX_RATE:
        raise Impossible(f"a rate of {rate:,.10g} requests/s is not possible; use more than 0, at most {MAX_RATE:,.0f}")
    if mode == "direct":
        return direct(rate, given)
    return _streamed(mode, rate, stream(mode, rate, given), given)


def direct(rate: float, given: Assumptions) -> Flow:
    """The flow of the direct mode: one invocation for each request."""
    duration = (
        given.direct_seconds + min(1.0, given.objects) * given.s3_seconds
    )  # it stores a request's objects at once
    delay, problems = API_SECONDS + duration, _hot_item(rate, given)
    return Flow(mode="direct", rate=rate, duration=duration, p50=delay, p99=delay, problems=problems)


def _hot_item(rate: float, given: Assumptions) -> tuple[str, ...]:
    units = rate * given.peak * given.keys.hottest * ceil(given.item_bytes / 1024) if given.direct_writes else 0.0
    if units <= ITEM_UNITS:
        return ()
    rest = f"with these keys {rate * ITEM_UNITS / units:,.0f} requests/s are the most"
    return (
        f"the most popular key alone takes {units:,.0f} write units a second, and an item has {ITEM_UNITS:,}: {rest}",
    )


def _streamed(mode: Design, rate: float, through: Stream, given: Assumptions) -> Flow:
    record = through.record
    per_shard = rate / record.requests / through.shards
    most = max(1, min(given.batch, floor((EVENT_BYTES - EVENT_HEAD) / record.event)))
    bursts = min(per_shard, rate / through.shards)
    its = _settled(Arriving(per_shard, given.arrivals == "random", bursts), record.requests, most, given)
    requests = its.records * record.requests
    duration = duration_of(requests, given)
    late = [_delay(mode, share, its, duration, given) for share in (0.5, 0.99)]
    return Flow(
        mode=mode,
        rate=rate,
        shards=through.shards,
        lanes=through.lanes if mode == "aggregated" else 0,
        requests_per_record=record.requests,
        record_bytes=record.data,
        batch=requests,
        event_bytes=EVENT_HEAD + its.records * record.event,
        distinct=_distinct(requests, through.shards, given),
        forgotten=forgotten_of(requests, through.shards, given),
        messages=_messages(requests, given),
        listeners=_listeners(requests, given),
        duration=duration,
        p50=late[0],
        p99=late[1],
        problems=(*through.problems, *overload(requests, through, rate, given)),
    )


def _settled(arriving: Arriving, requests_per_record: float, most: int, given: Assumptions) -> Batches:
    """The batches at equilibrium: they gather while the function runs, and it runs as long as a batch takes."""
    busy = 0.0
    for _ in range(50):
        its = batches(arriving, given.window, most, busy)
        before, busy = busy, duration_of(its.records * requests_per_record, given)
        if abs(busy - before) <= 1e-3 * busy or busy <= 1:
            break
    return its


def duration_of(requests: float, given: Assumptions) -> float:
    """Seconds that the function takes for a batch."""
    return given.invocation_seconds + requests * given.applied_seconds


def _delay(mode: Design, share: float, its: Batches, duration: float, given: Assumptions) -> float:
    in_line = share * max(0.0, POLL_SECONDS / its.fill - 1) * duration
    return before(mode, share, given) + its.wait(share) + in_line + duration


def before(mode: Design, share: float, given: Assumptions) -> float:
    """Seconds of a request outside its shard: until its record is in the stream, and the way of its reply."""
    first = API_SECONDS if mode == "http-in-front" else share * given.linger
    first += given.s3_seconds if given.is_uploaded else 0.0
    return first + PUT_SECONDS + (0.0 if given.single_replies is None else REPLY_SECONDS)


def _distinct(requests: float, shards: int, given: Assumptions) -> float:
    if given.fold is not None:
        return max(1.0, requests * given.fold)
    return drawn_of(requests, shards, given)


def drawn_of(requests: float, shards: int, given: Assumptions) -> float:
    """The expected number of keys that a batch writes, each once in each piece, if keys are drawn independently."""
    pieces = pieces_of(requests, given)
    each = requests / pieces
    # A shard holds its part of the keys and of the requests, so it has its part of the distinct keys too.
    return pieces * min(each, given.keys.distinct(each * shards) / shards)


def pieces_of(requests: float, given: Assumptions) -> float:
    """Pieces in which a batch is applied: one, unless its uploads are too many to be in memory together."""
    together = max(1, PIECE_BYTES // given.size)
    return max(1.0, requests / together) if given.is_uploaded else 1.0


def forgotten_of(requests: float, shards: int, given: Assumptions) -> float:
    """The expected number of writers that the items of a batch forget; all producers send equally often, to any key.

    An item that remembers `kept` of `producers` writers forgets as many as it meets anew: of the different pairs of key
    and writer in the batch, `1 - kept / producers`. So it is in the long run, once items are full.
    """
    producers, kept = given.producers or given.clients, given.remembered
    if producers <= kept:
        return 0.0
    pairs = min(requests, given.keys.distinct(requests * shards, producers) / shards)
    return pairs * (1 - kept / producers)


def _messages(requests: float, given: Assumptions) -> float:
    if given.single_replies is None:
        return 0.0
    alone, pieces = requests * given.single_replies, pieces_of(requests, given)
    return alone + pieces * clients_of((requests - alone) / pieces, given)


def _listeners(requests: float, given: Assumptions) -> float:
    return 0.0 if given.single_replies is None else clients_of(requests, given)


def clients_of(requests: float, given: Assumptions) -> float:
    """The expected number of different clients among the requests; all clients send equally often."""
    return KeyDistribution(given.clients, skew=0.0).distinct(requests)


def overload(requests: float, through: Stream, rate: float, given: Assumptions) -> tuple[str, ...]:
    """The reason why batches of `requests` requests cannot be done in time; empty if they can."""
    duration = duration_of(requests, given)
    if duration > TIMEOUT:
        return (f"a batch of {requests:,.0f} requests takes {duration:,.0f} s, and is stopped after {TIMEOUT:.0f} s",)
    a_second = rate / through.shards
    if duration * a_second <= requests:
        return ()
    # A batch must be done before the next one has come; `least` is the smallest batch of which that holds.
    least = given.invocation_seconds * a_second / (1 - given.applied_seconds * a_second)
    records = ceil(least / through.record.requests)
    return (f"a shard's batches of {given.batch:,} records come faster than they are done; {records:,} are the least",)
