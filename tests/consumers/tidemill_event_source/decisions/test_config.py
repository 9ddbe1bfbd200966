"""What a mapping can be told: AWS's defaults, its ranges, and what is refused."""

import dataclasses
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tidemill_event_source.decisions.config import (
    DESTINATIONS,
    FOREVER,
    MAX_FILTERS,
    MAX_PATTERN,
    InvalidMapping,
    MappingConfig,
    destination_service,
    parse,
)

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/requests"
TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/entities/stream/2025-11-25T00:00:00.000"
FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:apply"
QUEUE = "arn:aws:sqs:us-east-1:111122223333:failed"

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC).timestamp()


def mapping(**options: Any) -> MappingConfig:
    given = {"EventSourceArn": STREAM, "FunctionName": FUNCTION, "StartingPosition": "TRIM_HORIZON", **options}
    return parse(given)


def filtered(*patterns: Any, **options: Any) -> MappingConfig:
    filters = [{"Pattern": one if isinstance(one, str) else json.dumps(one)} for one in patterns]
    return mapping(FilterCriteria={"Filters": filters}, **options)


def test_the_defaults_are_those_of_aws() -> None:
    config = mapping()
    assert dataclasses.asdict(config) == {
        "stream_arn": STREAM,
        "function_arn": FUNCTION,
        "uuid": config.uuid,
        "starting_position": "TRIM_HORIZON",
        "starting_timestamp": None,
        "batch_size": 100,
        "window": 0,
        "parallelization_factor": 1,
        "maximum_retry_attempts": -1,
        "maximum_record_age": -1,
        "bisect_batch_on_function_error": False,
        "tumbling_window": 0,
        "filters": (),
        "report_batch_item_failures": False,
        "on_failure": None,
        "role_arn": "arn:aws:iam::000000000000:role/tidemill-local",
    }


def test_one_made_by_hand_has_the_same_defaults() -> None:
    assert MappingConfig(STREAM, FUNCTION, uuid="u") == dataclasses.replace(mapping(), uuid="u")


def test_all_options_are_taken_over() -> None:
    config = parse(
        {
            "EventSourceArn": STREAM,
            "FunctionName": "apply",
            "StartingPosition": "AT_TIMESTAMP",
            "StartingPositionTimestamp": NOON,
            "BatchSize": 7,
            "MaximumBatchingWindowInSeconds": 8,
            "ParallelizationFactor": 9,
            "MaximumRetryAttempts": 10,
            "MaximumRecordAgeInSeconds": 61,
            "BisectBatchOnFunctionError": True,
            "FilterCriteria": {"Filters": [{"Pattern": '{"data": {"a": [1]}}'}, {"Pattern": '{"data": {"a": [2]}}'}]},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Destination": QUEUE}},
            "Enabled": True,
            "Tags": {"a": "b"},
        },
        function_arn=FUNCTION,
        mapping_id="the-uuid",
        role_arn="arn:aws:iam::111122223333:role/apply",
    )
    assert [pattern.matches({"data": {"a": 2}}) for pattern in config.filters] == [False, True]
    assert dataclasses.replace(config, filters=()) == MappingConfig(
        STREAM,
        FUNCTION,
        uuid="the-uuid",
        starting_position="AT_TIMESTAMP",
        starting_timestamp=NOON,
        batch_size=7,
        window=8,
        parallelization_factor=9,
        maximum_retry_attempts=10,
        maximum_record_age=61,
        bisect_batch_on_function_error=True,
        report_batch_item_failures=True,
        on_failure=QUEUE,
        role_arn="arn:aws:iam::111122223333:role/apply",
    )


def test_a_tumbling_window_is_taken_over() -> None:
    assert mapping(TumblingWindowInSeconds=30).tumbling_window == 30


def test_each_mapping_has_an_id_of_its_own() -> None:
    assert mapping().uuid != mapping().uuid


@pytest.mark.parametrize(
    ("arn", "service", "region"), [(STREAM, "kinesis", "us-east-1"), (TABLE, "dynamodb", "eu-west-1")]
)
def test_the_stream_tells_its_service_and_region(arn: str, service: str, region: str) -> None:
    config = mapping(EventSourceArn=arn)
    assert (config.service, config.region) == (service, region)


# https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
RANGES = {
    "BatchSize": ("batch_size", 1, 10_000),
    "MaximumBatchingWindowInSeconds": ("window", 0, 300),
    "ParallelizationFactor": ("parallelization_factor", 1, 10),
    "MaximumRetryAttempts": ("maximum_retry_attempts", -1, 10_000),
    "MaximumRecordAgeInSeconds": ("maximum_record_age", -1, 604_800),
    "TumblingWindowInSeconds": ("tumbling_window", 0, 900),
}


@pytest.mark.parametrize(
    ("option", "attribute", "value"),
    [(option, attribute, edge) for option, (attribute, *edges) in RANGES.items() for edge in edges]
    + [("MaximumRecordAgeInSeconds", "maximum_record_age", 60), ("MaximumRetryAttempts", "maximum_retry_attempts", 0)],
)
def test_a_range_holds_its_edges(option: str, attribute: str, value: int) -> None:
    assert getattr(mapping(**{option: value}), attribute) == value


@pytest.mark.parametrize(
    ("option", "value"),
    [(option, value) for option, (_, least, most) in RANGES.items() for value in (least - 1, most + 1)],
)
def test_and_nothing_beyond(option: str, value: int) -> None:
    with pytest.raises(InvalidMapping, match=f"^{option}: {value} is not from "):
        mapping(**{option: value})


@pytest.mark.parametrize("seconds", [0, 1, 59])
def test_a_record_age_of_less_than_a_minute_is_refused(seconds: int) -> None:
    with pytest.raises(InvalidMapping, match=f"^MaximumRecordAgeInSeconds: {seconds} is neither -1 nor 60 or more"):
        mapping(MaximumRecordAgeInSeconds=seconds)


def test_one_made_by_hand_is_checked_too() -> None:
    with pytest.raises(InvalidMapping, match=r"^BatchSize: 0 is not from 1 to 10000"):
        MappingConfig(STREAM, batch_size=0)


@pytest.mark.parametrize("option", RANGES)
def test_a_templates_number_may_be_text(option: str) -> None:
    attribute, _, most = RANGES[option]
    assert getattr(mapping(**{option: str(most)}), attribute) == most


def test_so_may_its_no_limit() -> None:
    assert mapping(MaximumRetryAttempts="-1").maximum_retry_attempts == -1


@pytest.mark.parametrize("value", ["many", "", "1.5", 1.5, True, [1], {"Ref": "Size"}])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidMapping, match=r"^BatchSize: .* is not a whole number$"):
        mapping(BatchSize=value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), ("true", True), ("false", False), ("True", True), ("False", False), (None, False)],
)
def test_a_templates_flag_may_be_text(value: Any, expected: bool) -> None:
    assert mapping(BisectBatchOnFunctionError=value).bisect_batch_on_function_error is expected


@pytest.mark.parametrize(
    "option",
    [*RANGES, "StartingPositionTimestamp", "FilterCriteria", "FunctionResponseTypes", "DestinationConfig"],
)
def test_null_is_the_default(option: str) -> None:
    assert dataclasses.replace(mapping(**{option: None}), uuid="u") == dataclasses.replace(mapping(), uuid="u")


@pytest.mark.parametrize("given", [{}, {"StartingPosition": None}])
def test_a_missing_starting_position_is_refused_in_the_words_of_aws(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidMapping) as refused:
        parse({"EventSourceArn": STREAM, "FunctionName": FUNCTION, **given})
    assert str(refused.value) == (
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
        "Member must not be null."
    )


@pytest.mark.parametrize("position", ["TRIM_HORIZON", "LATEST"])
def test_it_may_begin_at_either_end(position: str) -> None:
    assert mapping(StartingPosition=position).starting_position == position


@pytest.mark.parametrize("position", ["", "latest", "AFTER_SEQUENCE_NUMBER"])
def test_it_begins_nowhere_else(position: str) -> None:
    with pytest.raises(InvalidMapping, match=f"^StartingPosition: '{position}' is none"):
        mapping(StartingPosition=position)


@pytest.mark.parametrize(
    "at",
    [
        NOON,
        int(NOON),
        str(NOON),
        "2025-11-25T12:00:00Z",
        "2025-11-25T12:00:00",
        "2025-11-25T13:00:00+01:00",
        datetime(2025, 11, 25, 12, tzinfo=UTC),
        datetime(2025, 11, 25, 14, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_to_begin_at_may_be_a_number_or_text_or_a_datetime(at: Any) -> None:
    config = mapping(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=at)
    assert config.starting_timestamp == NOON


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nine hours ahead."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("tokyo")
def test_a_time_without_a_zone_is_utc_wherever_it_is_read() -> None:
    config = mapping(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp="2025-11-25T12:00:00")
    assert config.starting_timestamp == NOON


@pytest.mark.parametrize("at", ["noon", "2025-13-01", ""])
def test_what_is_no_time_is_refused(at: str) -> None:
    with pytest.raises(InvalidMapping, match=f"^StartingPositionTimestamp: '{at}' is no time"):
        mapping(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=at)


@pytest.mark.parametrize(
    "options",
    [
        {"StartingPosition": "AT_TIMESTAMP"},
        {"StartingPosition": "LATEST", "StartingPositionTimestamp": NOON},
        {"StartingPosition": "TRIM_HORIZON", "StartingPositionTimestamp": 0},
    ],
)
def test_a_time_goes_with_at_timestamp_and_at_timestamp_with_it(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidMapping, match=r"^StartingPositionTimestamp goes with AT_TIMESTAMP"):
        mapping(**options)


def test_a_tables_stream_is_begun_at_no_time() -> None:
    with pytest.raises(InvalidMapping, match=r"^StartingPosition: a table's stream has no AT_TIMESTAMP$"):
        mapping(EventSourceArn=TABLE, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=NOON)
    for position in ("LATEST", "TRIM_HORIZON"):
        assert mapping(EventSourceArn=TABLE, StartingPosition=position).starting_position == position


def test_a_tumbling_window_excludes_several_batches_at_once() -> None:
    with pytest.raises(InvalidMapping, match=r"^TumblingWindowInSeconds: needs a ParallelizationFactor of 1"):
        mapping(TumblingWindowInSeconds=1, ParallelizationFactor=2)


def test_what_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(InvalidMapping, match=r"^Queues, Topics: not an option of a stream's mapping"):
        mapping(Queues=["q"], Topics=["t"])


@pytest.mark.parametrize("metrics", [{"Metrics": ["EventCount"]}, {"Metrics": []}, {}, None])
def test_metrics_of_events_may_be_asked_for(metrics: Any) -> None:
    mapping(MetricsConfig=metrics, KMSKeyArn="arn:aws:kms:us-east-1:000000000000:key/1")


@pytest.mark.parametrize("metrics", [{"Metrics": ["ErrorCount"]}, {"Metrics": "EventCount"}, "on"])
def test_other_metrics_are_refused(metrics: Any) -> None:
    with pytest.raises(InvalidMapping, match=r"^MetricsConfig: .* is not \{'Metrics': \['EventCount'\]\}"):
        mapping(MetricsConfig=metrics)


def test_a_consumers_stream_is_what_is_read() -> None:
    assert mapping(EventSourceArn=f"{STREAM}/consumer/fan:1764000000").source_arn == STREAM
    assert mapping().source_arn == STREAM


@pytest.mark.parametrize("types", [["ReportEverything"], "ReportBatchItemFailures", ["ReportBatchItemFailures", "x"]])
def test_a_response_type_that_is_not_known_is_refused(types: Any) -> None:
    with pytest.raises(InvalidMapping, match=r"^FunctionResponseTypes: "):
        mapping(FunctionResponseTypes=types)


@pytest.mark.parametrize("config", [{}, {"OnFailure": {}}, {"OnFailure": None}])
def test_a_destination_may_be_none(config: Any) -> None:
    assert mapping(DestinationConfig=config).on_failure is None


@pytest.mark.parametrize("service", ["sqs", "sns", "s3"])
def test_a_destination_is_a_queue_a_topic_or_a_bucket(service: str) -> None:
    arn = f"arn:aws:{service}:us-east-1:111122223333:failed"
    assert mapping(DestinationConfig={"OnFailure": {"Destination": arn}}).on_failure == arn


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:lambda:us-east-1:111122223333:function:failed",
        "arn:aws:kafka:us-east-1:111122223333:cluster/c",
        "https://sqs.us-east-1.amazonaws.com/111122223333/failed",
        "arn:aws:sqs",
        "arn:aws:sqs:us-east-1:111122223333",
        "a:b:sqs:c:d:e",
        "failed",
    ],
)
def test_another_destination_is_refused_by_name(arn: str) -> None:
    with pytest.raises(InvalidMapping, match=rf"^DestinationConfig: '{arn}' is neither an SQS queue nor an SNS topic"):
        mapping(DestinationConfig={"OnFailure": {"Destination": arn}})


@pytest.mark.parametrize(
    ("arn", "service"),
    [(QUEUE, "sqs"), (FUNCTION, "lambda"), ("arn:aws:s3:::failed", "s3"), ("arn:aws:sqs:a:b", ""), ("failed", "")],
)
def test_a_destinations_service_stands_in_its_arn(arn: str, service: str) -> None:
    assert destination_service(arn) == service


@pytest.mark.parametrize("criteria", [{}, {"Filters": []}, {"Filters": None}])
def test_criteria_may_be_none(criteria: Any) -> None:
    assert mapping(FilterCriteria=criteria).filters == ()


def test_a_kinesis_filter_is_on_the_data_key() -> None:
    (pattern,) = filtered({"data": {"event_type": ["function_1"]}}).filters
    assert pattern.matches({"data": {"event_type": "function_1"}})
    assert not pattern.matches({"data": {"event_type": "function_2"}})


@pytest.mark.parametrize(
    "pattern",
    [
        {"partitionKey": ["1"]},
        {"data": {"a": [1]}, "partitionKey": ["1"]},
        {"kinesis": {"data": {"a": [1]}}},
    ],
)
def test_and_on_no_other(pattern: Any) -> None:
    """ "Kinesis event source mappings only support filtering on the data key"."""
    with pytest.raises(InvalidMapping, match=r"^FilterCriteria: Kinesis supports filtering on the data key only"):
        filtered(pattern)


def test_a_tables_filter_is_on_any_key() -> None:
    (pattern,) = filtered(
        {"eventName": ["INSERT"], "dynamodb": {"Keys": {"id": {"S": ["1"]}}}}, EventSourceArn=TABLE
    ).filters
    assert pattern.matches({"eventName": "INSERT", "dynamodb": {"Keys": {"id": {"S": "1"}}}})


def test_there_may_be_ten_filters() -> None:
    assert len(filtered(*[{"data": {"a": [number]}} for number in range(10)]).filters) == 10
    with pytest.raises(InvalidMapping, match=r"^FilterCriteria: more than 10 filters"):
        filtered(*[{"data": {"a": [number]}} for number in range(11)])


@pytest.mark.parametrize("pattern", ["", "data", "{'data': {}}", '{"data": {"a": [1]}'])
def test_a_pattern_that_is_no_json_is_refused(pattern: str) -> None:
    """ "Lambda throws an exception at the time of the event source mapping creation or update"."""
    with pytest.raises(InvalidMapping, match=r"^FilterCriteria: the pattern is not JSON"):
        filtered(pattern)


@pytest.mark.parametrize("one", [{}, {"Pattern": None}, {"Pattern": {"data": {"a": [1]}}}])
def test_so_is_one_that_is_no_text(one: Any) -> None:
    with pytest.raises(InvalidMapping, match=r"^FilterCriteria: the pattern is not JSON"):
        mapping(FilterCriteria={"Filters": [one]})


@pytest.mark.parametrize("pattern", [{}, [], {"data": {}}, {"data": {"a": [{"wildcard": "x*"}]}}, "1"])
def test_a_pattern_that_is_none_is_refused(pattern: Any) -> None:
    with pytest.raises(InvalidMapping, match=r"^FilterCriteria: the pattern(:| must)"):
        filtered(pattern)


def test_a_pattern_of_more_characters_than_aws_takes_is_refused() -> None:
    around = len(json.dumps({"data": {"a": [""]}}))
    longest, longer = (json.dumps({"data": {"a": ["x" * (size - around)]}}) for size in (4_096, 4_097))
    assert filtered(longest).filters[0].matches({"data": {"a": "x" * (4_096 - around)}})
    with pytest.raises(InvalidMapping, match=r"^FilterCriteria: a pattern of more than 4096 characters$"):
        filtered(longer)


def test_the_limits_are_those_of_lambda() -> None:
    assert (FOREVER, MAX_FILTERS, MAX_PATTERN, DESTINATIONS) == (-1, 10, 4_096, ("sqs", "sns", "s3"))
