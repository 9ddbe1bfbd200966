"""Counts times prices: the cost of a month, a measured run or a million requests, item by item.

Room: load, pure. Knows neither where the counts come from (model.py computes them, a load test measures them) nor AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

from tidemill_load.cost_model.prices import Prices

Part: TypeAlias = Literal["delivery", "database", "objects", "replies", "archive", "users"]
"""The purpose of a bill's line: bringing requests to the rules, keeping state, keeping the objects that rules return,
answering, archiving requests, signing users in."""

PARTS: tuple[Part, ...] = ("delivery", "database", "objects", "replies", "archive", "users")

_PARTS: Mapping[str, Part] = {
    "write_units": "database",
    "read_units": "database",
    "object_puts": "objects",
    "object_gets": "objects",
    "object_byte_months": "objects",
    "sns_messages": "replies",
    "sqs_requests": "replies",
    "firehose_bytes": "archive",
    "s3_puts": "archive",
    "s3_byte_months": "archive",
    "lite_users": "users",
    "essentials_users": "users",
    "plus_users": "users",
}

_PRICED_AS: Mapping[str, tuple[str, str]] = {
    "object_puts": ("s3_puts", "objects"),
    "object_gets": ("s3_gets", "objects"),
    "object_byte_months": ("s3_byte_months", "objects"),
    "upload_puts": ("s3_puts", "uploads"),
    "upload_gets": ("s3_gets", "uploads"),
    "upload_byte_months": ("s3_byte_months", "uploads"),
    "s3_puts": ("s3_puts", "archive"),
    "s3_byte_months": ("s3_byte_months", "archive"),
}
"""Counts that have a price in common: its name in the list, and what they are of."""


def priced_as(item: str) -> str:
    """The name in the list of prices of a field of `Counts`."""
    return _PRICED_AS[item][0] if item in _PRICED_AS else item


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The quantities that AWS bills for a span of time. They are counted as AWS does: rounded up where it rounds up.

    Attributes:
        requests: the clients' requests; not billed, but the divisor of `Bill.per_million`.
        http_requests: requests to an HTTP API.
        rest_requests: requests to a REST API.
        websocket_messages: messages through a WebSocket API, either way.
        websocket_minutes: minutes that clients were connected to it.
        invocations: invocations of Lambda functions, failed ones included.
        gb_seconds: billed duration times memory, in GiB, of functions on x86-64.
        arm_gb_seconds: the same on arm64.
        put_units: payload units of a provisioned stream: 25 KB or part of it for each record.
        shard_hours: open shards of a provisioned stream times hours.
        stream_hours: hours of on-demand streams.
        stream_bytes_in: bytes put on an on-demand stream: each record rounded up to 1,024 bytes.
        stream_bytes_out: bytes read from an on-demand stream, not rounded, once for each reader.
        write_units: DynamoDB's write request units: 1 KB or part of it for each item, failed conditions included.
        read_units: DynamoDB's read request units: 4 KB or part of it for each item read consistently.
        sns_messages: published messages: 64 KB or part of it each. Their delivery to queues is free.
        sqs_requests: calls of clients that listen for replies.
        iot_messages: messages over MQTT, either way: 5 KB or part of it each.
        iot_rules: rules triggered by messages.
        iot_actions: actions executed by those rules.
        firehose_bytes: bytes through Firehose: each record rounded up to 5,120 bytes.
        s3_puts: files of the archive written.
        s3_byte_months: their bytes times months that they are kept.
        object_puts: S3 puts of objects that rules return, and of quarantined requests.
        object_gets: S3 calls that look whether an object is there.
        object_byte_months: bytes of objects times months that they are kept.
        upload_puts: S3 puts of uploads, the data of requests with a claim check.
        upload_gets: S3 gets of them.
        upload_byte_months: their bytes times months that they are kept.
        lite_users: users of a pool of the plan LITE who sign in, or refresh a token, within a calendar month.
        essentials_users: those of ESSENTIALS.
        plus_users: those of PLUS.
    """

    requests: float
    http_requests: float = 0
    rest_requests: float = 0
    websocket_messages: float = 0
    websocket_minutes: float = 0
    invocations: float = 0
    gb_seconds: float = 0
    arm_gb_seconds: float = 0
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
    object_puts: float = 0
    object_gets: float = 0
    object_byte_months: float = 0
    upload_puts: float = 0
    upload_gets: float = 0
    upload_byte_months: float = 0
    lite_users: float = 0
    essentials_users: float = 0
    plus_users: float = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a bill.

    Attributes:
        item: the field of `Counts`.
        part: its purpose.
        service: the AWS service, such as `Lambda`.
        unit: the counted unit, in words.
        quantity: how many units.
        dollars: their cost.
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
        lines: the items whose count is not 0.
        requests: the clients' requests that the bill covers.
        date: the day of the prices, ISO 8601.
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
        """Dollars of one part, for a million requests."""
        return self.share(sum(line.dollars for line in self.lines if line.part == part))

    def share(self, dollars: float) -> float:
        """Some dollars of this bill, for a million requests; 0 where there were none."""
        return dollars * 1e6 / self.requests if self.requests else 0.0


def price(counts: Counts, prices: Prices) -> Bill:
    """The bill: each count times its price.

        price(Counts(requests=1e6, invocations=1e6, gb_seconds=1000), list_prices()).total  # 0.2167

    Raises:
        KeyError: the list has no price for a counted item.
    """
    quantities = {field.name: getattr(counts, field.name) for field in fields(counts) if field.name != "requests"}
    lines = (_line(item, quantity, prices) for item, quantity in quantities.items() if quantity)
    return Bill(tuple(lines), counts.requests, prices.date)


def _line(item: str, quantity: float, prices: Prices) -> Line:
    name, of = _PRICED_AS.get(item, (item, ""))
    found = prices.items[name]
    unit = f"{found.unit}, {of}" if of else found.unit
    return Line(item, _PARTS.get(item, "delivery"), found.service, unit, quantity, found.of(quantity))
