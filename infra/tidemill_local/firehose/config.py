"""The configuration of a delivery stream in the template, and the names of its objects.

Room: local platform, pure. Properties that Firehose supports and this delivery stream does not are refused at start.
Tests: tests/infra/tidemill_local/firehose/test_delivery_stream.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from tidemill_local.patches.provisioning import RUN_BESIDE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ERROR_TYPE = "processing-failed"
"""The value of `!{firehose:error-output-type}` for records that could not be processed."""

VERSION = 1
"""The delivery stream's version in object names: AWS raises it with each change; here it stays the same."""

_MIB = 1024 * 1024
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_DEFAULT_TIME = "!{timestamp:yyyy/MM/dd/HH/}"
_ERROR_TYPE_EXPRESSION = "!{firehose:error-output-type}"
_EXPRESSION = re.compile(r"!\{([^{}:]*):([^{}]*)\}")
# Java's DateTimeFormatter: quoted text, a run of one letter, anything else as it stands.
_PATTERN_PART = re.compile(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z'])")
_DATE_LETTERS = {
    "yyyy": "%Y",
    "yy": "%y",
    "MM": "%m",
    "dd": "%d",
    "DDD": "%j",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
}


class UnsupportedDeliveryError(ValueError):
    """A property of the delivery stream is wrong or not supported locally; the message names it."""


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """A delivery stream that reads a Kinesis stream and writes to S3.

    Attributes:
        name: its name, which begins the objects' names.
        stream_arn: the Kinesis stream it reads.
        bucket: the bucket's name.
        prefix: where records go, with `!{…}` expressions in it.
        error_prefix: where records go that cannot be processed.
        interval: seconds after which a buffer is delivered, 0-900.
        size: bytes, before compression, at which a buffer is delivered.
        compress: whether objects are gzip.
        extension: the end of the objects' names.
        delimiter: what is appended to each record.
    """

    name: str
    stream_arn: str
    bucket: str
    prefix: str
    error_prefix: str
    interval: float
    size: int
    compress: bool
    extension: str
    delimiter: bytes


def parse(properties: Mapping[str, Any]) -> DeliveryConfig:
    """The resolved properties of an AWS::KinesisFirehose::DeliveryStream; numbers may be strings.

    Raises:
        UnsupportedDeliveryError: a property is missing, malformed, unknown or not supported locally.
    """
    try:
        stream = msgspec.convert(properties, _DeliveryStream, strict=False)
    except msgspec.ValidationError as error:
        raise UnsupportedDeliveryError(f"delivery stream: {error}") from None
    destination = stream.destination
    hints = destination.hints
    compress = destination.compression == "GZIP"
    prefix, error_prefix = _prefixes(destination.prefix, destination.error_prefix)
    return DeliveryConfig(
        name=stream.name,
        stream_arn=stream.source.stream_arn,
        bucket=destination.bucket_arn.rpartition(":")[2],
        prefix=prefix,
        error_prefix=error_prefix,
        interval=hints.interval,
        size=hints.size * _MIB,
        compress=compress,
        extension=destination.extension or (".gz" if compress else ""),
        delimiter=_delimiter(destination.processing),
    )


def as_call(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of CreateDeliveryStream for the resource, with the tag that it is run beside the emulator."""
    destination = dict(properties["ExtendedS3DestinationConfiguration"])
    if "BufferingHints" in destination:
        destination["BufferingHints"] = {name: int(value) for name, value in destination["BufferingHints"].items()}
    if "ProcessingConfiguration" in destination:
        enabled = str(destination["ProcessingConfiguration"].get("Enabled")).lower() == "true"
        destination["ProcessingConfiguration"] = {**destination["ProcessingConfiguration"], "Enabled": enabled}
    tags = [*properties.get("Tags", ()), {"Key": RUN_BESIDE, "Value": "true"}]
    return {**properties, "ExtendedS3DestinationConfiguration": destination, "Tags": tags}


def object_name(
    config: DeliveryConfig, prefix: str, oldest: datetime, unique: str, random_string: Callable[[], str]
) -> str:
    """The key of an object whose oldest record arrived at `oldest`.

    https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html
    """
    time = oldest.astimezone(UTC)
    return (
        f"{evaluate(prefix, time, random_string)}{config.name}-{VERSION}-{time:%Y-%m-%d-%H-%M-%S}"
        f"-{unique}{config.extension}"
    )


def evaluate(prefix: str, time: datetime, random_string: Callable[[], str]) -> str:
    """The prefix with its `!{…}` expressions replaced; each random string is a new one.

    https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html

    Raises:
        UnsupportedDeliveryError: an expression that is unknown or not supported locally.
    """

    def value(match: re.Match[str]) -> str:
        match match.groups():
            case "timestamp", pattern:
                return _formatted(time, pattern)
            case "firehose", "error-output-type":
                return ERROR_TYPE
            case "firehose", "random-string":
                return random_string()
        raise UnsupportedDeliveryError(f"{match[0]} in a prefix is not supported locally")

    if "!{" in _EXPRESSION.sub("", prefix):
        raise UnsupportedDeliveryError(f"{prefix!r}: an expression has the form !{{namespace:value}}")
    return _EXPRESSION.sub(value, prefix)


def _formatted(time: datetime, pattern: str) -> str:
    if _PATTERN_PART.sub("", pattern):
        raise UnsupportedDeliveryError(f"!{{timestamp:{pattern}}}: a quote is not closed")
    return _PATTERN_PART.sub(lambda part: _date_part(time, part, pattern), pattern)


def _date_part(time: datetime, part: re.Match[str], pattern: str) -> str:
    quoted, letters, _, other = part.groups()
    if letters is None:
        return other or quoted.replace("''", "'") or "'"
    if letters not in _DATE_LETTERS:
        hint = " (Y is the year of the week; the year is yyyy)" if "Y" in letters else ""
        known = ", ".join(_DATE_LETTERS)
        raise UnsupportedDeliveryError(f"!{{timestamp:{pattern}}}: not {letters}{hint}, only {known} locally")
    return time.strftime(_DATE_LETTERS[letters])


def _prefixes(prefix: str, error_prefix: str) -> tuple[str, str]:
    dynamic = "!{" in prefix
    if _ERROR_TYPE_EXPRESSION in prefix:
        raise UnsupportedDeliveryError(f"{_ERROR_TYPE_EXPRESSION} belongs in ErrorOutputPrefix, not in Prefix")
    if (dynamic or error_prefix) and _ERROR_TYPE_EXPRESSION not in error_prefix:
        raise UnsupportedDeliveryError(f"ErrorOutputPrefix must contain {_ERROR_TYPE_EXPRESSION}")
    prefixes = (
        prefix if dynamic else prefix + _DEFAULT_TIME,
        error_prefix or f"{prefix}{_ERROR_TYPE_EXPRESSION}/{_DEFAULT_TIME}",
    )
    for each in prefixes:
        evaluate(each, _ANY_TIME, str)
    return prefixes


def _delimiter(processing: _Processing | None) -> bytes:
    if processing is None or not processing.enabled:
        return b""
    appended = b""
    for processor in processing.processors:
        for parameter in processor.parameters:
            # The template writes a line feed in the form of AWS's API: a backslash and an n.
            appended = parameter.value.replace("\\n", "\n").encode()
    return appended


class _Properties(msgspec.Struct, forbid_unknown_fields=True, rename="pascal", frozen=True):
    """Refuses properties that are not listed, which would otherwise be ignored silently."""


class _Source(_Properties, frozen=True):
    stream_arn: str = msgspec.field(name="KinesisStreamARN")
    role_arn: str = msgspec.field(name="RoleARN", default="")


class _Hints(_Properties, frozen=True):
    interval: Annotated[int, msgspec.Meta(ge=0, le=900)] = msgspec.field(name="IntervalInSeconds", default=300)
    size: Annotated[int, msgspec.Meta(ge=1, le=128)] = msgspec.field(name="SizeInMBs", default=5)


class _Parameter(_Properties, frozen=True):
    name: Literal["Delimiter"] = msgspec.field(name="ParameterName")
    value: str = msgspec.field(name="ParameterValue")


class _Processor(_Properties, frozen=True):
    type: Literal["AppendDelimiterToRecord"]
    parameters: tuple[_Parameter, ...] = ()


class _Processing(_Properties, frozen=True):
    enabled: bool = False
    processors: tuple[_Processor, ...] = ()


class _Destination(_Properties, frozen=True):
    bucket_arn: Annotated[str, msgspec.Meta(pattern=r"^arn:[\w-]+:s3:::.+$")] = msgspec.field(name="BucketARN")
    role_arn: str = msgspec.field(name="RoleARN", default="")
    prefix: str = ""
    error_prefix: str = msgspec.field(name="ErrorOutputPrefix", default="")
    hints: _Hints = msgspec.field(name="BufferingHints", default=_Hints())
    compression: Literal["GZIP", "UNCOMPRESSED"] = msgspec.field(name="CompressionFormat", default="UNCOMPRESSED")
    extension: Annotated[str, msgspec.Meta(pattern=r"^$|^\.[0-9a-z!\-_.*'()]+$")] = msgspec.field(
        name="FileExtension", default=""
    )
    processing: _Processing | None = msgspec.field(name="ProcessingConfiguration", default=None)
    time_zone: Literal["UTC"] = msgspec.field(name="CustomTimeZone", default="UTC")
    backup: Literal["Disabled"] = msgspec.field(name="S3BackupMode", default="Disabled")
    # These two do not change the objects: the local platform logs in its own way and encrypts nothing.
    logging: dict[str, Any] = msgspec.field(name="CloudWatchLoggingOptions", default_factory=dict)
    encryption: dict[str, Any] = msgspec.field(name="EncryptionConfiguration", default_factory=dict)


class _DeliveryStream(_Properties, frozen=True):
    source: _Source = msgspec.field(name="KinesisStreamSourceConfiguration")
    destination: _Destination = msgspec.field(name="ExtendedS3DestinationConfiguration")
    name: str = msgspec.field(name="DeliveryStreamName", default="delivery-stream")
    type: Literal["KinesisStreamAsSource"] = msgspec.field(name="DeliveryStreamType", default="KinesisStreamAsSource")
    tags: tuple[dict[str, str], ...] = ()
