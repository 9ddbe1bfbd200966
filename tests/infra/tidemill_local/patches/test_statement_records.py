"""A table's stream tells what statements change, as it tells what other calls do."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Names
from tidemill_local.emulator import Emulator
from tidemill_local.patches.statement_records import event


@pytest.fixture
def streamed(emulator: Emulator, names: Names) -> str:
    name = names("streamed")
    emulator.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return name


def records(emulator: Emulator, table: str) -> Iterator[tuple[Any, ...]]:
    streams = emulator.client("dynamodbstreams")
    arn = emulator.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for one in streams.get_records(ShardIterator=iterator)["Records"]:
            change = one["dynamodb"]
            yield one["eventName"], change.get("OldImage", {}).get("n"), change.get("NewImage", {}).get("n")


def test_statements_leave_records_of_what_they_changed(emulator: Emulator, streamed: str) -> None:
    dynamodb = emulator.client("dynamodb")
    insert = {"Statement": f"INSERT INTO \"{streamed}\" VALUE {{'pk': 'a', 'n': ?}}", "Parameters": [{"N": "1"}]}
    update = {"Statement": f"UPDATE \"{streamed}\" SET n = ? WHERE pk = 'a' AND n = ?"}
    for statement in (
        insert,
        insert,  # refused: it is there
        {**update, "Parameters": [{"N": "2"}, {"N": "1"}]},
        {**update, "Parameters": [{"N": "3"}, {"N": "1"}]},  # refused: n is 2
        {**update, "Parameters": [{"N": "2"}, {"N": "2"}]},  # changes nothing
        {"Statement": f"DELETE FROM \"{streamed}\" WHERE pk = 'a'"},
        {"Statement": f"DELETE FROM \"{streamed}\" WHERE pk = 'a'"},
    ):
        dynamodb.batch_execute_statement(Statements=[statement])
    assert list(records(emulator, streamed)) == [
        ("INSERT", None, {"N": "1"}),
        ("MODIFY", {"N": "1"}, {"N": "2"}),
        ("REMOVE", {"N": "2"}, None),
    ]


def test_what_happened_to_an_item() -> None:
    one, other = {"n": {"N": "1"}}, {"n": {"N": "2"}}
    pairs = [(None, one), (one, other), (one, None), (one, dict(one)), (None, None)]
    assert [event(*pair) for pair in pairs] == ["INSERT", "MODIFY", "REMOVE", "", ""]
