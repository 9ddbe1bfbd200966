"""What functions and streams used, read from their logs and calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from tidemill_bench.counting import PUT_UNIT, PutMeter, read_log, spent, units_of
from tidemill_local.emulator import Emulator

REPORT = "REPORT RequestId: {}\tDuration: 9.20 ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: 80 MB"
COLD = "\tInit Duration: 290.10 ms"


def meter_line(**used: float) -> str:
    return f"METER {json.dumps({'read_calls': 1, 'write_calls': 1, 'read_units': 0.0, 'write_units': 0.0} | used)}"


def test_an_invocation_is_a_report_and_its_usage_a_meter_line() -> None:
    lines = [
        "START RequestId: a Version: $LATEST",
        meter_line(read_units=3, write_units=2),
        REPORT.format("a", 300, 256) + COLD,
        "something that the function says of REPORT and METER",
        meter_line(write_calls=2, read_units=40, write_units=45),
        REPORT.format("b", 1000, 1769) + "\tStatus: timeout",
    ]
    found = spent(lines)
    assert (found.invocations, found.billed_ms, found.cold_starts) == (2, 1300.0, 1)
    assert found.gb_seconds == pytest.approx(0.3 * 256 / 1024 + 1769 / 1024)
    assert (found.read_calls, found.write_calls, found.read_units, found.write_units) == (2, 3, 43, 47)


def test_a_log_that_is_not_there_is_empty_and_one_that_is_begins_where_it_was_asked(emulator: Emulator) -> None:
    logs = emulator.client("logs")
    assert read_log(logs, "/aws/lambda/never-ran", 0) == []
    logs.create_log_group(logGroupName="/aws/lambda/ran")
    logs.create_log_stream(logGroupName="/aws/lambda/ran", logStreamName="s")
    messages = [(1_000, REPORT.format("old", 1, 128)), (2_000, "other"), (3_000, meter_line()), (3_000, "REPORT x")]
    events = [{"timestamp": at, "message": message} for at, message in messages]
    logs.put_log_events(logGroupName="/aws/lambda/ran", logStreamName="s", logEvents=events)
    assert sorted(read_log(logs, "/aws/lambda/ran", 2_000)) == [meter_line(), "REPORT x"]


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (PUT_UNIT, 1), (PUT_UNIT + 1, 2), (10 * PUT_UNIT, 10)])
def test_a_unit_is_25_kb_or_part_of_it(size: int, units: int) -> None:
    assert units_of(size) == units


@pytest.fixture
def kinesis() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("kinesis", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    with Stubber(client) as stubber:
        yield client, stubber
    client.close()


def test_only_what_was_acknowledged_is_counted(kinesis: tuple[Any, Stubber]) -> None:
    client, stubber = kinesis
    meter = PutMeter(client.meta.events)
    refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"}
    answers = [{"SequenceNumber": "1", "ShardId": "s"}, refused, {"SequenceNumber": "2", "ShardId": "s"}]
    stubber.add_response(
        "put_records", {"FailedRecordCount": 1, "Records": answers}, {"Records": ANY, "StreamName": "s"}
    )
    stubber.add_client_error("put_records", "InternalFailure", http_status_code=500)
    records = [{"Data": bytes(size), "PartitionKey": "k"} for size in (100, 200, PUT_UNIT + 1)]
    client.put_records(StreamName="s", Records=records)
    with pytest.raises(client.exceptions.ClientError):
        client.put_records(StreamName="s", Records=records)
    found = meter.take()
    assert (found.records, found.put_calls, found.put_units, found.stream_bytes) == (2, 2, 3, 100 + PUT_UNIT + 1)
    assert meter.take().put_calls == 0
