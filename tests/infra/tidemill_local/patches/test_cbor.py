"""Kinesis in CBOR: what Java's SDKs write is read, and what they read is written."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import cbor2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer
from botocore.httpsession import URLLib3Session
from hypothesis import given
from hypothesis import strategies as st

from tidemill_local.emulator import Emulator
from tidemill_local.patches import cbor

MILLIS = 1_764_000_000_123
CALL = {"x-amz-target": "Kinesis_20131202.PutRecord", "content-type": cbor.CBOR}


def test_bytes_are_base64_and_times_are_milliseconds_on_the_way_in() -> None:
    body = {"Data": b"\xff\x00", "Timestamp": cbor2.CBORTag(1, MILLIS), "Limit": 3, "Records": [{"Data": b"x"}]}
    # cbor2 would not write such a tag by itself: it holds milliseconds where the standard has seconds.
    assert json.loads(cbor.to_json(cbor2.dumps(body))) == {
        "Data": "/wA=",
        "Timestamp": MILLIS / 1000,
        "Limit": 3,
        "Records": [{"Data": "eA=="}],
    }


def test_and_on_the_way_out() -> None:
    record = {"Data": "/wA=", "ApproximateArrivalTimestamp": MILLIS / 1000, "PartitionKey": "k", "Size": 1.5}
    answer = {"Records": [record], "NextShardIterator": None}
    assert cbor2.loads(cbor.from_json(json.dumps(answer).encode())) == {
        "Records": [{**record, "Data": b"\xff\x00", "ApproximateArrivalTimestamp": MILLIS}],
        "NextShardIterator": None,
    }


@given(st.binary(max_size=60))
def test_other_bytes_are_refused_and_nothing_else(body: bytes) -> None:
    with suppress(cbor.NotCbor):
        json.loads(cbor.to_json(body) or b"{}")


@pytest.mark.parametrize("body", [b"\x81" * 10_000 + b"\x00", b"\xa1", b"\xc1\x61a", cbor2.dumps({1: {2}})])
def test_hostile_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(cbor.NotCbor):
        cbor.to_json(body)


def test_a_call_in_json_or_of_another_service_passes_as_it_is() -> None:
    async def dispatch(
        method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> tuple[int, dict[str, str], bytes]:
        return 200, dict(headers), body

    speak = cbor.speaking(dispatch)
    for headers in (CALL | {"content-type": cbor.JSON}, {"content-type": cbor.CBOR}):
        answer: Any = asyncio.run(speak("POST", "/", headers, b"\xff", {}, "id"))
        assert answer == (200, headers, b"\xff")


def test_a_message_of_a_stream_of_events_has_its_payload_in_cbor() -> None:
    type_header = b"\x0d:content-type\x07\x00\x10application/json"
    name_header = b"\x0b:event-type\x07\x00\x15SubscribeToShardEvent"
    payload = json.dumps({"Records": [{"Data": "eA=="}]}).encode()
    buffer = EventStreamBuffer()
    buffer.add_data(cbor.event(cbor.event_message(name_header + type_header, payload)))
    found: Any = next(buffer)
    assert found.headers == {":event-type": "SubscribeToShardEvent", ":content-type": cbor.CBOR}
    assert cbor2.loads(found.payload) == {"Records": [{"Data": b"x"}]}


def call(emulator: Emulator, operation: str, body: dict[str, Any]) -> tuple[int, str, Any]:
    """Status, content type and answer of a signed call in CBOR."""
    headers = {"Content-Type": cbor.CBOR, "X-Amz-Target": f"Kinesis_20131202.{operation}"}
    request = AWSRequest("POST", emulator.endpoint_url + "/", data=cbor2.dumps(body), headers=headers)
    SigV4Auth(Credentials("test", "test"), "kinesis", "us-east-1").add_auth(request)
    answer = URLLib3Session(proxies={}).send(request.prepare())
    return answer.status_code, answer.headers["Content-Type"], cbor2.loads(answer.content) if answer.content else None


def test_a_client_that_speaks_cbor_puts_and_reads(emulator: Emulator) -> None:
    assert call(emulator, "CreateStream", {"StreamName": "cbor", "ShardCount": 1})[:2] == (200, cbor.CBOR)
    try:
        put = {"StreamName": "cbor", "Records": [{"Data": b"\xff", "PartitionKey": "k"}]}
        assert call(emulator, "PutRecords", put)[2]["FailedRecordCount"] == 0
        start = {"StreamName": "cbor", "ShardId": "shardId-000000000000", "ShardIteratorType": "AT_TIMESTAMP"}
        _, _, opened = call(emulator, "GetShardIterator", start | {"Timestamp": cbor2.CBORTag(1, MILLIS)})
        _, _, page = call(emulator, "GetRecords", opened)
        (record,) = page["Records"]
        assert (record["Data"], record["PartitionKey"]) == (b"\xff", "k")
        assert isinstance(record["ApproximateArrivalTimestamp"], int)
        assert record["ApproximateArrivalTimestamp"] > MILLIS
    finally:
        emulator.client("kinesis").delete_stream(StreamName="cbor")


def test_an_error_is_told_in_cbor(emulator: Emulator) -> None:
    status, kind, answer = call(emulator, "DescribeStream", {"StreamName": "none-such"})
    assert (status, kind, answer["__type"]) == (400, cbor.CBOR, "ResourceNotFoundException")


def test_a_wrong_signature_is_told_in_cbor(emulator: Emulator) -> None:
    headers = {"Content-Type": cbor.CBOR, "X-Amz-Target": "Kinesis_20131202.ListStreams"}
    request = AWSRequest("POST", emulator.endpoint_url + "/", data=b"\xa0", headers=headers)
    SigV4Auth(Credentials("test", "wrong"), "kinesis", "us-east-1").add_auth(request)
    answer = URLLib3Session(proxies={}).send(request.prepare())
    assert (answer.status_code, cbor2.loads(answer.content)["__type"]) == (400, "InvalidSignatureException")
