"""The streams that batches come from, as Kinesis describes them.

Room: adapters. The only calls of Kinesis other than puts.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tidemill_consumers.codec.events import EventRecord
from tidemill_consumers.core.streams import Stream, life_of, stream_arn

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

GAP_SECONDS = 10.0
"""After a longer gap between records, the stream may have been deleted and created again."""

KEPT_SECONDS = 60.0
"""How long a description is used: DescribeStreamSummary is limited to 20 calls a second per account."""


class _Known(NamedTuple):
    stream: Stream
    looked: float
    """It was certainly this stream until then: seconds since 1970, by the stream's own clock."""
    seen: float
    """When its last record arrived."""


class Streams:
    """Tells streams apart, even a stream that was deleted and created again with the same name.

    Only the streams' own clocks are used. A description is certain for records that arrived between the stream's
    creation and the call. It is used for later records too, until 60 seconds passed or no record came for 10 seconds.

    Args:
        kinesis: a boto3 Kinesis client.
        own: the name of the application's own stream.
    """

    def __init__(self, kinesis: KinesisClient, own: str) -> None:
        self._kinesis = kinesis
        self._name = own
        self._known: dict[str, _Known] = {}
        self._own: Stream | None = None

    def of(self, records: Sequence[EventRecord]) -> Stream:
        """The stream of a batch's records, which are of one shard and in order, as Lambda delivers them.

        Raises:
            ClientError, BotoCoreError: Kinesis did not answer; the batch must be delivered again.
        """
        if not records:
            return Stream("", (life_of("", 0.0),))
        arn = stream_arn(records[0]["eventSourceARN"])
        first, last = (record["kinesis"]["approximateArrivalTimestamp"] for record in (records[0], records[-1]))
        known = self._known.get(arn)
        if known is None or first > known.seen + GAP_SECONDS or first > known.looked + KEPT_SECONDS:
            answer = self._kinesis.describe_stream_summary(StreamARN=arn)
            created = answer["StreamDescriptionSummary"]["StreamCreationTimestamp"].timestamp()
            stream = known.stream.with_life(created) if known else Stream(arn, (life_of(arn, created),))
            looked = max(last, _said(answer))
            known = _Known(stream, looked, looked)
        self._known[arn] = known._replace(seen=max(known.seen, last))
        return known.stream

    def own(self) -> Stream:
        """The application's own stream.

        Raises:
            ClientError, BotoCoreError: Kinesis did not answer.
        """
        if self._own is None:
            summary = self._kinesis.describe_stream_summary(StreamName=self._name)["StreamDescriptionSummary"]
            arn = summary["StreamARN"]
            self._own = Stream(arn, (life_of(arn, summary["StreamCreationTimestamp"].timestamp()),))
        return self._own


def _said(answer: Any) -> float:
    """When Kinesis answered, by its own clock; 0 if the answer has no date."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 0.0
