"""The connector in Flink against the local platform's API: kills, splits and merges lose, repeat and delay nothing.

`make test-connector` runs it. Windows of one second count each key's requests; if they add up to what was sent, nothing
was lost, counted twice, or late.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.analytics_sql.connector.conftest import Counted, Job
from tests.analytics_sql.connector.faulty import faulty
from tidemill.contract.aggregation import UserRecord, pack
from tidemill_local.emulator import Emulator

KEYS = 40
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
    each = counted.sent // KEYS
    for key in {key for key, _ in windows}:
        assert sum(total for (one, _), (_, total) in windows.items() if one == key) == each * (each - 1) // 2


def newest_second(counted: Counted) -> int:
    return max((second for _, second in counted.read()), default=0)


def wait_for_windows(counted: Counted, job: Job) -> None:
    """Waits for windows of later seconds than there are now."""
    now = newest_second(counted)
    wait(lambda: newest_second(counted) > now + 2, job)


def kill(job: Job, parallelism: int) -> None:
    """Kills the job behind a checkpoint that is yet to come, and starts it from its newest with other subtasks."""
    before = job.checkpoints[-1:]
    wait(lambda: job.checkpoints[-1:] != before, job)
    job.kill()
    job.parallelism = parallelism
    job.start(from_checkpoint=True)


@pytest.mark.timeout(150)
def test_a_split_a_kill_and_a_merge_while_it_runs(
    counted: Callable[[int], Counted], job: Callable[[str, int], Job]
) -> None:
    ends = counted(2)
    running = job(ends.sql("SOURCE_WATERMARK()"), 2)
    ends.send()
    running.start()
    ends.start()
    wait(lambda: bool(ends.read()), running)
    ends.split("shardId-000000000000", 2**126)
    wait_for_windows(ends, running)
    kill(running, 1)
    ends.kinesis.merge_shards(
        StreamName=ends.name, ShardToMerge="shardId-000000000003", AdjacentShardToMerge="shardId-000000000001"
    )
    wait_for_windows(ends, running)
    check(ends, running)


@pytest.mark.timeout(150)
def test_a_kill_while_it_is_behind_a_split_and_bytes_that_are_no_requests(
    counted: Callable[[int], Counted], job: Callable[[str, int], Job]
) -> None:
    """At parallelism 1 over several shards, catching up: a shard that is behind holds the others' windows open."""
    ends = counted(2)
    for _ in range(20):
        ends.send()
    for data in (b"opened", pack([UserRecord("content/1", b'{"key": "content/1", "n": 7}')])[:-1] + b"?"):
        ends.kinesis.put_record(StreamName=ends.name, PartitionKey="content/1", Data=data)
    ends.split("shardId-000000000001", 3 * 2**126)
    ends.start()
    running = job(ends.sql("arrival - INTERVAL '1' SECOND"), 1)
    running.start()
    kill(running, 2)
    wait_for_windows(ends, running)
    check(ends, running)


@pytest.mark.timeout(150)
def test_from_the_newest_record_on_at_more_readers_than_shards(
    counted: Callable[[int], Counted], job: Callable[[str, int], Job]
) -> None:
    ends = counted(1)
    for _ in range(5):
        ends.send()
    running = job(ends.sql("SOURCE_WATERMARK()", "LATEST"), 2)
    running.start()
    ends.start()
    wait_for_windows(ends, running)
    ends.stop()
    each = ends.sent // KEYS

    def firsts() -> set[int]:
        """From where on each key's requests are in the windows; -1 if one is missing behind that."""
        totals = dict.fromkeys((f"content/{number}" for number in range(KEYS)), (0, 0))
        for (key, _), (count, total) in ends.read().items():
            totals[key] = totals[key][0] + count, totals[key][1] + total
        return {
            each - count if count and total == sum(range(each - count, each)) else -1
            for count, total in totals.values()
        }

    wait(lambda: -1 not in firsts(), running)
    assert min(firsts()) >= 5


@pytest.mark.timeout(150)
def test_lost_answers_and_refused_entries_keep_the_order_of_each_key(
    emulator: Emulator, counted: Callable[[int], Counted], job: Callable[[str, int], Job]
) -> None:
    ends, rounds = counted(2), 60
    with faulty(emulator) as between:
        running = job(ends.passed_on(between.url), 2)
        running.environment |= {"CBOR_ENABLED": "false"}
        running.start()
        for _ in range(rounds):
            ends.send()
            ends.copies()
        last = {(f"content/{number}", rounds - 1) for number in range(KEYS)}
        wait(lambda: {(one["key"], one["n"]) for _, one in ends.copies()} >= last, running)
        assert between.lost
        assert between.refused
    told: dict[str, int] = {}
    for partition_key, one in ends.copies():
        before = told.get(one["key"], -1)
        if one["n"] <= before:
            assert " tried " in partition_key  # a repeat says that it may be one
        else:
            assert one["n"] == before + 1
            told[one["key"]] = one["n"]
    assert set(told.values()) == {rounds - 1}
