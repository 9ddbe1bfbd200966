"""A record on its way into a batch: its form in the function's event, whether a filter lets it through, and its order.

Room: event source, pure. The event's forms:
https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html,
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tidemill_event_source.decisions.config import ROLE, MappingConfig
from tidemill_event_source.shard_reader import StreamRecord


class Waiting(NamedTuple):
    """A record that waits for its batch."""

    sequence: str
    before: str | None
    """The sequence number of the record before it in the shard, read or not let through: where to begin again."""
    key: str
    """Records of one key stay in order: a Kinesis record's partition key, a table's item key."""
    arrived: float
    """Approximate arrival, seconds since 1970."""
    read: float
    """When it was read, by the mapping's clock."""
    event: bytes
    """Its JSON in the function's event."""


Render: TypeAlias = Callable[[StreamRecord], bytes]


def kinesis_renderer(stream_arn: str, role_arn: str = ROLE) -> Render:
    """Gives a Kinesis record the form that it has in the function's event; the role is the function's."""
    tail = (
        f'"eventName":"aws:kinesis:record","invokeIdentityArn":{quoted(role_arn)},'
        f'"awsRegion":{quoted(stream_arn.split(":")[3])},"eventSourceARN":{quoted(stream_arn)}}}'
    )

    def render(record: StreamRecord) -> bytes:
        # Put together by hand, as the mapping spends most of its time here; only the key may need escapes.
        return (
            f'{{"kinesis":{{"kinesisSchemaVersion":"1.0","partitionKey":{quoted(record.partition_key)},'
            f'"sequenceNumber":"{record.sequence}","data":"{b2a_base64(record.data, newline=False).decode()}",'
            f'"approximateArrivalTimestamp":{round(record.arrived.timestamp(), 3)}}},'
            f'"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"{record.shard}:{record.sequence}",{tail}'
        ).encode()

    return render


def dynamodb_event(record: Mapping[str, Any], stream_arn: str) -> bytes:
    """The form that a table's stream record has in the function's event; binary values as base64."""
    change = dict(record["dynamodb"])
    created = change.get("ApproximateCreationDateTime")
    if created is not None:
        change["ApproximateCreationDateTime"] = created.timestamp()
    return msgspec.json.encode({**record, "dynamodb": change, "eventSourceARN": stream_arn})


def filtered_document(service: str, record: StreamRecord) -> Any:
    """The document that filters match: a Kinesis record's `data` decoded, or a table's change as in the event.

    None for data that is no JSON, which matches nothing: "Lambda drops the record",
    https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html
    """
    if service == "dynamodb":
        return json.loads(record.data)
    try:
        return {"data": json.loads(record.data)}
    except (ValueError, RecursionError):
        return None


def passes_filters(record: StreamRecord, config: MappingConfig) -> bool:
    """Whether any of the mapping's filters lets the record through; without filters each record passes."""
    if not config.filters:
        return True
    document = filtered_document(config.service, record)
    return any(pattern.matches(document) for pattern in config.filters)
