"""Each shard's delivered position, kept in a file from which the next delivery stream continues.

Room: local platform, I/O.
Tests: tests/infra/tidemill_local/firehose/test_delivery_stream.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from tidemill_event_source.files import UnreadableFile, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_kinesis import KinesisClient


def positions_in(file: Path) -> dict[str, Any]:
    """The content of a file of positions.

    Raises:
        UnreadableFile: the file holds something else.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        msgspec.convert(found.get("shards", found), dict[str, str])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{file} holds no positions ({error}); delete it to read from the oldest record") from None
    return found


class Positions:
    """The positions of one stream's shards.

    Args:
        stream_arn: the stream's.
        kept: the file; None keeps them as long as this object.

    Attributes:
        by_shard: shard -> the last sequence number whose records are delivered.
    """

    def __init__(self, stream_arn: str, kept: Path | None) -> None:
        self._stream_arn = stream_arn
        self._kept = kept
        self._identity = ""
        """The stream's ARN and creation time; empty until it was asked for."""
        self.by_shard: Mapping[str, str] = {}

    def check(self) -> None:
        """Raise UnreadableFile if the file holds something else."""
        if self._kept and self._kept.exists():
            positions_in(self._kept)

    def recall(self, kinesis: KinesisClient) -> None:
        """On the first call, read the file, unless it is about an earlier stream with the same ARN and shard names.

        A file of an earlier release holds positions without the stream's identity; it is taken as the present stream's.
        """
        if self._identity:
            return
        arn = self._stream_arn
        summary = kinesis.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]
        self._identity = f"{arn} {summary['StreamCreationTimestamp'].timestamp()}"
        if self._kept and self._kept.exists():
            found = positions_in(self._kept)
            if "stream" not in found:
                self.by_shard = found
            elif found["stream"] == self._identity:
                self.by_shard = found["shards"]

    def move(self, positions: Mapping[str, str]) -> None:
        """Move the shards' positions; they are in the file when this returns."""
        self.by_shard = {**self.by_shard, **positions}
        if self._kept:
            write_whole(self._kept, json.dumps({"stream": self._identity, "shards": self.by_shard}).encode())
