"""A batch as the function gets it, the response to it, and how much of the batch the response reports as done.

Room: event source, pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Waiting

MAX_EVENT_BYTES = 6 * 1024 * 1024
"""Lambda's limit on the payload of a synchronous invocation, the event's JSON:
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""

MAX_STATE_BYTES = 1024 * 1024
""""Your state can be a maximum of 1 MB per shard. If it exceeds that size, Lambda terminates the window early":
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html."""

NO_STATE = b"{}"


class TimeWindow(NamedTuple):
    """A tumbling window, in seconds since 1970: its start, and its end, which is the next one's start."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Tumbling:
    """The fields of an event beside its records, in a mapping with tumbling windows."""

    shard: str
    stream_arn: str
    window: TimeWindow
    state: bytes
    """JSON."""
    final: bool
    terminated_early: bool

    def fields(self) -> bytes:
        """The event's fields behind its records."""
        start, end = (datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for at in self.window)
        rest = {
            "shardId": self.shard,
            "eventSourceARN": self.stream_arn,
            "isFinalInvokeForWindow": self.final,
            "isWindowTerminatedEarly": self.terminated_early,
        }
        window = json.dumps({"window": {"start": start, "end": end}}, separators=(",", ":"))[1:-1]
        return f",{window},".encode() + b'"state":' + self.state + b"," + json.dumps(rest).encode()[1:-1]


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that go to the function in one event; none with a window's final invocation."""

    records: Sequence[Waiting]
    tumbling: Tumbling | None = None

    @property
    def event(self) -> bytes:
        """The event's JSON."""
        fields = self.tumbling.fields() if self.tumbling else b""
        return b'{"Records":[' + b",".join([record.event for record in self.records]) + b"]" + fields + b"}"


def envelope_size(tumbling: Tumbling | None) -> int:
    """The bytes of an event without its records and the commas between them."""
    return len(Batch((), tumbling).event)


@dataclass(frozen=True, slots=True)
class InvocationResponse:
    """The response to an invocation, with the fields of Lambda's API:
    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_ResponseSyntax

    Attributes:
        payload: the function's answer, or its error.
        error: FunctionError, such as `Unhandled`; None when the function returned.
        request_id: the invocation's id.
        executed_version: the version of the function that ran.
        invoked: False when it never ran: throttled, or the service failed.
        trouble: why it never ran, for the log.
    """

    payload: bytes = b""
    error: str | None = None
    request_id: str = ""
    executed_version: str = "$LATEST"
    invoked: bool = True
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How much of a batch is done.

    Attributes:
        done: the number of records, from the first, that are not delivered again.
        state: the tumbling window's new state; None where there is none.
    """

    done: int
    state: bytes | None = None


def batch_result(batch: Batch, response: InvocationResponse, config: MappingConfig) -> BatchResult | None:
    """How much of the batch is done by this response; None for a complete failure."""
    if not response.invoked or response.error:
        return None
    if not config.report_batch_item_failures and not batch.tumbling:
        return BatchResult(len(batch.records))
    try:
        answer = json.loads(response.payload or b"null")
        state = _state(answer) if batch.tumbling else None
        if not config.report_batch_item_failures:
            return BatchResult(len(batch.records), state)
        return BatchResult(_done(batch.records, answer), state)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        # "Lambda treats a batch as a complete failure if you return: an empty string itemIdentifier, a null
        # itemIdentifier, an itemIdentifier with a bad key name", and likewise one that is not in the batch:
        # https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
        return None


def _done(records: Sequence[Waiting], answer: Any) -> int:
    # "Complete success: an empty batchItemFailure list, a null batchItemFailure list, an empty EventResponse, a
    # null EventResponse."
    failures = answer.get("batchItemFailures") if answer else None
    if not failures:
        return len(records)
    # "If the batchItemFailures array contains multiple items, Lambda uses the record with the lowest sequence
    # number as the checkpoint."
    places = {record.sequence: place for place, record in enumerate(records)}
    return min(places[failure["itemIdentifier"]] for failure in failures)


def _state(answer: Any) -> bytes:
    # "If the response does not contain a state property, Lambda considers this a failed invocation."
    # No larger than it came, hence no escapes; a lone surrogate, which UTF-8 cannot hold, gets its JSON one.
    text = json.dumps(answer["state"], separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="backslashreplace")
