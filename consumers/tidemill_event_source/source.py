"""The event source mapping at work: finds a stream's shards and has a worker follow each.

Room: event source, thin I/O: decisions/shard.py says which shards may be read, shard_worker.py reads them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_event_source.checkpoints import Checkpoints
from tidemill_event_source.counts import Counts, ShardCounts, Tally
from tidemill_event_source.decisions.checkpoint import Checkpoint, Start
from tidemill_event_source.decisions.config import InvalidMapping, MappingConfig
from tidemill_event_source.decisions.shard import Shard, readable
from tidemill_event_source.destinations import Tell
from tidemill_event_source.files import NotWritten
from tidemill_event_source.invoking import Invoke
from tidemill_event_source.shard_worker import RETRY_SECONDS, ShardWorker, Shared
from tidemill_event_source.streams import stream_of
from tidemill_event_source.troubles import log_trouble

DISCOVERY_SECONDS = 10.0
"""How often the shards are listed, beside each time that one has ended."""

SKEW_ERROR = 1.0
"""Seconds by which another machine's clock may be misjudged: `Date` counts whole ones."""

log = logging.getLogger(__name__)


class EventSource:
    """An event source mapping, at work from `start` to `stop`.

    Args:
        client: a boto3 client of the stream's service: `kinesis`, or `dynamodbstreams` for a table's stream.
        invoke: calls the function: `through_lambda`, `in_process`, or anything like them.
        config: the mapping's settings.
        on_failure: tells the destination that the settings name: see `destination`.
        checkpoints: a file that keeps how far it is, for the next one that is given it; without one a restart
            begins at the starting position. One process at a time.

    Raises:
        InvalidMapping: the settings name a destination, and nothing tells it.

    Example:
        config = MappingConfig(stream_arn, batch_size=1_000, window=5)
        with EventSource(boto3.client("kinesis"), in_process(handler), config):
            time.sleep(60)
    """

    def __init__(
        self,
        client: Any,
        invoke: Invoke,
        config: MappingConfig,
        *,
        on_failure: Tell | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        if config.on_failure and on_failure is None:
            raise InvalidMapping(f"DestinationConfig: nothing tells {config.on_failure}")
        self.config = config
        self._stream = stream_of(config, client)
        self._checkpoints = Checkpoints(checkpoints)
        self._tally = Tally()
        self._stopping = Event()
        self._shared = Shared(config, invoke, on_failure, self._checkpoints, self._tally, self._stopping)
        self._clock = _steady_clock()
        self._identity = ""
        self._workers: dict[str, ShardWorker] = {}
        self._changed = Event()
        self._thread = Thread(target=self._run, name=f"event-source-{config.uuid}", daemon=True)

    @property
    def counts(self) -> Counts:
        """A snapshot of what was done."""
        counts = self._tally.counts
        filtered = sum(worker.shard.filtered for worker in list(self._workers.values()))
        return replace(counts, filtered=filtered, records=counts.records + filtered)

    @property
    def waiting(self) -> int:
        """Records read and not yet done."""
        return sum(worker.shard.waiting for worker in list(self._workers.values()))

    @property
    def shards(self) -> list[ShardCounts]:
        """The numbers of each shard that is followed, by its id."""
        followed = sorted(self._workers.items())
        return [_counts(worker.shard) for _, worker in followed if worker.thread.is_alive()]

    def __enter__(self) -> EventSource:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to poll, in the background.

        Raises:
            UnreadableFile: the file of checkpoints holds something else.
        """
        self._checkpoints.check()
        self._thread.start()

    def stop(self, patience: float | None = None) -> bool:
        """Stop after the invocations in flight. What is not done is delivered again at the next start.

        Args:
            patience: seconds to wait for those; None waits as long as they take.

        Returns:
            Whether they have ended.
        """
        self._stopping.set()
        self._changed.set()
        for worker in list(self._workers.values()):
            worker.wake()
        if self._thread.ident is not None:
            self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            try:
                self._look()
            except (ClientError, BotoCoreError) as error:
                if self._stopping.is_set():
                    break
                log_trouble(log, f"cannot list the shards of {self.config.stream_arn}", error)
                self._tally.add(result=f"PROBLEM: {error}")
                self._stopping.wait(RETRY_SECONDS)
            except NotWritten as error:
                log.warning("cannot follow %s, trying again: %s", self.config.stream_arn, error)
                self._stopping.wait(RETRY_SECONDS)
            except Exception:  # it must go on, whatever it is
                log.exception("cannot follow %s, trying again", self.config.stream_arn)
                self._stopping.wait(RETRY_SECONDS)
            else:
                self._changed.wait(DISCOVERY_SECONDS)
        for worker in self._workers.values():
            worker.thread.join()

    def _look(self) -> None:
        """Follow each shard that may be read and is not followed."""
        identity = self._stream.identity()
        if identity != self._identity:
            self._begin_anew(identity)
        shards = self._stream.shards()
        fresh = self._begin(shards)
        self._checkpoints.keep(shards)
        drained = {name for name, one in self._checkpoints.all.items() if one.drained}
        drained |= {name for name, worker in self._workers.items() if worker.shard.drained}
        for name in readable(shards, frozenset(drained)):
            if name not in self._workers or not self._workers[name].thread.is_alive():
                checkpoint = self._checkpoints.all[name]
                reader = self._stream.reader(name, fresh.get(name, checkpoint.start), checkpoint.after)
                shard = Shard(self.config, name, checkpoint, self._stream.render)
                worker = ShardWorker(self._shared, shard, reader, self._clock, self._changed.set)
                self._workers[name] = worker
                worker.thread.start()

    def _begin_anew(self, identity: str) -> None:
        """At the start, and when the stream was deleted and made again, whose shards have the same names.

        From then on the time is the stream's, not this machine's.
        """
        for worker in self._workers.values():
            worker.abandon()
        self._workers = {}
        self._checkpoints.load(identity)
        self._clock = _steady_clock(self._stream.skew)
        self._identity = identity

    def _begin(self, shards: Mapping[str, Sequence[str]]) -> dict[str, Start]:
        """Give each new shard a checkpoint; what to open with, where that is not what a restart opens with."""
        known = self._checkpoints.all
        fresh: dict[str, Start] = {}
        for name in shards.keys() - known.keys():
            start = Start("TRIM_HORIZON")  # a shard made later: none of its records is to be missed
            if not known:
                start = Start(self.config.starting_position, self.config.starting_timestamp)
            if start.position == "LATEST":
                # The latest is another one after a restart, and what came meanwhile would be skipped.
                fresh[name], start = start, Start("AT_TIMESTAMP", self._clock() - abs(self._stream.skew and SKEW_ERROR))
            self._checkpoints.save(name, Checkpoint(start))
        return fresh


def _counts(shard: Shard) -> ShardCounts:
    """The shard's numbers, though its own thread changes them meanwhile."""
    oldest = None
    with suppress(IndexError):  # what waited was done between two looks
        oldest = shard.oldest
    return ShardCounts(shard.shard_id, shard.waiting, shard.handled + shard.filtered, oldest)


def _steady_clock(skew: float = 0.0) -> Callable[[], float]:
    """Seconds since 1970 that never step, whatever becomes of the machine's clock, which is wrong by `skew`."""
    offset = time.time() + skew - time.monotonic()
    return lambda: offset + time.monotonic()
