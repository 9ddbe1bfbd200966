"""The message to a destination about a discarded batch.

Room: event source, pure. The messages as AWS sends them:
https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
Tests: tests/consumers/tidemill_event_source/decisions/test_batches.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from tidemill_event_source.decisions.batches import Batch, InvocationResponse
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Waiting

Condition: TypeAlias = Literal["RetryAttemptsExhausted", "RecordAgeExceeded"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A batch that is given up.

    Attributes:
        condition: why.
        records: those given up.
        invoke_count: how often the function was invoked with it; at least 1, as AWS has it.
        response: the last response; None where age, not the function, is the reason.
    """

    condition: Condition
    records: Sequence[Waiting]
    invoke_count: int
    response: InvocationResponse | None


def message(failure: Failure, shard: str, config: MappingConfig, request_id: str, now: float) -> dict[str, Any]:
    """The message's fields, in AWS's order.

    Args:
        failure: the batch that is given up.
        shard: the shard's id.
        config: the mapping.
        request_id: the last invocation's, or a new one where there was none.
        now: seconds since 1970.
    """
    first, last = failure.records[0], failure.records[-1]
    said: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": config.function_arn,
            "condition": failure.condition,
            "approximateInvokeCount": failure.invoke_count,
        }
    }
    if failure.response:
        said["responseContext"] = {
            "statusCode": 200,
            "executedVersion": failure.response.executed_version,
            "functionError": failure.response.error,
        }
    info = "KinesisBatchInfo" if config.service == "kinesis" else "DDBStreamBatchInfo"
    return said | {
        "version": "1.0",
        "timestamp": _iso(now),
        info: {
            "shardId": shard,
            "startSequenceNumber": first.sequence,
            "endSequenceNumber": last.sequence,
            "approximateArrivalOfFirstRecord": _iso(first.arrived),
            "approximateArrivalOfLastRecord": _iso(last.arrived),
            "batchSize": len(failure.records),
            "streamArn": config.stream_arn,
        },
    }


def object_body(said: dict[str, Any], failure: Failure) -> bytes:
    """The object in S3: the message with the event, so that nothing need be fetched from the stream again."""
    return json.dumps({**said, "payload": Batch(failure.records).event.decode()}).encode()


def object_key(config: MappingConfig, shard: str, now: float, unique: str) -> str:
    """The key of the object in S3."""
    at = datetime.fromtimestamp(now, UTC)
    return f"aws/lambda/{config.uuid}/{shard}/{at:%Y/%m/%d}/{at:%Y-%m-%dT%H.%M.%S}-{unique}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
