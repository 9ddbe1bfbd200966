"""The connector in Flink against the local platform's API: kills, splits and merges lose, repeat and delay nothing.

`make test-connector` runs it. Windows of one second count each key's requests; if they add up to what was sent, nothing
was lost, counted twice, or late.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.analytics_sql.connector.conftest import Counted, Job

SECONDS = 40


def wait(condition: Callable[[], bool], job: Job) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert job.runs, job.log
        assert time.monotonic() < deadline, job.log
        time.sleep(0.1)


def check(counted: Counted, job: Job) -> None:
    """Everything that was sent is in the windows, once, though nothing more is sent: the shards' tips close them."""
    counted.stop()
    wait(lambda: counted.counted() >= counted.sent, job)
    windows = counted.read()
    assert sum(count for count, _ in windows.values()) == counted.sent
    each = counted.sent // 40
    for key in {key for key, _ in windows}:
        assert sum(total for (one, _), (_, total) in windows.items() if one == key) == each * (each - 1) // 2


def newest_second(counted: Counted) -> int:
    return max((second for _, second in counted.read()), default=0)


@pytest.mark.timeout(150)
@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_split_and_a_merge_while_it_runs(
    counted: Callable[[int], Counted], job: Callable[[str, int], Job], parallelism: int
) -> None:
    ends = counted(2)
    running = job(ends.sql, parallelism)
    ends.send()
    running.start()
    ends.start()
    wait(lambda: bool(ends.read()), running)
    half = str(2**126)
    ends.kinesis.split_shard(StreamName=ends.name, ShardToSplit="shardId-000000000000", NewStartingHashKey=half)
    at_split = newest_second(ends)
    wait(lambda: newest_second(ends) > at_split + 3, running)
    ends.kinesis.merge_shards(
        StreamName=ends.name, ShardToMerge="shardId-000000000003", AdjacentShardToMerge="shardId-000000000001"
    )
    at_merge = newest_second(ends)
    wait(lambda: newest_second(ends) > at_merge + 3, running)
    check(ends, running)


@pytest.mark.timeout(150)
def test_kills_while_it_is_behind_and_the_stream_is_split(
    counted: Callable[[int], Counted], job: Callable[[str, int], Job]
) -> None:
    """At parallelism 1 over several shards, catching up: a shard that is behind holds the others' windows open."""
    ends = counted(2)
    for _ in range(20):
        ends.send()
    ends.kinesis.split_shard(
        StreamName=ends.name, ShardToSplit="shardId-000000000001", NewStartingHashKey=str(3 * 2**126)
    )
    ends.start()
    running = job(ends.sql, 1)
    running.start()
    for _ in range(2):
        before = len(running.checkpoints) and running.newest
        wait(lambda before=before: bool(running.checkpoints) and running.newest != before, running)  # type: ignore[misc]
        running.kill()
        running.start(from_checkpoint=True)
    at_start = newest_second(ends)
    wait(lambda: newest_second(ends) > at_start, running)
    check(ends, running)
