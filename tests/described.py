"""A Kinesis for tests that only says when streams were created."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

STREAM_ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/requests"


class Described:
    """DescribeStreamSummary.

    Args:
        created: the creation time of each stream by its name, in seconds since 1970; others were created at 0.
        date: what the answers' header says, as HTTP has it; nothing by default.
    """

    def __init__(self, created: Mapping[str, float] | None = None, date: str | None = None) -> None:
        self.created = dict(created or {})
        self.date = date
        self.asked: list[str] = []
        """For what, by ARN or name."""

    def describe_stream_summary(self, StreamARN: str = "", StreamName: str = "") -> dict[str, Any]:
        """The answer, with what is read of it."""
        self.asked.append(StreamARN or StreamName)
        arn = StreamARN or STREAM_ARN.rpartition("/")[0] + "/" + StreamName
        created = datetime.fromtimestamp(self.created.get(arn.rpartition("/")[2], 0.0), UTC)
        headers = {} if self.date is None else {"date": self.date}
        return {
            "StreamDescriptionSummary": {"StreamARN": arn, "StreamCreationTimestamp": created},
            "ResponseMetadata": {"HTTPHeaders": headers},
        }
