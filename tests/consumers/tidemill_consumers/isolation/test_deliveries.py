"""The table of deliveries against the emulator: one write for a usual delivery, and never in the way."""

from collections.abc import Callable
from typing import Any

import pytest

from tidemill_consumers.core.calling.deliveries import Noted
from tidemill_consumers.isolation.deliveries import Deliveries
from tidemill_local.emulator import Emulator

SHARD = "arn:aws:kinesis:us-east-1:000000000000:stream/requests/shardId-000000000000"
FIRST, LAST = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898, 10**57


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def deliveries(new_client: Callable[[str], Any], table: str, calls: list[str]) -> Deliveries:
    dynamodb = new_client("dynamodb")
    dynamodb.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
    return Deliveries(dynamodb, table)


def test_a_usual_delivery_is_noted_by_one_write(deliveries: Deliveries, calls: list[str]) -> None:
    for number in range(3):
        found = deliveries.begin(SHARD, FIRST + number, LAST)
        assert (found.noted, found.is_apart) == (Noted(FIRST + number, 1), False)
    assert calls == ["PutItem"] * 3


def test_the_third_from_one_record_on_is_planned_apart_and_what_follows_to_its_end(deliveries: Deliveries) -> None:
    assert [deliveries.begin(SHARD, FIRST, LAST).is_apart for _ in range(4)] == [False, False, True, True]
    assert deliveries.begin(SHARD, FIRST + 1, FIRST + 2).is_apart
    assert deliveries.begin(SHARD, LAST, LAST).is_apart
    assert not deliveries.begin(SHARD, LAST + 1, LAST + 2).is_apart


def test_one_that_ended_is_not_counted(deliveries: Deliveries) -> None:
    for _ in range(5):
        found = deliveries.begin(SHARD, FIRST, LAST)
        assert not found.is_apart
        deliveries.end(found)


def test_each_shard_has_its_own(deliveries: Deliveries) -> None:
    for _ in range(3):
        deliveries.begin(SHARD, FIRST, LAST)
    assert not deliveries.begin(SHARD + "1", FIRST, LAST).is_apart


def test_a_table_that_is_not_there_is_not_in_the_way(emulator: Emulator) -> None:
    nowhere = Deliveries(emulator.client("dynamodb"), "nowhere")
    found = nowhere.begin(SHARD, FIRST, LAST)
    assert (found.noted, found.is_apart) == (None, False)
    nowhere.end(found)


@pytest.mark.parametrize(
    "junk", [{}, {"first": {"N": "1"}, "begun": {"N": "1"}}, {"first": {"S": "x"}, "begun": {"S": ""}}]
)
def test_an_item_that_cannot_be_read_is_written_over(emulator: Emulator, table: str, junk: Any) -> None:
    dynamodb = emulator.client("dynamodb")
    dynamodb.put_item(TableName=table, Item={"pk": {"S": SHARD}, "apart": {"S": "1"}, **junk})
    deliveries = Deliveries(dynamodb, table)
    assert [deliveries.begin(SHARD, FIRST, LAST).is_apart for _ in range(3)] == [False, False, True]
