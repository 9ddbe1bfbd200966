"""How far each shard of a stream is delivered, kept in a file for the next delivery stream to go on from there.

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
    """What a file of positions holds.

    Raises:
        UnreadableFile: it holds something else.
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
        """At first: read the file, unless another stream had the ARN then, whose shards have the same names.

        A file from before streams were told apart holds the positions alone, and is taken for the present one's.
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
        """These shards are delivered up to there; the file says so, too, when this returns."""
        self.by_shard = {**self.by_shard, **positions}
        if self._kept:
            write_whole(self._kept, json.dumps({"stream": self._identity, "shards": self.by_shard}).encode())
