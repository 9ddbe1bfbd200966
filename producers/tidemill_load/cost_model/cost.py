"""The cost of each mode at a rate, its curve over rates, and the break-even with direct.

Room: load, pure. The entry point of the cost model: bill.py has counts and bills, model.py the flow of requests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, sqrt

from tidemill_load.cost_model.assumptions import Assumptions, Design
from tidemill_load.cost_model.bill import PARTS, Bill, Counts, Line, Part, price
from tidemill_load.cost_model.flows import Load, flow_of, highest, like
from tidemill_load.cost_model.model import Flow
from tidemill_load.cost_model.prices import Prices, list_prices

__all__ = ["PARTS", "Bill", "Counts", "Line", "Part", "Point", "break_even", "cost", "counts", "curve", "price"]

MONTH_HOURS = 730.0
"""Hours of a month, as in AWS's own calculator."""

MONTH_DAYS = MONTH_HOURS / 24

PUT_UNIT_BYTES, ON_DEMAND_BYTES, FIREHOSE_BYTES, SNS_BYTES = 25 * 1024, 1024, 5 * 1024, 64 * 1024
"""Bytes to which records and messages are rounded: https://aws.amazon.com/kinesis/data-streams/pricing/ and others."""

HTTP_BYTES = 512 * 1024
"""Bytes of an HTTP API's request that are billed as one: https://aws.amazon.com/api-gateway/pricing/"""

REPLY_BYTES = 120
"""Bytes of a reply's JSON within its message, with a short answer."""

SQS_CALLS, SQS_MESSAGES = 2, 10
"""Calls of a listening client, one to receive and one to delete, and the most messages that they handle."""

FORGOTTEN_HEAD, FORGOTTEN_BYTES = 96, 14
"""Bytes of an item of forgotten writers without them, and of each."""

ARCHIVE_SECONDS, ARCHIVE_BYTES = 60, 64 * 1024 * 1024
"""Age and size at which the archive's file is written: the template's ArchiveIntervalSeconds and ArchiveSizeMiB."""

ARCHIVE_ZIP = 0.25
"""Size after gzip as a share of the size before."""

_STEPS = (1.02, 1.05, 1.1, 1.2, 1.5, 2, 2.5, 3, 5, 10)
"""Multiples of a break-even at which it is checked that the mode still saves."""

LEAST_RATE = 1e-4
"""Lowest rate of the search for a break-even, in requests a second: nine a day."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a cost curve.

    Attributes:
        rate: requests a second.
        flow: the flow of requests at this rate.
        bill: the bill for a month.
    """

    rate: float
    flow: Flow
    bill: Bill

    @property
    def per_million(self) -> float:
        """Dollars for a million requests."""
        return self.bill.per_million


def cost(mode: Design, load: Load, given: Assumptions, prices: Prices | None = None) -> Point:
    """The cost of a mode under a load, item by item.

    Args:
        mode: the mode.
        load: a steady rate, in requests a second, above 0 and at most a million; or traffic.
        given: all other assumptions.
        prices: None for the list that comes with Tidemill.

    Raises:
        Impossible: the rate is out of range.
    """
    happens = flow_of(mode, load, given)
    return Point(happens.rate, happens, price(counts(happens, given), prices or _list_prices()))


def curve(
    mode: Design, rates: Iterable[float], given: Assumptions, prices: Prices | None = None, shape: Load = 1.0
) -> tuple[Point, ...]:
    """Cost against rate, a point for each rate, for a log-log chart. Traffic is steady unless a shape is given.

    curve("aggregated", (1, 10, 100), Assumptions())[2].per_million
    """
    return tuple(cost(mode, like(shape, rate), given, prices) for rate in rates)


def break_even(
    mode: Design,
    given: Assumptions,
    prices: Prices | None = None,
    parts: Collection[Part] = PARTS,
    shape: Load = 1.0,
) -> float | None:
    """The rate in requests a second from which a mode is cheaper than direct; None if it is not up to a million.

    Solved by bisection: a stream has a price by the hour, so a million requests cost less at a higher rate.

    Args:
        mode: a mode with a stream.
        given: all other assumptions; the window and the batch are the same at every rate.
        prices: None for the list that comes with Tidemill.
        parts: the parts of the bills to compare.
        shape: traffic that is scaled to every rate; any number for steady requests.
    """

    def saves(rate: float) -> bool:
        direct, other = (cost(one, like(shape, rate), given, prices).bill for one in ("direct", mode))
        return sum(map(other.part, parts)) < sum(map(direct.part, parts))

    most = highest(shape)
    if not saves(most):
        return None
    even = 0.0 if saves(LEAST_RATE) else _crossing(saves, LEAST_RATE, most)
    # One more shard may make the mode dearer again over a range of rates.
    while dearer := [rate for step in _STEPS if (rate := max(even, LEAST_RATE) * step) < most and not saves(rate)]:
        even = _crossing(saves, max(dearer), most)
    return even


def _crossing(saves: Callable[[float], bool], below: float, above: float) -> float:
    """The rate between the two at which the mode begins to save."""
    while above / below > 1 + 1e-4:
        middle = sqrt(below * above)
        below, above = (below, middle) if saves(middle) else (middle, above)
    return above


def counts(happens: Flow, given: Assumptions, hours: float = MONTH_HOURS) -> Counts:
    """The counts that AWS bills for a flow over some hours."""
    requests = happens.rate * 3600 * hours
    if happens.mode == "direct":
        found = _direct(happens, requests, given)
    else:
        found = _streamed(happens, requests, given, hours)
    return replace(found, **{f"{given.plan.lower()}_users": given.users * hours / MONTH_HOURS})


def _direct(happens: Flow, requests: float, given: Assumptions) -> Counts:
    return Counts(
        requests=requests,
        http_requests=requests * ceil(given.size / HTTP_BYTES) if given.api == "http" else 0,
        rest_requests=requests if given.api == "rest" else 0,
        invocations=requests,
        **_computed(requests * _gb_seconds(happens.duration, given.direct_memory), given),
        write_units=requests * given.direct_writes * ceil(given.item_bytes / 1024),
        read_units=requests * given.direct_reads * ceil(given.item_bytes / 4096),
        **_objects(requests * given.objects, given),
    )


def _streamed(happens: Flow, requests: float, given: Assumptions, hours: float) -> Counts:
    in_front = requests if happens.mode == "http-in-front" else 0
    records = requests / happens.requests_per_record
    invocations = requests / happens.batch
    # A batch that begins with an aggregated record reads how far that record is done.
    notes_read = invocations if happens.requests_per_record > 1 else 0
    readers = 2 if given.archive else 1
    return Counts(
        requests=requests,
        http_requests=in_front if given.api != "rest" else 0,  # a function URL cannot put a record
        rest_requests=in_front if given.api == "rest" else 0,
        invocations=invocations,
        **_computed(invocations * _gb_seconds(happens.duration, given.memory), given),
        put_units=0 if given.on_demand else records * ceil(happens.record_bytes / PUT_UNIT_BYTES),
        shard_hours=0 if given.on_demand else happens.shards * hours,
        stream_hours=hours if given.on_demand else 0,
        stream_bytes_in=records * _up(happens.record_bytes, ON_DEMAND_BYTES) if given.on_demand else 0,
        stream_bytes_out=records * happens.record_bytes * readers if given.on_demand else 0,
        write_units=invocations * (_entity_units(happens, given) + forgotten_units(happens) + 1),  # 1 notes its begin
        read_units=invocations * happens.distinct * ceil(given.item_bytes / 4096) + notes_read,
        sns_messages=invocations * _publishes(happens, given),
        sqs_requests=listening(invocations * happens.messages, invocations * happens.listeners),
        **_objects((invocations * happens.distinct if given.objects_replaced else requests) * given.objects, given),
        **(_uploads(requests, given) if given.is_uploaded else {}),
        **(archive(records, happens.record_bytes, requests * given.streamed_bytes, hours) if given.archive else {}),
    )


def _objects(puts: float, given: Assumptions) -> dict[str, float]:
    """The counts of objects that are put, as fields of `Counts`. Each is new, so that none is looked for."""
    return {
        "object_puts": puts,
        "object_byte_months": kept_months(puts * given.object_bytes, given.object_days),
    }


def _uploads(requests: float, given: Assumptions) -> dict[str, float]:
    """The counts of requests' data that clients put and the function gets, as fields of `Counts`."""
    return {
        "upload_puts": requests,
        "upload_gets": requests,
        "upload_byte_months": kept_months(requests * given.size, given.upload_days),
    }


def _entity_units(happens: Flow, given: Assumptions) -> float:
    return happens.distinct * ceil(given.item_bytes / 1024)


def forgotten_units(happens: Flow) -> float:
    """Write units of the item in which a batch notes forgotten writers; a batch that forgets none writes none."""
    size = FORGOTTEN_HEAD + happens.forgotten * FORGOTTEN_BYTES
    return min(1.0, happens.forgotten) * ceil(size / 1024)


def units_per_request(happens: Flow, given: Assumptions) -> tuple[float, float]:
    """Write units of a request: of entities, and of forgotten writers. The note that a batch begins is not in them."""
    if not happens.shards:
        return given.direct_writes * ceil(given.item_bytes / 1024), 0.0
    return _entity_units(happens, given) / happens.batch, forgotten_units(happens) / happens.batch


def listening(messages: float, listeners: float) -> float:
    """SQS calls that clients make to receive their replies.

    Args:
        messages: messages that carry replies.
        listeners: clients in each batch, summed over all batches.
    """
    return max(listeners, messages / SQS_MESSAGES) * SQS_CALLS


def archive(records: float, record_bytes: float, archived: float, hours: float) -> dict[str, float]:
    """The counts for archiving all requests, as fields of `Counts`.

    Args:
        records: records of the stream.
        record_bytes: bytes of a record's data, on average.
        archived: bytes of the requests' JSON.
        hours: hours in which they came.
    """
    return {
        "firehose_bytes": records * _up(record_bytes, FIREHOSE_BYTES),
        "s3_puts": max(hours * 3600 / ARCHIVE_SECONDS, archived / ARCHIVE_BYTES),
        "s3_byte_months": archived * ARCHIVE_ZIP,
    }


def kept_months(size: float, days: float) -> float:
    """Byte-months of bytes that are kept some days each."""
    return size * days / MONTH_DAYS


def _publishes(happens: Flow, given: Assumptions) -> float:
    if given.single_replies is None:
        return 0.0
    return max(happens.messages, happens.batch * REPLY_BYTES / SNS_BYTES)


def _computed(gb_seconds: float, given: Assumptions) -> dict[str, float]:
    """The count of GB-seconds, as a field of `Counts`."""
    return {"arm_gb_seconds" if given.arm64 else "gb_seconds": gb_seconds}


def _gb_seconds(seconds: float, memory: int) -> float:
    return ceil(seconds * 1000 - 1e-9) / 1000 * memory / 1024


def _up(size: float, step: int) -> float:
    return ceil(size / step) * step


@cache
def _list_prices() -> Prices:
    return list_prices()
