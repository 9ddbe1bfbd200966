"""Every figure of a result, in words and with its unit: what the charts leave out stands here.

Room: load, report; pure. A field of Measurement that no row shows is a defect.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from tidemill_load.assessment.comparison import Comparison, invoked, per_million, units_a_request
from tidemill_load.results.result import Measurement
from tidemill_load.wording import a_second, dollars, duration, number

UNKNOWN: Final = "not known"

Read: TypeAlias = Callable[[Measurement], float | None]
Say: TypeAlias = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of all modes: its name with the unit, and a cell for each mode."""

    name: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one subject."""

    subject: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The measurements of one rate; a column for each mode."""

    rate: str
    modes: tuple[str, ...]
    groups: tuple[Group, ...]


def whole(value: float) -> str:
    """Every digit: 1,234,567."""
    return f"{value:,.0f}"


FIGURES: Final[tuple[tuple[str, str, Read, Say], ...]] = (
    ("Sending", "requests", lambda one: one.requests, whole),
    ("Sending", "bytes of their JSON", lambda one: one.bytes, whole),
    ("Sending", "sending took", lambda one: one.seconds, duration),
    ("Sending", "time that is paid for", lambda one: one.span or one.seconds, duration),
    ("Sending", "then, until the last answer", lambda one: one.drain_seconds, duration),
    ("Sending", "requests a second, reached", lambda one: one.sent_rate, number),
    ("Sending", "slices", lambda one: one.slices, whole),
    ("Sending", "requests that failed", lambda one: one.errors, whole),
    ("Sending", "sent again", lambda one: one.retries, whole),
    ("Lambda", "invocations", lambda one: one.invocations, whole),
    ("Lambda", "requests an invocation", lambda one: 1 / invoked(one) if one.invocations else None, number),
    ("Lambda", "cold starts", lambda one: one.cold_starts, whole),
    ("Lambda", "billed duration, ms", lambda one: one.billed_ms, whole),
    ("Lambda", "memory, MB", lambda one: one.memory_mb, whole),
    ("Lambda", "GB-seconds", lambda one: one.gb_seconds, number),
    ("HTTP API", "requests", lambda one: one.http_requests, whole),
    ("Kinesis", "records put", lambda one: one.records, whole),
    ("Kinesis", "PutRecords calls", lambda one: one.put_calls, whole),
    ("Kinesis", "PUT payload units, 25 KB", lambda one: one.put_units, whole),
    ("Kinesis", "bytes of the records", lambda one: one.stream_bytes, whole),
    ("Kinesis", "shards", lambda one: one.shards, whole),
    ("DynamoDB", "calls that read", lambda one: one.read_calls, whole),
    ("DynamoDB", "calls that write", lambda one: one.write_calls, whole),
    ("DynamoDB", "read units, 4 KB", lambda one: one.read_units, number),
    ("DynamoDB", "write units, 1 KB", lambda one: one.write_units, number),
    ("DynamoDB", "of them for forgotten writers", lambda one: one.forgotten_units, number),
    ("DynamoDB", "distinct entities", lambda one: one.entities, whole),
    ("DynamoDB", "writers per entity", lambda one: one.writers_per_key, number),
    ("DynamoDB", "bytes of an item", lambda one: one.item_bytes, whole),
    ("DynamoDB", "writers that an item remembers", lambda one: one.remembered, number),
    ("DynamoDB", "write units a request", lambda one: units_a_request(one)[0], number),
    ("DynamoDB", "of them for forgotten writers, a request", lambda one: units_a_request(one)[1], number),
    ("S3", "puts of objects and of the quarantine", lambda one: one.object_puts, whole),
    ("S3", "looks whether an object is there", lambda one: one.object_heads, whole),
    ("S3", "bytes stored", lambda one: one.object_bytes, whole),
    ("S3", "gets of uploads", lambda one: one.upload_gets, whole),
    ("S3", "bytes of the uploads", lambda one: one.upload_bytes, whole),
    ("Answers", "requests answered", lambda one: one.receipts, whole),
    ("Answers", "messages that carried them", lambda one: one.reply_messages, whole),
    ("Answers", "accepted", lambda one: one.accepted, whole),
    ("Answers", "rejected", lambda one: one.rejected, whole),
    ("Answers", "quarantined", lambda one: one.quarantined, whole),
    ("Latency", "p50", lambda one: one.latency.p50 if one.latency.count else None, duration),
    ("Latency", "p95", lambda one: one.latency.p95 if one.latency.count else None, duration),
    ("Latency", "p99", lambda one: one.latency.p99 if one.latency.count else None, duration),
    ("Latency", "longest", lambda one: one.latency.max if one.latency.count else None, duration),
    ("Latency", "requests timed", lambda one: one.latency.count, whole),
    ("Proof", "lost", lambda one: one.lost, whole),
    ("Proof", "applied twice", lambda one: one.duplicates, whole),
    ("Proof", "applied out of order", lambda one: one.reordered, whole),
)
"""Subject, name with the unit, where it stands, how it is said."""

BILL: Final = "Dollars for a million requests, at list price"


def tables(comparisons: tuple[Comparison, ...]) -> tuple[Table, ...]:
    """One for each rate."""
    return tuple(
        Table(a_second(one.rate), tuple(ran.mode for ran in one.ran), (*_measured(one.ran), *_bill(one.ran)))
        for one in comparisons
    )


def _measured(ran: tuple[Measurement, ...]) -> Iterator[Group]:
    for subject in dict.fromkeys(figure[0] for figure in FIGURES):
        mine = (figure[1:] for figure in FIGURES if figure[0] == subject)
        yield Group(subject, tuple(_row(name, [read(one) for one in ran], say) for name, read, say in mine))


def _bill(ran: tuple[Measurement, ...]) -> Iterator[Group]:
    items = dict.fromkeys(item for one in ran for item in one.bill)
    if items:
        lines = (_row(item, [_million(one, item) for one in ran], dollars) for item in items)
        yield Group(BILL, (*lines, _row("all of it", [per_million(one) for one in ran], dollars)))


def _million(one: Measurement, item: str) -> float | None:
    return one.bill.get(item, 0.0) * 1e6 / one.requests if one.bill else None


def _row(name: str, values: list[float | None], say: Say) -> Row:
    return Row(name, tuple(UNKNOWN if value is None else say(value) for value in values))
