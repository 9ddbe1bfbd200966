"""What an event source mapping decides: when a batch is ready, how much fits, what an answer means.

Room: local platform. Pure: no I/O, time is an argument. Behaviour as in
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tidemill_local.shard_reader import StreamRecord

MAX_EVENT_BYTES = 6 * 1024 * 1024
"""Lambda's limit on the payload of a synchronous invocation, the event's JSON."""

ENVELOPE = b'{"Records":[', b"]}"

MAX_BACKOFF = 60.0
"""Seconds between two tries of a failing batch, at most."""


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """The resolved properties of an AWS::Lambda::EventSourceMapping.

    Attributes:
        stream_arn: the stream.
        function: the function's name or ARN.
        batch_size: records per invocation at most.
        window: seconds that a batch may wait to fill.
        horizon: where a shard is begun.
        partial: whether ReportBatchItemFailures is on.
    """

    stream_arn: str
    function: str
    batch_size: int
    window: float
    horizon: Literal["TRIM_HORIZON", "LATEST"]
    partial: bool


def parse(properties: Mapping[str, Any]) -> MappingConfig:
    """The mapping that a template's resolved properties describe.

    Raises:
        ValueError: an option that this mapping does not honour, by name.
    """
    if int(properties.get("MaximumRetryAttempts", -1)) != -1:
        raise ValueError("MaximumRetryAttempts: only -1, endless retry, is supported here")
    if int(properties.get("ParallelizationFactor", 1)) != 1:
        raise ValueError("ParallelizationFactor: only 1 is supported here")
    horizon = properties["StartingPosition"]
    if horizon not in ("TRIM_HORIZON", "LATEST"):
        raise ValueError(f"StartingPosition: {horizon} is not supported here")
    return MappingConfig(
        stream_arn=properties["EventSourceArn"],
        function=properties["FunctionName"],
        batch_size=int(properties.get("BatchSize", 100)),
        window=float(properties.get("MaximumBatchingWindowInSeconds", 0)),
        horizon=horizon,
        partial="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", []),
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that waits for its batch, as it will stand in the event."""

    sequence: str
    event: bytes
    read: float
    """When it was read, by the mapping's clock."""


def waiting(record: StreamRecord, stream_arn: str, now: float) -> Waiting:
    """The record as it stands in Lambda's event."""
    event = {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key,
            "sequenceNumber": record.sequence,
            "data": b64encode(record.data).decode(),
            "approximateArrivalTimestamp": record.arrived.timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{record.shard}:{record.sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/tidemill-local",
        "awsRegion": stream_arn.split(":")[3],
        "eventSourceARN": stream_arn,
    }
    return Waiting(record.sequence, json.dumps(event, separators=(",", ":")).encode(), now)


def ready(queue: Sequence[Waiting], config: MappingConfig, now: float) -> int:
    """How many records go now as one batch: 0 while it may still fill.

    A batch goes when it is full (by count or by the event's 6 MB) or its window has passed.
    """
    size = len(ENVELOPE[0]) + len(ENVELOPE[1])
    count = 0
    for record in queue:
        size += len(record.event) + (count > 0)
        if count and size > MAX_EVENT_BYTES:
            return count
        count += 1
        if count == config.batch_size:
            return count
    return count if count and now >= queue[0].read + config.window else 0


def event_of(batch: Sequence[Waiting]) -> bytes:
    """The event's JSON."""
    return ENVELOPE[0] + b",".join(record.event for record in batch) + ENVELOPE[1]


def done(batch: Sequence[Waiting], answer: bytes | None, config: MappingConfig) -> int:
    """How many of the batch, from its begin, are done; the rest is delivered again.

    Args:
        batch: what was sent.
        answer: the function's answer; None when the invocation failed.
        config: the mapping.
    """
    if answer is None:
        return 0
    if not config.partial:
        return len(batch)
    try:
        failures = _failures(json.loads(answer or b"null"))
        places = {record.sequence: place for place, record in enumerate(batch)}
        return min((places[failure] for failure in failures), default=len(batch))
    except (KeyError, TypeError, ValueError, AttributeError):
        # "Lambda treats a batch as a complete failure if you return an invalid list of failures."
        return 0


def _failures(answer: Any) -> list[str]:
    if not answer:
        return []
    return [failure["itemIdentifier"] for failure in answer.get("batchItemFailures") or []]


def backoff(failures: int) -> float:
    """Seconds to wait after that many failures in a row."""
    return float(min(MAX_BACKOFF, 0.1 * 2 ** min(failures, 16)))
