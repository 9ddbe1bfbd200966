"""Counts times prices: what a month, a measured run or a million requests cost, item by item.

Room: load, pure. Knows neither where the counts come from (model.py computes them, a load test measures them) nor AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from tidemill_load.cost_model.prices import Prices

Part: TypeAlias = Literal["delivery", "database", "replies", "archive"]
"""What a line of a bill is for: getting requests to the rules, keeping state, answering, keeping what came."""

PARTS: tuple[Part, ...] = ("delivery", "database", "replies", "archive")

_PARTS: Mapping[str, Part] = {
    "write_units": "database",
    "read_units": "database",
    "sns_messages": "replies",
    "sqs_requests": "replies",
    "firehose_bytes": "archive",
    "s3_puts": "archive",
    "s3_byte_months": "archive",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What AWS bills, counted over any span of time. Quantities are as AWS counts them: rounded up where it does.

    Attributes:
        requests: requests of clients that it was for; not billed, but what `Bill.per_million` divides by.
        http_requests: to an HTTP API.
        rest_requests: to a REST API.
        websocket_messages: through a WebSocket API, either way.
        websocket_minutes: that clients were connected to it.
        invocations: of Lambda functions, those that failed too.
        gb_seconds: billed duration times memory, in GiB.
        put_units: of a provisioned stream: 25 KB or part of it of each record.
        shard_hours: of a provisioned stream: open shards times hours.
        stream_hours: of on-demand streams.
        stream_bytes_in: of an on-demand stream: each record rounded up to 1,024 bytes.
        stream_bytes_out: likewise, as they are, once for each reader.
        write_units: DynamoDB's write request units: 1 KB or part of it of each item, failed conditions too.
        read_units: its read request units: 4 KB or part of it of each item read consistently.
        sns_messages: published: 64 KB or part of it each. Their delivery to queues is free.
        sqs_requests: of those who listen for replies.
        iot_messages: over MQTT, either way: 5 KB or part of it each.
        iot_rules: rules that a message triggered.
        iot_actions: what those rules did.
        firehose_bytes: each record rounded up to 5,120 bytes.
        s3_puts: objects written.
        s3_byte_months: bytes times months that they are kept.
    """

    requests: float
    http_requests: float = 0
    rest_requests: float = 0
    websocket_messages: float = 0
    websocket_minutes: float = 0
    invocations: float = 0
    gb_seconds: float = 0
    put_units: float = 0
    shard_hours: float = 0
    stream_hours: float = 0
    stream_bytes_in: float = 0
    stream_bytes_out: float = 0
    write_units: float = 0
    read_units: float = 0
    sns_messages: float = 0
    sqs_requests: float = 0
    iot_messages: float = 0
    iot_rules: float = 0
    iot_actions: float = 0
    firehose_bytes: float = 0
    s3_puts: float = 0
    s3_byte_months: float = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a bill.

    Attributes:
        item: what was counted: the field of `Counts`.
        part: what it is for.
        service: whose it is, such as `Lambda`.
        unit: what was counted, in words.
        quantity: how many.
        dollars: what they cost.
    """

    item: str
    part: Part
    service: str
    unit: str
    quantity: float
    dollars: float


@dataclass(frozen=True, slots=True)
class Bill:
    """The dollars of counts, line by line.

    Attributes:
        lines: the items of which there were any.
        requests: requests of clients that it is for.
        date: when the prices held, ISO 8601.
    """

    lines: tuple[Line, ...]
    requests: float
    date: str

    @property
    def total(self) -> float:
        """Dollars in all."""
        return sum(line.dollars for line in self.lines)

    @property
    def per_million(self) -> float:
        """Dollars for a million requests; 0 where there were none."""
        return self.share(self.total)

    def part(self, part: Part) -> float:
        """Dollars for a million requests of one part of it."""
        return self.share(sum(line.dollars for line in self.lines if line.part == part))

    def share(self, dollars: float) -> float:
        """Dollars of this bill, for a million requests; 0 where there were none."""
        return dollars * 1e6 / self.requests if self.requests else 0.0


def price(counts: Counts, prices: Prices) -> Bill:
    """The bill: each count times its price.

        price(Counts(requests=1e6, invocations=1e6, gb_seconds=1000), list_prices()).total  # 0.2167

    Raises:
        KeyError: something was counted that the list has no price for.
    """
    quantities = {field.name: getattr(counts, field.name) for field in fields(counts) if field.name != "requests"}
    lines = (_line(item, quantity, prices) for item, quantity in quantities.items() if quantity)
    return Bill(tuple(lines), counts.requests, prices.date)


def _line(item: str, quantity: float, prices: Prices) -> Line:
    found = prices.items[item]
    return Line(item, _PARTS.get(item, "delivery"), found.service, found.unit, quantity, found.of(quantity))
