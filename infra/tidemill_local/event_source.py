"""The event source mapping: polls a stream's shards and invokes a function with batches.

Room: local platform, thin I/O; event_source_rules.py decides.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.event_source_rules import (
    MappingConfig,
    Waiting,
    backoff,
    done,
    event_of,
    ready,
    waiting,
)
from tidemill_local.shard_reader import ShardReader

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient
    from types_boto3_lambda import LambdaClient

POLL_SECONDS = 1.0
"""Lambda polls a shard about once a second."""

log = logging.getLogger(__name__)

Invoke = Callable[[bytes], bytes | None]
"""The event's JSON to the answer's; None when the invocation failed."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a mapping did so far."""

    invocations: int = 0
    errors: int = 0
    records: int = 0
    """Records that are done."""


class EventSource:
    """A mapping of one stream to one function: one thread per shard, strictly serial within it.

    Args:
        kinesis: a boto3 Kinesis client.
        invoke: calls the function.
        config: the mapping's settings.
    """

    def __init__(self, kinesis: KinesisClient, invoke: Invoke, config: MappingConfig) -> None:
        self._kinesis = kinesis
        self._invoke = invoke
        self._config = config
        self._stopping = Event()
        self._lock = Lock()
        self._counts = Counts()
        self._waiting: dict[str, int] = {}
        self._thread = Thread(target=self._run, name="event-source", daemon=True)

    @property
    def counts(self) -> Counts:
        """A snapshot of what was done."""
        return self._counts

    @property
    def waiting(self) -> int:
        """Records read and not yet done."""
        return sum(self._waiting.values())

    def start(self) -> None:
        """Begin to poll, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the invocations in flight. What is not done is delivered again at the next start."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        shards = self._shards()
        with ThreadPoolExecutor(max(1, len(shards)), "event-source") as threads:
            list(threads.map(self._follow, shards))

    def _shards(self) -> list[str]:
        while not self._stopping.is_set():
            try:
                pages = self._kinesis.get_paginator("list_shards").paginate(StreamARN=self._config.stream_arn)
                return [shard["ShardId"] for page in pages for shard in page["Shards"]]
            except (ClientError, BotoCoreError) as error:
                log.warning("cannot list the shards, trying again: %s", error)
                self._stopping.wait(POLL_SECONDS)
        return []

    def _follow(self, shard: str) -> None:
        reader = ShardReader(self._kinesis, self._config.stream_arn, shard, horizon=self._config.horizon)
        queue: deque[Waiting] = deque()
        failures = 0
        while not self._stopping.is_set():
            more = self._read(reader, queue)
            count = ready(queue, self._config, time.monotonic())
            if count:
                failures = 0 if self._deliver(queue, count) else failures + 1
                self._waiting[shard] = len(queue)
                self._stopping.wait(backoff(failures) if failures else 0)
            elif not more:
                self._stopping.wait(POLL_SECONDS)

    def _read(self, reader: ShardReader, queue: deque[Waiting]) -> bool:
        """Read on unless a whole batch waits already; whether there is more to read."""
        if len(queue) >= self._config.batch_size:
            return True
        try:
            page = reader.read()
        except (ClientError, BotoCoreError) as error:
            log.warning("cannot read %s, trying again: %s", reader.shard, error)
            return False
        now = time.monotonic()
        queue.extend(waiting(record, self._config.stream_arn, now) for record in page.records)
        self._waiting[reader.shard] = len(queue)
        return page.behind_ms > 0

    def _deliver(self, queue: deque[Waiting], count: int) -> bool:
        batch = list(islice(queue, count))
        finished = done(batch, self._invoke(event_of(batch)), self._config)
        for _ in range(finished):
            queue.popleft()
        with self._lock:
            self._counts = replace(
                self._counts,
                invocations=self._counts.invocations + 1,
                errors=self._counts.errors + (finished < count),
                records=self._counts.records + finished,
            )
        return finished == count


def invoker(functions: LambdaClient, name: str, heard: Callable[[bytes], None]) -> Invoke:
    """Invokes the function `name` through Lambda's API and waits for its answer, which `heard` is told too."""

    def invoke(event: bytes) -> bytes | None:
        try:
            answer = functions.invoke(FunctionName=name, Payload=event)
        except (ClientError, BotoCoreError) as error:
            log.warning("cannot invoke %s, trying again: %s", name, error)
            return None
        payload = answer["Payload"].read()
        if answer.get("FunctionError"):
            log.warning("%s failed: %s", name, payload[:500].decode(errors="replace"))
            return None
        heard(payload)
        return payload

    return invoke
