"""What goes when its retention is over. What becomes of shards besides is held by test_resharding.py."""

import time
from typing import Any

from tidemill_local.patches.kinesis.shard_state import expire_head


def stream(*ages: float) -> dict[str, Any]:
    records = [{"ApproximateArrivalTimestamp": time.time() - age} for age in ages]
    return {"RetentionPeriodHours": 24, "shards": {"shardId-0": {"records": records}}}


def test_records_past_their_retention_go_and_the_others_stay() -> None:
    found = stream(90_000, 86_500, 80_000, 1)
    _, _, *young = found["shards"]["shardId-0"]["records"]
    expire_head(found, time.time())
    assert found["shards"]["shardId-0"]["records"] == young


def test_records_are_not_copied_while_the_oldest_is_young() -> None:
    found = stream(80_000, 1)
    records = found["shards"]["shardId-0"]["records"]
    expire_head(found, time.time())
    assert found["shards"]["shardId-0"]["records"] is records


def test_a_closed_shard_goes_with_the_last_of_its_records() -> None:
    found = stream(90_000)
    found["shards"]["shardId-0"]["ending_sequence_number"] = f"{int((time.time() - 80_000) * 1000):020d}{1:010d}"
    expire_head(found, time.time())
    assert found["shards"]["shardId-0"]["records"] == []  # what came before it closed may still be asked for
    found["shards"]["shardId-0"]["ending_sequence_number"] = f"{int((time.time() - 90_000) * 1000):020d}{1:010d}"
    expire_head(found, time.time())
    assert not found["shards"]
