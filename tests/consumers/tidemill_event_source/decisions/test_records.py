"""A record as the function's event shows it, and as a filter looks at it."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tidemill_event_source.decisions.records import dynamodb_event, filtered_document, kinesis_renderer
from tidemill_event_source.shard_reader import StreamRecord

STREAM = "arn:aws:kinesis:eu-west-1:111122223333:stream/requests"
ARRIVED = datetime(2025, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)


def record(data: bytes, key: str = "key") -> StreamRecord:
    return StreamRecord("shardId-000000000000", "495903", key, data, ARRIVED)


def test_a_kinesis_record_has_the_fields_of_aws() -> None:
    key = 'a "key"\\\n\x01ü😀'
    assert json.loads(kinesis_renderer(STREAM)(record(b"\x00data\xff", key))) == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": key,
            "sequenceNumber": "495903",
            "data": base64.b64encode(b"\x00data\xff").decode(),
            "approximateArrivalTimestamp": 1764072000.123,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": "shardId-000000000000:495903",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/tidemill-local",
        "awsRegion": "eu-west-1",
        "eventSourceARN": STREAM,
    }


@pytest.mark.parametrize(
    ("created", "shown"),
    [({"ApproximateCreationDateTime": ARRIVED}, {"ApproximateCreationDateTime": 1764072000.123456}), ({}, {})],
)
def test_a_tables_change_has_the_fields_of_aws(created: dict[str, Any], shown: dict[str, Any]) -> None:
    change = {"Keys": {"id": {"S": "1"}}, "NewImage": {"id": {"S": "1"}, "b": {"B": b"\x00\xff"}}, **created}
    record = {"eventID": "e", "eventName": "INSERT", "awsRegion": "eu-west-1", "dynamodb": change}
    table = "arn:aws:dynamodb:eu-west-1:111122223333:table/entities/stream/2025-11-25T00:00:00.000"
    image = {"id": {"S": "1"}, "b": {"B": "AP8="}}
    assert json.loads(dynamodb_event(record, table)) == {
        "eventID": "e",
        "eventName": "INSERT",
        "awsRegion": "eu-west-1",
        "dynamodb": {"Keys": {"id": {"S": "1"}}, "NewImage": image, **shown},
        "eventSourceARN": table,
    }


@pytest.mark.parametrize("data", [b'{"a": [1, null]}', b"[]", b"null", b'"text"', b"1"])
def test_a_filter_looks_at_a_kinesis_records_data_decoded(data: bytes) -> None:
    assert filtered_document("kinesis", record(data)) == {"data": json.loads(data)}


@pytest.mark.parametrize("data", [b"", b"text", b'{"a": 1', b"\x80\x81", b"[" * 200_000, b'{"a":' * 200_000])
def test_data_that_is_no_json_is_nothing_to_match(data: bytes) -> None:
    assert filtered_document("kinesis", record(data)) is None


def test_a_filter_looks_at_all_of_a_tables_change() -> None:
    assert filtered_document("dynamodb", record(b'{"eventName": "INSERT"}')) == {"eventName": "INSERT"}
