"""Reads all shards of a stream in turn, and the children of shards that end.

Room: local platform, I/O. One shard is read by the event source's ShardReader.
Tests: tests/infra/tidemill_local/firehose/test_delivery_stream.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_event_source.shard_reader import ShardReader, listed_shards

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from types_boto3_kinesis import KinesisClient

    from tidemill_event_source.shard_reader import StreamRecord
    from tidemill_local.firehose.config import DeliveryConfig
    from tidemill_local.firehose.positions import Positions
    from tidemill_local.firehose.troubles import Troubles

_log = logging.getLogger(__name__)


class Shards:
    """The shards of a delivery stream's source.

    Args:
        kinesis: a boto3 Kinesis client.
        config: names the stream.
        positions: the positions from which newly found shards are read.
        troubles: records calls that failed; the next call of `read` retries them.
    """

    def __init__(
        self, kinesis: KinesisClient, config: DeliveryConfig, positions: Positions, troubles: Troubles
    ) -> None:
        self._kinesis = kinesis
        self._config = config
        self._address = {"StreamARN": config.stream_arn}
        self._positions = positions
        self._troubles = troubles
        self._readers: dict[str, ShardReader] = {}
        self._seen: set[str] = set()
        self._must_list = True

    def read(self, take: Callable[[Sequence[StreamRecord]], None]) -> bool:
        """Read each shard once.

        Args:
            take: called with the records of each shard that could be read.

        Returns:
            Whether there may be more to read: a shard had records or ended, or a read was throttled.
        """
        if self._must_list:
            self._open()
        behind = [self._read(reader, take) for reader in tuple(self._readers.values())]
        return any(behind)

    def _open(self) -> None:
        """Find new shards: all at the start, and the children once a shard has ended."""
        try:
            self._positions.recall(self._kinesis)
            shards = [shard["ShardId"] for shard in listed_shards(self._kinesis, self._address)]
        except (ClientError, BotoCoreError) as error:
            self._troubles.begin("list", error)
            return
        self._troubles.end("list")
        self._must_list = False
        for shard in set(shards) - self._seen:
            after = self._positions.by_shard.get(shard)
            self._readers[shard] = ShardReader(self._kinesis, self._address, shard, after)
            self._seen.add(shard)

    def _read(self, reader: ShardReader, take: Callable[[Sequence[StreamRecord]], None]) -> bool:
        try:
            page = reader.read()
        except self._kinesis.exceptions.ProvisionedThroughputExceededException as error:
            _log.debug("%s: %s", self._config.name, error)  # other readers share the shard's five reads a second
            return True
        except (ClientError, BotoCoreError) as error:
            self._troubles.begin(reader.shard, error)  # the next call tries again
            return False
        self._troubles.end(reader.shard)
        take(page.records)
        if page.ended:
            del self._readers[reader.shard]
            self._must_list = True
        return bool(page.records) or page.ended
