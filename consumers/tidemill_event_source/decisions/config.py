"""The options of an event source mapping, with AWS's defaults and ranges.

Room: event source, pure. Options as in
https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from tidemill_event_source.decisions.pattern import InvalidPattern, Pattern, parse_pattern
from tidemill_event_source.shard_reader import Horizon

FOREVER = -1
"""No limit, where a limit is a number: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html."""

ROLE = "arn:aws:iam::000000000000:role/tidemill-local"
"""The role that a Kinesis event names where nobody knows the function's own."""

EVENT_COUNT = ["EventCount"]
"""The metrics that MetricsConfig may ask for:
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html#event-source-mapping-metrics."""

MAX_FILTERS = 10
"""Five without asking, ten "if you request a quota increase"."""

_RANGES = {
    "BatchSize": ("batch_size", 1, 10_000),
    "MaximumBatchingWindowInSeconds": ("window", 0, 300),
    "ParallelizationFactor": ("parallelization_factor", 1, 10),
    "MaximumRetryAttempts": ("maximum_retry_attempts", -1, 10_000),
    "MaximumRecordAgeInSeconds": ("maximum_record_age", -1, 604_800),
    "TumblingWindowInSeconds": ("tumbling_window", 0, 900),
}

_IGNORED = {"Enabled", "EventSourceArn", "FunctionName", "Tags"}
"""No options of delivery: left to whoever runs the mapping."""

_KNOWN = _IGNORED | {
    *_RANGES,
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "FilterCriteria",
    "FunctionResponseTypes",
    "KMSKeyArn",
    "MetricsConfig",
    "StartingPosition",
    "StartingPositionTimestamp",
}


MAX_PATTERN = 4_096
"""Characters: https://docs.aws.amazon.com/lambda/latest/api/API_Filter.html."""

DESTINATIONS = ("sqs", "sns", "s3")
"""The services that can be told of discarded batches."""


class InvalidMapping(ValueError):
    """The mapping cannot be; the message names the option."""


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """The settings of an event source mapping. The defaults are AWS's.

    Attributes:
        stream_arn: a Kinesis stream, one of its registered consumers, or a table's DynamoDB stream. A consumer's
            stream is read as any, with the reads that all readers share.
        function_arn: the function, as failure messages name it.
        role_arn: the function's role, as events name it; nothing is assumed.
        uuid: the mapping's own id, as failure objects in S3 name it.
        starting_position: where shards are begun that exist when the mapping first runs; later ones are
            begun at their oldest record.
        starting_timestamp: seconds since 1970, with AT_TIMESTAMP.
        batch_size: records per invocation at most, 1 to 10,000.
        window: seconds that a batch may take to fill, 0 to 300.
        parallelization_factor: batches per shard at once, 1 to 10; records of one partition key stay in order.
        maximum_retry_attempts: retries of a failing batch before it is discarded; -1 for no limit.
        maximum_record_age: seconds after which a record is discarded, 60 to 604,800; -1 for no limit.
        bisect_batch_on_function_error: whether a failing batch is tried again in halves.
        tumbling_window: seconds of a window with state, 0 to 900; 0 for none.
        filters: patterns, any of which lets a record through; none lets all through.
        report_batch_item_failures: whether the function's answer says from where to deliver again.
        on_failure: the ARN of an SQS queue, an SNS topic or an S3 bucket that is told of discarded batches.

    Raises:
        InvalidMapping: an option out of its range, or two that exclude each other.
    """

    stream_arn: str
    function_arn: str = ""
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    starting_position: Horizon = "TRIM_HORIZON"
    starting_timestamp: float | None = None
    batch_size: int = 100
    window: float = 0.0
    parallelization_factor: int = 1
    maximum_retry_attempts: int = FOREVER
    maximum_record_age: float = FOREVER
    bisect_batch_on_function_error: bool = False
    tumbling_window: int = 0
    filters: tuple[Pattern, ...] = ()
    report_batch_item_failures: bool = False
    on_failure: str | None = None
    role_arn: str = ROLE

    def __post_init__(self) -> None:
        for name, (attribute, least, most) in _RANGES.items():
            value = getattr(self, attribute)
            if not least <= value <= most:
                raise InvalidMapping(f"{name}: {value} is not from {least} to {most}")
        # "Although values less than 60 and greater than -1 fall within the parameter's absolute range, they
        # are not allowed": https://docs.aws.amazon.com/lambda/latest/api/API_EventSourceMappingConfiguration.html
        if self.maximum_record_age != FOREVER and self.maximum_record_age < 60:
            raise InvalidMapping(f"MaximumRecordAgeInSeconds: {self.maximum_record_age} is neither -1 nor 60 or more")
        if self.starting_position not in get_args(Horizon):
            raise InvalidMapping(f"StartingPosition: {self.starting_position!r} is none")
        if (self.starting_position == "AT_TIMESTAMP") != (self.starting_timestamp is not None):
            raise InvalidMapping("StartingPositionTimestamp goes with AT_TIMESTAMP, and AT_TIMESTAMP with it")
        if self.service == "dynamodb" and self.starting_position == "AT_TIMESTAMP":
            # "AT_TIMESTAMP is supported only for Amazon Kinesis streams, …":
            # https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html
            raise InvalidMapping("StartingPosition: a table's stream has no AT_TIMESTAMP")
        if self.on_failure and destination_service(self.on_failure) not in DESTINATIONS:
            raise InvalidMapping(
                f"DestinationConfig: {self.on_failure!r} is neither an SQS queue nor an SNS topic nor an S3 bucket"
            )
        if self.tumbling_window and self.parallelization_factor > 1:
            # "Your state can be a maximum of 1 MB per shard": one state, so one batch at a time.
            raise InvalidMapping("TumblingWindowInSeconds: needs a ParallelizationFactor of 1")
        if len(self.filters) > MAX_FILTERS:
            raise InvalidMapping(f"FilterCriteria: more than {MAX_FILTERS} filters")

    @property
    def service(self) -> str:
        """The stream's service: `kinesis` or `dynamodb`."""
        return self.stream_arn.split(":")[2]

    @property
    def source_arn(self) -> str:
        """The ARN of the stream that is read, also where the mapping names a registered consumer."""
        return self.stream_arn.partition("/consumer/")[0]

    @property
    def region(self) -> str:
        """The stream's region."""
        return self.stream_arn.split(":")[3]


def destination_service(arn: str) -> str:
    """The service of a destination's ARN; empty where the text is no ARN."""
    return arn.split(":")[2] if arn.startswith("arn:") and arn.count(":") >= 5 else ""


def parse(
    properties: Mapping[str, Any],
    *,
    function_arn: str = "",
    mapping_id: str | None = None,
    role_arn: str = ROLE,
) -> MappingConfig:
    """The mapping that the properties of an AWS::Lambda::EventSourceMapping, or of the API's call, describe.

    Args:
        properties: as in a template, every reference resolved; numbers and flags may be text.
        function_arn: the function's ARN, where FunctionName is not one.
        mapping_id: the mapping's UUID; a new one by default.
        role_arn: the function's role.

    Raises:
        InvalidMapping: an option that is not known, or out of its range.
    """
    if unknown := sorted(properties.keys() - _KNOWN):
        raise InvalidMapping(f"{', '.join(unknown)}: not an option of a stream's mapping")
    if properties.get("StartingPosition") is None:
        # In the words of AWS.
        raise InvalidMapping(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
            "Member must not be null."
        )
    numbers = {
        attribute: _integer(name, properties[name])
        for name, (attribute, _, _) in _RANGES.items()
        if properties.get(name) is not None
    }
    responses = properties.get("FunctionResponseTypes") or []
    if responses not in ([], ["ReportBatchItemFailures"]):
        raise InvalidMapping(f"FunctionResponseTypes: {responses!r} is not [ReportBatchItemFailures]")
    _check_metrics(properties.get("MetricsConfig"))
    service = str(properties["EventSourceArn"]).split(":")[2]
    return MappingConfig(
        stream_arn=properties["EventSourceArn"],
        function_arn=function_arn or properties["FunctionName"],
        uuid=mapping_id or str(uuid.uuid4()),
        role_arn=role_arn,
        starting_position=properties["StartingPosition"],
        starting_timestamp=_timestamp(properties.get("StartingPositionTimestamp")),
        bisect_batch_on_function_error=_flag(properties.get("BisectBatchOnFunctionError")),
        filters=_filters(properties.get("FilterCriteria"), service),
        report_batch_item_failures=bool(responses),
        on_failure=((properties.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination"),
        **numbers,
    )


def _check_metrics(asked: Any) -> None:
    """Refuse metrics that a stream's mapping does not have; whoever runs it publishes those of its events."""
    metrics = asked.get("Metrics", []) if isinstance(asked, Mapping) else asked
    if metrics not in (EVENT_COUNT, [], None):
        raise InvalidMapping(f"MetricsConfig: {asked!r} is not {{'Metrics': {EVENT_COUNT}}}")


def _integer(name: str, value: Any) -> int:
    try:
        return int(str(value))  # as text, for 1.5 must not become 1, nor true
    except ValueError:
        raise InvalidMapping(f"{name}: {value!r} is not a whole number") from None


def _flag(value: Any) -> bool:
    return str(value).lower() == "true"


def _timestamp(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.timestamp()
    try:
        # A template has a number, or its text; somebody who types has ISO 8601.
        return float(value)
    except ValueError:
        return _iso_timestamp(value)


def _iso_timestamp(text: str) -> float:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidMapping(f"StartingPositionTimestamp: {text!r} is no time") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _filters(criteria: Mapping[str, Any] | None, service: str) -> tuple[Pattern, ...]:
    patterns = [_filter(one.get("Pattern"), service) for one in (criteria or {}).get("Filters") or []]
    return tuple(patterns)


def _filter(text: Any, service: str) -> Pattern:
    if isinstance(text, str) and len(text) > MAX_PATTERN:
        raise InvalidMapping(f"FilterCriteria: a pattern of more than {MAX_PATTERN} characters")
    try:
        document = json.loads(text)
        # "Kinesis event source mappings only support filtering on the data key":
        # https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html
        if service == "kinesis" and isinstance(document, dict) and document.keys() - {"data"}:
            raise InvalidMapping("FilterCriteria: Kinesis supports filtering on the data key only")
        return parse_pattern(document)
    except (TypeError, json.JSONDecodeError):
        raise InvalidMapping(f"FilterCriteria: the pattern is not JSON: {text!r:.100}") from None
    except InvalidPattern as error:
        raise InvalidMapping(f"FilterCriteria: {error}") from None
