"""What is put right within the emulator."""

import time
import types
from typing import Any

import ministack.services
import pytest

from tidemill_local import launcher


def stream(*ages: float) -> dict[str, Any]:
    records = [{"ApproximateArrivalTimestamp": time.time() - age} for age in ages]
    return {"RetentionPeriodHours": 24, "shards": {"shardId-0": {"records": records}}}


def test_records_past_their_retention_go_and_the_others_stay() -> None:
    found = stream(90_000, 86_500, 80_000, 1)
    _, _, *young = found["shards"]["shardId-0"]["records"]
    launcher.expire_head(found)
    assert found["shards"]["shardId-0"]["records"] == young


def test_records_are_not_copied_while_the_oldest_is_young() -> None:
    found = stream(80_000, 1)
    records = found["shards"]["shardId-0"]["records"]
    launcher.expire_head(found)
    assert found["shards"]["shardId-0"]["records"] is records


def test_a_closed_shard_goes_with_the_last_of_its_records() -> None:
    found = stream(90_000)
    found["shards"]["shardId-0"]["ending_sequence_number"] = f"{int((time.time() - 80_000) * 1000):020d}{1:010d}"
    launcher.expire_head(found)
    assert found["shards"]["shardId-0"]["records"] == []  # what came before it closed may still be asked for
    found["shards"]["shardId-0"]["ending_sequence_number"] = f"{int((time.time() - 90_000) * 1000):020d}{1:010d}"
    launcher.expire_head(found)
    assert not found["shards"]


def test_another_release_of_the_emulator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kinesis = types.ModuleType("ministack.services.kinesis")
    monkeypatch.setattr(ministack.services, "kinesis", kinesis, raising=False)
    with pytest.raises(launcher.UnknownEmulator, match=r"has no _expire_records.*install ministack=="):
        launcher.improve()


@pytest.mark.parametrize(
    ("body", "leading"),
    [
        (b'{"TableName": "t", "Key": {"pk": {"S": "ada"}}}', ["ada"]),
        (b'{"TableName": "t", "Item": {"sk": {"S": "x"}, "pk": {"N": "7"}}}', ["7"]),
        (b'{"TableName": "t", "Key": {"sk": {"S": "ada"}}}', None),
        (b'{"TableName": "t", "Key": {"pk": {}}}', None),
        (b'{"TableName": "t", "Key": []}', None),
        (b'{"TableName": "other", "Key": {"pk": {"S": "ada"}}}', None),
        (b'{"Statement": "SELECT"}', None),
        (b"[]", None),
        (b"", None),
    ],
)
def test_a_request_about_one_item_tells_its_partition_key(body: bytes, leading: list[str] | None) -> None:
    schema = [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}]
    context = launcher.with_leading_key(lambda _: {"dynamodb:Select": "ALL"}, {"t": {"KeySchema": schema}})
    assert context(body) == {"dynamodb:Select": "ALL"} | ({"dynamodb:LeadingKeys": leading} if leading else {})
