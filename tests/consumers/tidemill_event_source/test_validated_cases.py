"""What AWS was seen to do, case by case, on the simulated clock: each name is the case's."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tidemill_event_source.decisions.batches import Batch, InvocationResponse
from tidemill_event_source.decisions.config import MappingConfig, parse
from tidemill_event_source.decisions.failures import Failure, message
from tidemill_event_source.decisions.simulation import FIRST_SEQUENCE, Arrival, Invocation, Simulation

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/requests"
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:apply"
SHARD = "shardId-000000000000"
BEGIN = 1_764_000_000.0

Answer = Callable[[Batch], InvocationResponse]


@dataclass
class Seen:
    """What a mapping did: each invocation's time and its records' numbers, and each message with its time."""

    invocations: list[tuple[float, list[int]]] = field(default_factory=list)
    messages: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def batches(self) -> list[list[int]]:
        return [records for _, records in self.invocations]


def run(
    config: MappingConfig,
    arrivals: Sequence[Arrival],
    answer: Answer = lambda _: InvocationResponse(),
    *,
    takes: float = 0.0,
    begin: float = BEGIN,
    seconds: float = 600.0,
) -> Seen:
    seen = Seen()

    def function(batch: Batch, now: float) -> tuple[InvocationResponse, float]:
        seen.invocations.append((now - BEGIN, [int(one.sequence) - FIRST_SEQUENCE for one in batch.records]))
        return answer(batch), takes

    def discarded(failure: Failure, shard: str, now: float) -> None:
        request = failure.response.request_id if failure.response else "generated"
        seen.messages.append((now - BEGIN, message(failure, shard, config, request, now)))

    Simulation(config, {SHARD: arrivals}, function, discarded=discarded, begin=begin).run(begin + seconds)
    return seen


def mapping(**options: Any) -> MappingConfig:
    given = {"EventSourceArn": STREAM, "FunctionName": FUNCTION, "StartingPosition": "TRIM_HORIZON", **options}
    return parse(given)


def puts(count: int, at: float = 0.0) -> list[Arrival]:
    return [Arrival(BEGIN + at, "test", json.dumps({"n": number}).encode()) for number in range(count)]


def raising(_: Batch) -> InvocationResponse:
    return InvocationResponse(b'{"errorMessage":"no","errorType":"RuntimeError"}', "Unhandled", "request-1")


def returning(value: Any) -> Answer:
    return lambda _: InvocationResponse(json.dumps(value).encode(), request_id="request-1")


REPORTING = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
TO_QUEUE = {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:111122223333:failed"}}}


def test_10_puts_make_one_ordered_event_of_10() -> None:
    assert run(mapping(), puts(10)).batches == [list(range(10))]


def test_2_x_10_puts_with_batch_size_10_and_a_handler_of_5_s_are_two_ordered_invocations_in_turn() -> None:
    seen = run(mapping(BatchSize=10), puts(10) + puts(10, at=1), takes=5)
    assert seen.batches == [list(range(10)), list(range(10, 20))]
    assert seen.invocations[1][0] >= seen.invocations[0][0] + 5


def test_trim_horizon_with_20_before_and_10_after_creation_makes_three_ordered_batches_of_10() -> None:
    seen = run(mapping(BatchSize=10), puts(20, at=-60) + puts(10, at=5))
    assert seen.batches == [list(range(10)), list(range(10, 20)), list(range(20, 30))]


def test_two_mappings_on_one_stream_both_get_each_record() -> None:
    first, second = (run(mapping(FunctionName=name), puts(10)) for name in ("one", "two"))
    assert first.batches == second.batches == [list(range(10))]


def test_a_raising_handler_with_batch_size_1_and_1_retry_exhausts_its_attempts() -> None:
    seen = run(mapping(BatchSize=1, MaximumRetryAttempts=1, **TO_QUEUE), puts(1), raising)
    assert seen.batches == [[0], [0]]
    ((at, said),) = seen.messages
    assert said == {
        "requestContext": {
            "requestId": "request-1",
            "functionArn": FUNCTION,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 2,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": said["timestamp"],
        "KinesisBatchInfo": {
            "shardId": SHARD,
            "startSequenceNumber": str(FIRST_SEQUENCE),
            "endSequenceNumber": str(FIRST_SEQUENCE),
            "approximateArrivalOfFirstRecord": "2025-11-24T16:00:00.000Z",
            "approximateArrivalOfLastRecord": "2025-11-24T16:00:00.000Z",
            "batchSize": 1,
            "streamArn": STREAM,
        },
    }
    assert said["timestamp"] == "2025-11-24T16:00:00.250Z"
    assert at == pytest.approx(0.25)


def test_a_message_has_its_fields_in_the_order_of_aws() -> None:
    seen = run(mapping(BatchSize=1, MaximumRetryAttempts=1, **TO_QUEUE), puts(1), raising)
    ((_, said),) = seen.messages
    assert list(said) == ["requestContext", "responseContext", "version", "timestamp", "KinesisBatchInfo"]
    assert list(said["KinesisBatchInfo"]) == [
        "shardId",
        "startSequenceNumber",
        "endSequenceNumber",
        "approximateArrivalOfFirstRecord",
        "approximateArrivalOfLastRecord",
        "batchSize",
        "streamArn",
    ]


def test_batch_size_3_retries_3_6_records_and_only_number_5_reported_failed() -> None:
    def fifth_fails(batch: Batch) -> InvocationResponse:
        sequence = str(FIRST_SEQUENCE + 5)
        failed = [{"itemIdentifier": sequence}] if sequence in {one.sequence for one in batch.records} else []
        return InvocationResponse(json.dumps({"batchItemFailures": failed}).encode(), request_id="request-1")

    seen = run(mapping(BatchSize=3, MaximumRetryAttempts=3, **REPORTING, **TO_QUEUE), puts(6), fifth_fails)
    assert seen.batches == [[0, 1, 2], [3, 4, 5], [5], [5], [5], [5]]
    ((_, said),) = seen.messages
    assert said["requestContext"]["approximateInvokeCount"] == 4
    assert said["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert said["responseContext"]["functionError"] is None
    info = said["KinesisBatchInfo"]
    assert (info["batchSize"], info["startSequenceNumber"], info["endSequenceNumber"]) == (
        1,
        str(FIRST_SEQUENCE + 5),
        str(FIRST_SEQUENCE + 5),
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(returning({"batchItemFailures": [{"itemIdentifier": 123}]}), None, id="identifier_not_present"),
        pytest.param(returning({"batchItemFailures": [{"itemIdentifier": ""}]}), None, id="empty_identifier"),
        pytest.param(returning({"batchItemFailures": [{"itemIdentifier": None}]}), None, id="null_identifier"),
        pytest.param(returning({"batchItemFailures": [{"foo": 123}]}), None, id="wrong_key"),
        pytest.param(returning({"batchItemFailures": [{"foo": None}]}), None, id="wrong_key_and_null"),
        pytest.param(raising, "Unhandled", id="unhandled_exception"),
    ],
)
def test_batch_size_1_and_2_retries_the_whole_batch_failed(answer: Answer, error: str | None) -> None:
    seen = run(mapping(BatchSize=1, MaximumRetryAttempts=2, **REPORTING, **TO_QUEUE), puts(1), answer)
    assert seen.batches == [[0], [0], [0]]
    ((_, said),) = seen.messages
    assert said["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert said["requestContext"]["approximateInvokeCount"] == 3
    assert said["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": error}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([], id="empty_list"),
        pytest.param(None, id="null"),
        pytest.param({}, id="empty_object"),
        pytest.param({"batchItemFailures": []}, id="empty_failures"),
        pytest.param({"batchItemFailures": None}, id="null_failures"),
        pytest.param("", id="empty_text"),
    ],
)
def test_an_answer_without_failures_is_success_after_one_invocation(value: Any) -> None:
    seen = run(mapping(BatchSize=1, MaximumRetryAttempts=2, **REPORTING, **TO_QUEUE), puts(1), returning(value))
    assert (seen.batches, seen.messages) == ([[0]], [])


def test_no_answer_at_all_is_success_after_one_invocation() -> None:
    seen = run(mapping(BatchSize=1, MaximumRetryAttempts=2, **REPORTING), puts(1), lambda _: InvocationResponse(b""))
    assert seen.batches == [[0]]


def test_age_60_and_endless_retries_with_a_failing_handler_end_by_age_after_8_invocations() -> None:
    options = {"BatchSize": 1, "MaximumRetryAttempts": -1, "MaximumRecordAgeInSeconds": 60}
    seen = run(mapping(**options, **TO_QUEUE), puts(1), raising)
    assert len(seen.invocations) == 8
    ((at, said),) = seen.messages
    assert at == pytest.approx(60)
    assert said["requestContext"]["condition"] == "RecordAgeExceeded"
    assert said["requestContext"]["approximateInvokeCount"] == 8
    assert list(said) == ["requestContext", "version", "timestamp", "KinesisBatchInfo"]


def test_a_record_already_60_s_old_at_its_first_read_with_0_retries() -> None:
    options = {"BatchSize": 1, "MaximumRetryAttempts": 0, "MaximumRecordAgeInSeconds": 60}
    seen = run(mapping(**options, **TO_QUEUE), puts(1, at=-60), raising)
    assert seen.invocations == []
    ((_, said),) = seen.messages
    assert said["requestContext"]["condition"] == "RecordAgeExceeded"
    assert said["requestContext"]["approximateInvokeCount"] == 1
    assert "responseContext" not in said


def test_one_80_s_old_record_and_5_fresh_ones_with_batch_size_10_and_age_60() -> None:
    options = {"BatchSize": 10, "MaximumRetryAttempts": 0, "MaximumRecordAgeInSeconds": 60}
    seen = run(mapping(**options, **TO_QUEUE), puts(1, at=-80) + puts(5))
    assert seen.batches == [[1, 2, 3, 4, 5]]
    ((_, said),) = seen.messages
    assert said["requestContext"]["approximateInvokeCount"] == 1
    assert said["KinesisBatchInfo"]["batchSize"] == 1
    assert said["KinesisBatchInfo"]["startSequenceNumber"] == str(FIRST_SEQUENCE)


def test_a_filter_matches_the_decoded_json_and_the_handler_still_sees_base64() -> None:
    pattern = json.dumps({"data": {"event_type": ["function_1"]}})
    events: list[Any] = []

    def look(batch: Batch) -> InvocationResponse:
        events.extend(json.loads(batch.event)["Records"])
        return InvocationResponse()

    arrivals = [
        Arrival(BEGIN, "custom", json.dumps({"event_type": name, "message": "foo"}).encode())
        for name in ("function_1", "function_2")
    ]
    config = mapping(BatchSize=1, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    assert run(config, arrivals, look).batches == [[0]]
    assert events[0]["kinesis"]["data"] == "eyJldmVudF90eXBlIjogImZ1bmN0aW9uXzEiLCAibWVzc2FnZSI6ICJmb28ifQ=="


def test_a_record_in_the_event_has_the_form_of_aws() -> None:
    events: list[Any] = []

    def look(batch: Batch) -> InvocationResponse:
        events.append(json.loads(batch.event))
        return InvocationResponse()

    run(mapping(), [Arrival(BEGIN + 0.1234, 'key "1" é', b"hello")], look)
    assert events == [
        {
            "Records": [
                {
                    "kinesis": {
                        "kinesisSchemaVersion": "1.0",
                        "partitionKey": 'key "1" é',
                        "sequenceNumber": str(FIRST_SEQUENCE),
                        "data": "aGVsbG8=",
                        "approximateArrivalTimestamp": BEGIN + 0.123,
                    },
                    "eventSource": "aws:kinesis",
                    "eventVersion": "1.0",
                    "eventID": f"{SHARD}:{FIRST_SEQUENCE}",
                    "eventName": "aws:kinesis:record",
                    "invokeIdentityArn": events[0]["Records"][0]["invokeIdentityArn"],
                    "awsRegion": "us-east-1",
                    "eventSourceARN": STREAM,
                }
            ]
        }
    ]


def test_an_invocation_is_heard_when_it_ends() -> None:
    heard: list[Invocation] = []
    simulation = Simulation(
        mapping(), {SHARD: puts(1)}, lambda *_: (InvocationResponse(), 2.0), heard=heard.append, begin=BEGIN
    )
    simulation.run()
    assert [(one.at, len(one.batch.records)) for one in heard] == [(BEGIN + 2.0, 1)]
    assert simulation.invocations == 1
