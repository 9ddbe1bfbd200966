"""By value: a batch's event, how much an answer says is done, and what a destination is told of a batch given up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidemill_event_source.decisions.batches import (
    MAX_STATE_BYTES,
    Batch,
    BatchResult,
    InvocationResponse,
    TimeWindow,
    Tumbling,
    batch_result,
    envelope_size,
)
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.failures import Failure, message, object_body, object_key
from tidemill_event_source.decisions.records import Waiting

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/requests"
TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/entities/stream/2025-11-25T00:00:00.000"
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:apply"
NOON = 1_764_072_000.0
RECORDS = (
    Waiting("1", None, "k", NOON, NOON + 7, b'{"n":1}'),
    Waiting("2", "1", "k", NOON + 0.25, NOON + 7, b'{"n":2}'),
    Waiting("3", "2", "k", NOON + 61.5, NOON + 62, b'{"n":3}'),
)
OPEN = Tumbling("shard-7", STREAM, TimeWindow(1_764_072_000, 1_764_072_060), b'{"a":1}', False, False)
FINAL = Tumbling("shard-7", STREAM, TimeWindow(1_764_072_000, 1_764_072_060), b"{}", True, True)


@pytest.mark.parametrize(
    ("tumbling", "fields"),
    [
        (None, {}),
        (OPEN, {"state": {"a": 1}, "isFinalInvokeForWindow": False, "isWindowTerminatedEarly": False}),
        (FINAL, {"state": {}, "isFinalInvokeForWindow": True, "isWindowTerminatedEarly": True}),
    ],
)
def test_an_event_has_its_records_and_its_windows_fields(tumbling: Tumbling | None, fields: dict[str, Any]) -> None:
    if tumbling:
        window = {"start": "2025-11-25T12:00:00Z", "end": "2025-11-25T12:01:00Z"}
        fields = {"window": window, "shardId": "shard-7", "eventSourceARN": STREAM, **fields}
    event = Batch(RECORDS[:2], tumbling).event
    assert json.loads(event) == {"Records": [{"n": 1}, {"n": 2}], **fields}
    assert json.loads(Batch((), tumbling).event) == {"Records": [], **fields}
    assert len(event) == envelope_size(tumbling) + len(b'{"n":1},{"n":2}')


FIRST, SECOND, UNKNOWN = ({"itemIdentifier": number} for number in ("1", "2", "9"))
STATE = {"state": {"a": [1, "é"]}}
KEPT = '{"a":[1,"é"]}'.encode()

RESULTS: list[tuple[bool, bool, Any, BatchResult | None]] = [
    # reports, window, answer, result
    (False, False, None, BatchResult(3)),
    (False, False, {"batchItemFailures": [SECOND], **STATE}, BatchResult(3)),
    (True, False, None, BatchResult(3)),
    (True, False, {}, BatchResult(3)),
    (True, False, [], BatchResult(3)),
    (True, False, {"batchItemFailures": None}, BatchResult(3)),
    (True, False, {"batchItemFailures": []}, BatchResult(3)),
    (True, False, {"batchItemFailures": [FIRST]}, BatchResult(0)),
    (True, False, {"batchItemFailures": [SECOND], **STATE}, BatchResult(1)),
    (True, False, {"batchItemFailures": [{"itemIdentifier": "3"}, SECOND]}, BatchResult(1)),
    (True, False, {"batchItemFailures": [SECOND, UNKNOWN]}, None),
    (True, False, {"batchItemFailures": [{"itemIdentifier": ""}]}, None),
    (True, False, {"batchItemFailures": [{"itemIdentifier": None}]}, None),
    (True, False, {"batchItemFailures": [{"id": "2"}]}, None),
    (True, False, {"batchItemFailures": 7}, None),
    (True, False, "text", None),
    (False, True, STATE, BatchResult(3, KEPT)),
    (False, True, {"batchItemFailures": [SECOND], **STATE}, BatchResult(3, KEPT)),
    (False, True, {"state": None}, BatchResult(3, b"null")),
    (False, True, {"state": "\ud800"}, BatchResult(3, b'"\\ud800"')),
    (False, True, {}, None),
    (False, True, None, None),
    (True, True, {"batchItemFailures": [SECOND], **STATE}, BatchResult(1, KEPT)),
    (True, True, STATE, BatchResult(3, KEPT)),
    (True, True, {"batchItemFailures": [SECOND]}, None),
]


@pytest.mark.parametrize(("reports", "window", "answer", "result"), RESULTS)
def test_an_answer_says_how_much_is_done_and_the_windows_state(
    reports: bool, window: bool, answer: Any, result: BatchResult | None
) -> None:
    config = MappingConfig(STREAM, report_batch_item_failures=reports)
    batch = Batch(RECORDS, OPEN if window else None)
    payload = json.dumps(answer).encode()
    assert batch_result(batch, InvocationResponse(payload), config) == result
    assert batch_result(batch, InvocationResponse(payload, error="Unhandled"), config) is None
    assert batch_result(batch, InvocationResponse(payload, invoked=False), config) is None


@pytest.mark.parametrize(("reports", "window", "done"), [(False, False, 3), (True, False, None), (False, True, None)])
@pytest.mark.parametrize("payload", [b"no json", b"[" * 100_000])
def test_an_answer_is_read_only_where_it_matters(reports: bool, window: bool, done: int | None, payload: bytes) -> None:
    config = MappingConfig(STREAM, report_batch_item_failures=reports)
    result = batch_result(Batch(RECORDS, OPEN if window else None), InvocationResponse(payload), config)
    assert result == (None if done is None else BatchResult(done))


def test_without_any_answer_all_is_done() -> None:
    assert batch_result(
        Batch(RECORDS), InvocationResponse(), MappingConfig(STREAM, report_batch_item_failures=True)
    ) == BatchResult(3)


def test_a_state_may_have_a_megabyte() -> None:
    assert MAX_STATE_BYTES == 1_048_576


@pytest.mark.parametrize(
    ("stream", "info"), [(STREAM, "KinesisBatchInfo"), (TABLE, "DDBStreamBatchInfo")], ids=["kinesis", "dynamodb"]
)
@pytest.mark.parametrize("response", [None, InvocationResponse(error="Unhandled", executed_version="7")])
def test_a_destination_is_told_which_records_were_given_up_and_why(
    stream: str, info: str, response: InvocationResponse | None
) -> None:
    failure = Failure("RecordAgeExceeded", RECORDS, 4, response)
    said = message(failure, "shard-7", MappingConfig(stream, FUNCTION), "request-1", NOON + 90.0625)
    answered = {"statusCode": 200, "executedVersion": "7", "functionError": "Unhandled"}
    assert said == {
        "requestContext": {
            "requestId": "request-1",
            "functionArn": FUNCTION,
            "condition": "RecordAgeExceeded",
            "approximateInvokeCount": 4,
        },
        **({"responseContext": answered} if response else {}),
        "version": "1.0",
        "timestamp": "2025-11-25T12:01:30.062Z",
        info: {
            "shardId": "shard-7",
            "startSequenceNumber": "1",
            "endSequenceNumber": "3",
            "approximateArrivalOfFirstRecord": "2025-11-25T12:00:00.000Z",
            "approximateArrivalOfLastRecord": "2025-11-25T12:01:01.500Z",
            "batchSize": 3,
            "streamArn": stream,
        },
    }
    kept = json.loads(object_body(said, failure))
    assert kept == {**said, "payload": '{"Records":[{"n":1},{"n":2},{"n":3}]}'}


def test_an_object_of_what_was_given_up_is_named_as_lambda_names_it() -> None:
    key = object_key(MappingConfig(STREAM, uuid="mapping-1"), "shard-7", NOON + 3_661, "unique-1")
    assert key == "aws/lambda/mapping-1/shard-7/2025/11/25/2025-11-25T13.01.01-unique-1"


def test_what_is_given_up_is_kept_with_its_event() -> None:
    failure = Failure("RecordAgeExceeded", RECORDS[:2], 1, None)
    kept = json.loads(object_body({"version": "1.0"}, failure))
    assert kept.keys() == {"version", "payload"}
    assert json.loads(kept["payload"]) == {"Records": [{"n": 1}, {"n": 2}]}
