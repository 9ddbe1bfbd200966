"""The result of a load test, as values and as JSON: reports are drawn from it, and CI compares it.

Room: load. No I/O. A field is added, never renamed; when a reader would misread an old field, SCHEMA_VERSION rises, and
results of the versions before are read with a note on what is other in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from tidemill_load.results.spent import Spent

SCHEMA_VERSION = 2

EARLIER: Mapping[int, str] = {
    1: "Of an earlier version: its dollars pay for the time from the first request to the last, and leave out the "
    "archive and the clients' listening, which the model's have.",
}
"""Notes on results of earlier versions, by their version."""

Mode: TypeAlias = Literal["direct", "buffered", "aggregated"]
"""How requests reach the rules: one invocation each behind an HTTP API; plain records; KPL records."""

MODES: tuple[Mode, ...] = ("direct", "buffered", "aggregated")

RecordedMode: TypeAlias = Literal[Mode, "analytics"]
"""A mode that a file may name. Files of earlier releases name `analytics` too, always with the reason for skipping."""

Target: TypeAlias = Literal["local", "aws", "simulated"]
"""Where it ran: the local platform, a deployed stack, or a simulated clock."""

Parameter: TypeAlias = str | int | float | bool | None


class UnreadableResult(ValueError):
    """Text that is no result of a load test, or one of another schema."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds from the moment that a request was due to be sent until its reply was heard.

    Due, not sent: a sender that falls behind does not make the system look faster than its users find it.
    Percentiles are exact (nearest rank), not read off the histogram.

    Attributes:
        count: requests that were answered, so that they have a latency.
        p50: half of the requests were answered within these seconds.
        p95: 95 of 100.
        p99: 99 of 100.
        max: all.
        bounds: the histogram's upper bounds in seconds, rising; they are the same in every measurement.
        counts: requests in each bucket: `counts[i]` took more than `bounds[i - 1]` and at most `bounds[i]`. One longer
            than `bounds`: the last counts those above the last bound.
    """

    count: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


class Measurement(Spent, frozen=True, kw_only=True):
    """One mode at one rate, all its slices together: the requests, what they used (see `Spent`), and their outcomes.

    What is not known is None, never zero; a mode that did not run has `skipped` and nothing else.

    Attributes:
        mode: the mode.
        rate: requests a second, as asked for; of a trace, its mean at that speed.
        skipped: why the mode did not run; None when it ran.
        slices: pieces that the measurement was made in, with other modes' in between.
        requests: sent.
        bytes: of their JSON.
        seconds: of sending, from the first request's due time to the last's, all slices together.
        span: seconds that the requests stand for, with the silence before and after them: shards are paid for so long.
            0 in results of version 1, which paid for `seconds` alone.
        drain_seconds: from the last request's due time until the last reply, or until waiting was given up.
        sent_rate: requests a second that the sender reached; well below `rate` when it could not keep up.
        memory_mb: memory of each function that took part.
        shards: open shards of the stream; 0 where there is none.
        entities: distinct entities that the requests were for.
        writers_per_key: writers of an entity's requests, on average over the entities.
        item_bytes: bytes of an entity's item at the end, on average, as DynamoDB counts them.
        remembered: writers that an item remembers at the end, on average.
        receipts: requests answered.
        accepted: requests that the rules accepted.
        rejected: requests that the rules refused.
        quarantined: requests that can never be applied.
        latency: from send to reply.
        lost: requests without effect or without reply though waited for.
        duplicates: effects beyond one per request.
        reordered: requests applied after a later one of their key.
        errors: requests given up by the sender, or answered with an error that is no outcome.
        retries: times that the sender had to send again: HTTP 503 and broken connections, records refused.
        bill: dollars that the measured seconds would cost on AWS at list price, by item as
            `tidemill_load.cost_model.bill.Counts` names them, the archive and the clients' listening included; empty
            where not priced.
    """

    mode: RecordedMode
    rate: float
    skipped: str | None = None
    slices: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    span: float = 0.0
    drain_seconds: float = 0.0
    sent_rate: float = 0.0
    memory_mb: int | None = None
    shards: int = 0
    entities: int = 0
    writers_per_key: float | None = None
    item_bytes: float | None = None
    remembered: float | None = None
    receipts: int = 0
    accepted: int = 0
    rejected: int = 0
    quarantined: int = 0
    latency: Latency = Latency()
    lost: int | None = None
    duplicates: int | None = None
    reordered: int | None = None
    errors: int = 0
    retries: int = 0
    bill: Mapping[str, float] = {}


# fmt: off
ORDER = (
    "mode", "rate", "skipped", "slices", "requests", "bytes", "seconds", "span", "drain_seconds", "sent_rate",
    "invocations", "billed_ms", "memory_mb", "gb_seconds", "cold_starts", "http_requests", "records", "put_calls",
    "put_units", "stream_bytes", "shards", "read_calls", "write_calls", "read_units", "write_units", "forgotten_units",
    "object_puts", "object_heads", "object_bytes", "upload_gets", "upload_bytes", "entities", "writers_per_key",
    "item_bytes", "remembered", "receipts", "reply_messages", "accepted", "rejected", "quarantined", "latency", "lost",
    "duplicates", "reordered", "errors", "retries", "bill",
)
"""The order of a measurement's fields in the file. It stays, for files are compared as text."""
# fmt: on


class Arrivals(msgspec.Struct, frozen=True, kw_only=True):
    """When the requests of a workload that is not steady came, as `tidemill_load.cost_model.traffic` has it.

    Attributes:
        rate: requests a second, as its measurements have it.
        seconds: of the whole span.
        slots: requests in each second.
        keys: how long ago the same key was asked for: requests in each bin, and their seconds.
        clients: the same of clients; None where they are not told apart.
    """

    rate: float
    seconds: float
    slots: tuple[float, ...]
    keys: tuple[tuple[float, ...], tuple[float, ...]]
    clients: tuple[tuple[float, ...], tuple[float, ...]] | None


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """The requests that were sent, by the parameters that generate them.

    Attributes:
        kind: "poisson", "bursty" or "trace".
        parameters: what makes it that workload, such as `keys`, `zipf`, `request_bytes`; of a trace, `file` (its name
            alone), `speed`, `requests` and `unreadable` (lines that are none).
        arrivals: for each rate, when requests came; none where they came at a steady rate.
    """

    kind: str
    parameters: Mapping[str, Parameter]
    arrivals: tuple[Arrivals, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run.

    Attributes:
        schema_version: of this form.
        started: when, ISO 8601 in UTC.
        target: where.
        workload: what was sent.
        seed: of the workload.
        seconds: of sending that were asked for, per mode and rate; None for a whole trace.
        window: MaximumBatchingWindowInSeconds of the event source mapping.
        batch: its BatchSize.
        config_hash: the first 12 hex digits of a SHA-256 over the template and the values of its parameters: two
            runs with the same hash ran the same stack.
        price_date: ISO date of the price list behind `bill`; None where not priced.
        prices: dollars for one of each item, where they differ from the list that comes with Tidemill.
        versions: of `tidemill`, `python`, and `platform` (the machine, its processors).
        measurements: by rate, then by mode; those skipped too.
        notes: what a reader must know, a sentence each, such as that the run was stopped early.
        stopped: whether it was stopped before its end, so that `measurements` are what there was by then.
    """

    schema_version: int = SCHEMA_VERSION
    started: str
    target: Target
    workload: Workload
    seed: int
    seconds: float | None
    window: float
    batch: int
    config_hash: str
    price_date: str | None = None
    prices: Mapping[str, float] = {}
    versions: Mapping[str, str]
    measurements: tuple[Measurement, ...]
    notes: tuple[str, ...] = ()
    stopped: bool = False


def to_json(result: Result) -> bytes:
    """The result as JSON, indented, with a newline at its end."""
    written = msgspec.to_builtins(result)
    written["measurements"] = [{name: one[name] for name in ORDER} for one in written["measurements"]]
    return msgspec.json.format(msgspec.json.encode(written), indent=2) + b"\n"


class _Version(msgspec.Struct):
    schema_version: int


def from_json(text: bytes) -> Result:
    """The result in its JSON, as one of this version. Fields that are not known here are passed over.

    Raises:
        UnreadableResult: it is none, or one of a later version.
    """
    try:
        version = msgspec.json.decode(text, type=_Version).schema_version
        if version != SCHEMA_VERSION and version not in EARLIER:
            known = ", ".join(str(one) for one in (*EARLIER, SCHEMA_VERSION))
            raise UnreadableResult(f"its schema_version is {version}; this reads {known}")
        found = msgspec.json.decode(text, type=Result)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableResult(f"not a load test's result: {error}") from None
    if version == SCHEMA_VERSION:
        return found
    return msgspec.structs.replace(found, schema_version=SCHEMA_VERSION, notes=(*found.notes, EARLIER[version]))
