"""The streams that batches come from, as Kinesis describes them.

Room: adapters. The one question to Kinesis that is not a put.
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
"""Without a record for longer, a stream may have been deleted and made again meanwhile."""

KEPT_SECONDS = 60.0
"""The longest that Kinesis is not asked again: DescribeStreamSummary takes 20 calls a second and account."""


class _Known(NamedTuple):
    stream: Stream
    looked: float
    """Until when it was this stream for certain, in seconds since 1970, by the stream's own clock."""
    seen: float
    """When the last of its records arrived."""


class Streams:
    """Tells streams apart, and a stream that was deleted and made again from what it was.

    No clock is asked but the streams' own. A stream's description holds for all that arrived from its creation to the
    moment of asking. It is believed of what comes after, too: until no record has come for 10 seconds, or for 60.

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
        """The stream that a batch's records stand on. They are of one shard and in order, as Lambda has them.

        Raises:
            ClientError, BotoCoreError: Kinesis does not say; the batch must be delivered again, for nobody may guess.
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
            ClientError, BotoCoreError: Kinesis does not say.
        """
        if self._own is None:
            summary = self._kinesis.describe_stream_summary(StreamName=self._name)["StreamDescriptionSummary"]
            arn = summary["StreamARN"]
            self._own = Stream(arn, (life_of(arn, summary["StreamCreationTimestamp"].timestamp()),))
        return self._own


def _said(answer: Any) -> float:
    """When Kinesis answered, by its own clock; 0 where it does not say."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 0.0
