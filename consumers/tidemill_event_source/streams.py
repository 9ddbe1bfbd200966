"""Where records come from: the shards of a Kinesis stream, or of a table's DynamoDB stream.

Room: event source, I/O.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from tidemill_event_source.decisions.checkpoint import Start
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Render, dynamodb_event, kinesis_renderer
from tidemill_event_source.shard_reader import Page, ShardReader, StreamRecord, listed_shards

if TYPE_CHECKING:
    from types_boto3_dynamodbstreams import DynamoDBStreamsClient
    from types_boto3_dynamodbstreams.type_defs import RecordTypeDef
    from types_boto3_kinesis import KinesisClient

DYNAMODB_READ_LIMIT = 1_000
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html"""


LEAST_SKEW = 2.0
"""Seconds below which two clocks are taken for one: `Date` counts whole ones."""

_NOT_BY_NAME = ("ResourceNotFoundException", "AccessDeniedException")
"""Codes of the refusal of a name whose stream is another account's."""


class Reader(Protocol):
    """A position in a shard that moves forward as it is read."""

    def read(self, limit: int) -> Page:
        """The next records, at most `limit`; after an error the position has not moved."""


class Stream(Protocol):
    """A stream's shards."""

    @property
    def render(self) -> Render:
        """Gives a record its form in the event."""

    @property
    def skew(self) -> float:
        """Seconds by which the stream's clock is ahead of this machine's, as of the last `identity`."""

    def identity(self) -> str:
        """What tells this stream from an earlier one of the same name."""

    def shards(self) -> Mapping[str, Sequence[str]]:
        """Each shard's id and its parents' ids."""

    def reader(self, shard: str, start: Start, after: str | None) -> Reader:
        """A reader behind the sequence number `after`, or where `start` says."""


def stream_of(config: MappingConfig, client: Any) -> Stream:
    """The mapping's stream, read with a boto3 client of its service: `kinesis` or `dynamodbstreams`."""
    return KinesisStream(client, config) if config.service == "kinesis" else DynamoDBStream(client, config)


class KinesisStream:
    """A Kinesis stream, addressed by name where the caller owns it, since many emulators know no ARNs."""

    def __init__(self, kinesis: KinesisClient, config: MappingConfig) -> None:
        self._kinesis = kinesis
        self._arn = config.source_arn
        self._address: dict[str, Any] = {}
        """StreamName or StreamARN, as the service knows the stream; empty until it was found."""
        self.skew = 0.0
        self.render: Render = kinesis_renderer(config.stream_arn, config.role_arn)

    def identity(self) -> str:
        """See Stream."""
        asked = time.time()
        described = self._described()
        self.skew = skew_of(described["ResponseMetadata"].get("HTTPHeaders", {}).get("date", ""), asked, time.time())
        return f"{self._arn} {described['StreamDescriptionSummary']['StreamCreationTimestamp'].timestamp()}"

    def shards(self) -> Mapping[str, Sequence[str]]:
        """See Stream."""
        return {
            shard["ShardId"]: [shard[name] for name in ("ParentShardId", "AdjacentParentShardId") if name in shard]
            for shard in listed_shards(self._kinesis, self._address or {"StreamARN": self._arn})
        }

    def reader(self, shard: str, start: Start, after: str | None) -> Reader:
        """See Stream."""
        return ShardReader(
            self._kinesis, self._address or {"StreamARN": self._arn}, shard, after, start.position, start.timestamp
        )

    def _described(self) -> Any:
        """The stream's description: by name if that is the very stream, by ARN if it is another account's."""
        name = {"StreamName": self._arn.rpartition("/")[2]}
        if self._address in ({}, name):
            try:
                found = self._kinesis.describe_stream_summary(**name)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _NOT_BY_NAME:
                    raise
            else:
                if found["StreamDescriptionSummary"]["StreamARN"] == self._arn:
                    self._address = name
                    return found
        self._address = {}
        found = self._kinesis.describe_stream_summary(StreamARN=self._arn)
        self._address = {"StreamARN": self._arn}
        return found


def skew_of(date: str, asked: float, answered: float) -> float:
    """How far ahead the service's clock is, in seconds, by an answer's `Date`; 0 where that is too little to tell.

    Args:
        date: the header, which counts whole seconds.
        asked: when the call left, by this machine's clock.
        answered: when its answer came.
    """
    with suppress(ValueError, TypeError):
        ahead = parsedate_to_datetime(date).timestamp() + 0.5 - (asked + answered) / 2
        return ahead if abs(ahead) > LEAST_SKEW + (answered - asked) else 0.0
    return 0.0


class DynamoDBStream:
    """The stream of a table's changes."""

    skew = 0.0

    def __init__(self, streams: DynamoDBStreamsClient, config: MappingConfig) -> None:
        self._streams = streams
        self._arn = config.stream_arn

    def render(self, record: StreamRecord) -> bytes:
        """See Stream."""
        return record.data

    def identity(self) -> str:
        """See Stream; the ARN ends with the time when the stream was enabled."""
        return self._arn

    def shards(self) -> Mapping[str, Sequence[str]]:
        """See Stream."""
        found: dict[str, Sequence[str]] = {}
        more: dict[str, Any] = {}
        while True:
            described = self._streams.describe_stream(StreamArn=self._arn, **more)["StreamDescription"]
            for shard in described.get("Shards", []):
                found[shard["ShardId"]] = [shard["ParentShardId"]] if "ParentShardId" in shard else []
            if "LastEvaluatedShardId" not in described:
                return found
            more = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}

    def reader(self, shard: str, start: Start, after: str | None) -> Reader:
        """See Stream."""
        return DynamoDBReader(self._streams, self._arn, shard, start, after)


class DynamoDBReader:
    """A position in a shard of a table's stream.

    These streams have no AT_TIMESTAMP: where the start is a time, they are read from their oldest record, and the
    records that are older than the time are skipped.
    """

    def __init__(
        self, streams: DynamoDBStreamsClient, stream_arn: str, shard: str, start: Start, after: str | None
    ) -> None:
        self._streams = streams
        self._arn = stream_arn
        self._shard = shard
        self._start = start
        self._after = after
        self._iterator: str | None = None

    def read(self, limit: int) -> Page:
        """See Reader."""
        try:
            answer = self._streams.get_records(ShardIterator=self._open(), Limit=min(limit, DYNAMODB_READ_LIMIT))
        except self._streams.exceptions.ExpiredIteratorException:
            self._iterator = None
            answer = self._streams.get_records(ShardIterator=self._open(), Limit=min(limit, DYNAMODB_READ_LIMIT))
        records = tuple(self._record(record) for record in answer["Records"])
        if records:
            self._after = records[-1].sequence
        self._iterator = answer.get("NextShardIterator")
        oldest = self._start.timestamp or 0.0
        # These streams do not tell how far behind a reader is; after a page with records there may be more.
        return Page(
            tuple(record for record in records if record.arrived.timestamp() >= int(oldest)),
            behind_ms=len(records),
            ended=self._iterator is None,
        )

    def _open(self) -> str:
        if self._iterator is None:
            position: Any = {"ShardIteratorType": "LATEST" if self._start.position == "LATEST" else "TRIM_HORIZON"}
            if self._after:
                position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self._after}
            try:
                answer = self._streams.get_shard_iterator(StreamArn=self._arn, ShardId=self._shard, **position)
            except self._streams.exceptions.TrimmedDataAccessException:
                # The record that it stood behind has expired: the oldest that is left comes next.
                answer = self._streams.get_shard_iterator(
                    StreamArn=self._arn, ShardId=self._shard, ShardIteratorType="TRIM_HORIZON"
                )
            self._iterator = answer["ShardIterator"]
        return self._iterator

    def _record(self, record: RecordTypeDef) -> StreamRecord:
        change = record["dynamodb"]
        event = dynamodb_event(record, self._arn)
        key = json.dumps(json.loads(event)["dynamodb"]["Keys"], sort_keys=True)
        return StreamRecord(self._shard, change["SequenceNumber"], key, event, change["ApproximateCreationDateTime"])
