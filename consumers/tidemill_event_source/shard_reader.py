"""Reading one shard of a Kinesis stream, from a position to the shard's end.

Room: event source, I/O. The delivery stream of the local platform reads with it too.
Tests: tests/consumers/tidemill_event_source/test_source.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from types_boto3_kinesis import KinesisClient

READ_LIMIT = 10_000
"""Records a GetRecords call may return: AWS's own maximum (and 10 MiB)."""


Horizon: TypeAlias = Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


class StreamRecord(NamedTuple):
    """One record of a shard, as GetRecords gives it."""

    shard: str
    sequence: str
    partition_key: str
    data: bytes
    arrived: datetime
    """The approximate arrival timestamp."""


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one read."""

    records: Sequence[StreamRecord]
    behind_ms: int
    """Milliseconds behind the tip of the shard: 0 when all its records have been read."""
    ended: bool
    """The shard is closed and has been read to its end."""


def listed_shards(kinesis: KinesisClient, address: Mapping[str, Any]) -> Iterator[Any]:
    """The stream's shards, page by page.

    "You cannot specify this parameter [StreamName] if you specify the NextToken parameter", nor StreamARN:
    https://docs.aws.amazon.com/kinesis/latest/APIReference/API_ListShards.html. boto3's paginator does.
    """
    page = kinesis.list_shards(**address)
    yield from page["Shards"]
    while token := page.get("NextToken"):
        page = kinesis.list_shards(NextToken=token)
        yield from page["Shards"]


class ShardReader:
    """A position in one shard that moves forward as it is read.

    Args:
        kinesis: a boto3 Kinesis client.
        address: the stream's StreamName or StreamARN.
        shard: the shard's id.
        after: the sequence number after which to start; None starts at `horizon`.
        horizon: where to start without a sequence number.
        timestamp: seconds since 1970, with AT_TIMESTAMP.
    """

    def __init__(
        self,
        kinesis: KinesisClient,
        address: Mapping[str, Any],
        shard: str,
        after: str | None = None,
        horizon: Horizon = "TRIM_HORIZON",
        timestamp: float | None = None,
    ) -> None:
        self._kinesis = kinesis
        self._address = address
        self.shard = shard
        self._after = after
        self._start: dict[str, Any] = {"ShardIteratorType": horizon}
        if timestamp is not None:
            self._start["Timestamp"] = timestamp
        self._iterator: str | None = None

    def read(self, limit: int = READ_LIMIT) -> Page:
        """The next records, at most `limit`; an empty page when there are none yet.

        Raises:
            botocore.exceptions.ClientError: as the service answered; the position has not moved, so that
                reading again loses nothing. An expired iterator is renewed, not raised.
        """
        try:
            answer = self._kinesis.get_records(ShardIterator=self._open(), Limit=limit)
        except self._kinesis.exceptions.ExpiredIteratorException:
            self._iterator = None
            answer = self._kinesis.get_records(ShardIterator=self._open(), Limit=limit)
        records = tuple(
            StreamRecord(
                self.shard,
                record["SequenceNumber"],
                record["PartitionKey"],
                record["Data"],
                record["ApproximateArrivalTimestamp"],
            )
            for record in answer["Records"]
        )
        if records:
            self._after = records[-1].sequence
        following = answer.get("NextShardIterator")
        self._iterator = following
        return Page(records, answer.get("MillisBehindLatest", 0), ended=following is None)

    def _open(self) -> str:
        if self._iterator is None:
            position = self._start
            if self._after:
                position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": self._after}
            self._iterator = self._kinesis.get_shard_iterator(ShardId=self.shard, **self._address, **position)[
                "ShardIterator"
            ]
        return self._iterator
