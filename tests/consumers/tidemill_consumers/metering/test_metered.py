"""The metered functions: they do what the functions do, and say in the log what they used."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest

from tests.described import STREAM_ARN
from tests.values import Context
from tidemill.contract.claim_check import claim_check
from tidemill.contract.request import Request, encode
from tidemill_consumers.composition import application
from tidemill_consumers.metering import metered
from tidemill_consumers.metering.capacity import LINE
from tidemill_local.emulator import Emulator


@pytest.fixture(autouse=True)
def environment(
    emulator: Emulator, table: str, bucket: str, topic: str, stream: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    settings = {
        **emulator.environment,
        "TIDEMILL_RULES": "tidemill_consumers.media",
        "TIDEMILL_RETENTION_HOURS": "24",
        "TIDEMILL_REMEMBERED_MIB": "16",
        "TIDEMILL_RULE_SECONDS": "5",
        "TIDEMILL_STREAM": stream,
        "TIDEMILL_TABLE": table,
        "TIDEMILL_QUARANTINE_BUCKET": bucket,
        "TIDEMILL_CONTENT_BUCKET": bucket,
        "TIDEMILL_REPLIES_TOPIC_ARN": topic,
        "TIDEMILL_DEVICES_TABLE": table,
        "TIDEMILL_DELIVERIES_TABLE": table,
        "TIDEMILL_FORGOTTEN_WRITERS_TABLE": "forgotten",
        "TIDEMILL_REPEAT_HORIZON_SECONDS": "3600",
        "TIDEMILL_EMIT_DEPTH": "16",
        "TIDEMILL_AGGREGATED_STREAM_ARN": "",
        "TIDEMILL_ANALYTICS_PERIODS": "",
        "TIDEMILL_TRACES": "off",
        "TIDEMILL_TRACES_HEADERS_SECRET_ARN": "",
        "TIDEMILL_APPLICATION_SECRET_ARN": "",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    application.cache_clear()
    metered.meter.cache_clear()
    yield
    application.cache_clear()
    metered.meter.cache_clear()


NOTHING_IN_S3 = {"object_puts": 0, "object_heads": 0, "object_bytes": 0, "upload_gets": 0, "upload_bytes": 0}


def view(number: int, key: str) -> Request:
    return Request(id=f"r{number}", cmd="content.view", key=key, client="c", data={})


def record(stream: str, number: int, request: Request) -> Any:
    return {
        "eventID": f"shardId-000000000000:{number}",
        "eventSourceARN": STREAM_ARN.replace("/requests", f"/{stream}"),
        "kinesis": {
            "partitionKey": request.key,
            "sequenceNumber": str(number),
            "data": b64encode(encode(request)).decode(),
            "approximateArrivalTimestamp": 1_764_000_000.0,
        },
    }


def used(said: str) -> dict[str, float]:
    (line,) = [line for line in said.splitlines() if line.startswith(f"{LINE} ")]
    found: dict[str, float] = json.loads(line.removeprefix(LINE))
    return found


def test_a_batch_says_what_it_used(stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ["content/1", "content/2", "content/1"]
    records = [record(stream, number, view(number, key)) for number, key in enumerate(keys, 1)]
    answer = metered.apply_handler({"Records": records}, Context())
    assert answer["batchItemFailures"] == []
    assert answer["applied"]["requests"] == 3
    assert used(capsys.readouterr().out) == {
        "read_calls": 1,
        "write_calls": 2,
        "read_units": 2.0,
        "write_units": 3.0,
        "forgotten_units": 0.0,
        **NOTHING_IN_S3,
    }


def test_what_is_quarantined_and_what_was_uploaded_is_in_it(
    emulator: Emulator, bucket: str, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = msgspec.json.encode({"text": "x" * 70_000})
    ref = claim_check("c", data)
    emulator.client("s3").put_object(Bucket=bucket, Key=ref.object, Body=data)
    large = Request(id="r1", cmd="content.view", key="content/4", client="c", data={}, ref=ref)
    unknown = Request(id="r2", cmd="content.explode", key="content/5", client="c", data={})
    answer = metered.apply_handler({"Records": [record(stream, 1, large), record(stream, 2, unknown)]}, Context())
    assert (answer["batchItemFailures"], answer["applied"]["requests"]) == ([], 2)
    found = used(capsys.readouterr().out)
    assert (found["upload_gets"], found["upload_bytes"], found["object_puts"]) == (1, len(data), 1)
    quarantined = emulator.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert found["object_bytes"] == sum(one["Size"] for one in quarantined if one["Key"] != ref.object)


def test_a_direct_request_says_what_it_used_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        body = encode(view(number, "content/3")).decode()
        answer = metered.direct_handler({"requestContext": {"timeEpoch": 1_764_000_000_000}, "body": body}, Context())
        assert answer["statusCode"] == 200
        one = {"read_calls": 1, "write_calls": 1, "read_units": 1.0, "write_units": 1.0, "forgotten_units": 0.0}
        assert used(capsys.readouterr().out) == one | NOTHING_IN_S3
