"""Subscriptions: what an event tells, how one ends with its shard, and who may have one."""

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

from tidemill_local.emulator import Emulator
from tidemill_local.patches.kinesis import shard_state
from tidemill_local.patches.kinesis.shard_iterators import MOST_BYTES
from tidemill_local.patches.kinesis.subscriptions import message, next_step

SHARD = "shardId-000000000000"
NOON = 1_764_000_000.0
NUMBERS = [10, 20, 30]


def sequence(number: int) -> str:
    return f"{number:030d}"


def stream(*numbers: int, size: int = 1) -> dict[str, Any]:
    """A stream of one shard with these records."""
    records = [
        {
            "SequenceNumber": sequence(number),
            "ApproximateArrivalTimestamp": NOON + number,
            "Data": base64.b64encode(b"x" * size).decode(),
            "PartitionKey": "k",
        }
        for number in numbers
    ]
    shard = {
        "records": records,
        "starting_hash_key": "0",
        "ending_hash_key": str(shard_state.HASH_KEYS - 1),
        "starting_sequence_number": sequence(1),
        "parent_shard_id": None,
        "adjacent_parent_shard_id": None,
    }
    return {"StreamName": "s", "StreamARN": "arn", "EncryptionType": "KMS", "shards": {SHARD: shard}}


def closed(*numbers: int) -> dict[str, Any]:
    """A stream whose shard was split."""
    made, following = stream(*numbers), count(900)
    shard_state.split(made, SHARD, 1_000, lambda: sequence(next(following)))
    return made


def sent(event: dict[str, Any]) -> list[int]:
    return [int(record["SequenceNumber"]) for record in event["Records"]]


def test_an_event_has_what_follows_and_tells_where_to_go_on() -> None:
    step = next_step(stream(*NUMBERS), SHARD, sequence(10), NOON + 30)
    assert (sent(step.event), step.event["ContinuationSequenceNumber"], step.after, step.ended) == (
        [20, 30],
        sequence(30),
        sequence(30),
        False,
    )
    assert step.event["MillisBehindLatest"] == 0
    assert step.event["Records"][0]["EncryptionType"] == "KMS"
    assert "ChildShards" not in step.event


def test_an_event_without_records_tells_the_last_one_or_the_shards_beginning() -> None:
    step = next_step(stream(*NUMBERS), SHARD, sequence(30), NOON)
    assert (sent(step.event), step.event["ContinuationSequenceNumber"]) == ([], sequence(30))
    step = next_step(stream(), SHARD, "", NOON)
    assert (sent(step.event), step.event["ContinuationSequenceNumber"], step.after) == ([], sequence(1), "")


def test_an_event_is_bounded_and_the_next_one_goes_on() -> None:
    made = stream(*NUMBERS, size=MOST_BYTES // 2 - 10)
    first = next_step(made, SHARD, "", NOON + 31)
    assert (sent(first.event), first.event["MillisBehindLatest"]) == ([10, 20], 1_000)
    assert sent(next_step(made, SHARD, first.after, NOON).event) == [30]


def test_a_closed_shard_is_read_first_and_ends_with_its_children_and_no_number_to_go_on_from() -> None:
    made = closed(*NUMBERS)
    first = next_step(made, SHARD, "", NOON)
    assert (sent(first.event), first.ended) == (NUMBERS, False)
    assert "ChildShards" not in first.event
    last = next_step(made, SHARD, first.after, NOON)
    assert last.ended
    assert (sent(last.event), last.event["ContinuationSequenceNumber"]) == ([], None)
    assert last.event["ChildShards"] == shard_state.children(made, SHARD) != []


def test_a_shard_that_is_gone_has_ended() -> None:
    made = closed()
    expected = shard_state.children(made, SHARD)
    del made["shards"][SHARD]
    last = next_step(made, SHARD, "", NOON)
    assert (last.ended, last.event["ChildShards"]) == (True, expected)


def test_a_message_is_read_by_botocore() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(message("exception", "ResourceInUseException", "taken"))
    found: Any = next(buffer)
    assert found.headers == {
        ":message-type": "exception",
        ":exception-type": "ResourceInUseException",
        ":content-type": "application/json",
    }
    assert json.loads(found.payload) == {"message": "taken"}


class Subscriber:
    """A consumer of a stream of the local platform."""

    def __init__(self, emulator: Emulator) -> None:
        self.kinesis: Any = emulator.client("kinesis")
        self.name = f"fan-{uuid.uuid4().hex[:8]}"
        self.kinesis.create_stream(StreamName=self.name, ShardCount=1)
        summary = self.kinesis.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]
        self.arn = summary["StreamARN"]
        consumer = self.kinesis.register_stream_consumer(StreamARN=self.arn, ConsumerName="c")["Consumer"]
        self.consumer = consumer["ConsumerARN"]
        self.open: list[Any] = []

    def put(self, *data: bytes) -> None:
        records = [{"Data": one, "PartitionKey": "k"} for one in data]
        assert self.kinesis.put_records(StreamName=self.name, Records=records)["FailedRecordCount"] == 0

    def subscribe(self, shard: str = SHARD, **position: Any) -> Iterator[dict[str, Any]]:
        position = position or {"Type": "TRIM_HORIZON"}
        answer = self.kinesis.subscribe_to_shard(ConsumerARN=self.consumer, ShardId=shard, StartingPosition=position)
        self.open.append(answer["EventStream"])
        return (event["SubscribeToShardEvent"] for event in answer["EventStream"])

    def refused(self, **position: Any) -> str:
        with pytest.raises(ClientError) as refused:
            self.subscribe(**position)
        return str(refused.value.response["Error"]["Code"])


@pytest.fixture
def subscriber(emulator: Emulator) -> Iterator[Subscriber]:
    made = Subscriber(emulator)
    yield made
    for events in made.open:
        events.close()
    made.kinesis.delete_stream(StreamName=made.name, EnforceConsumerDeletion=True)


def test_a_subscription_ends_with_its_shard_and_its_children_are_read_next(subscriber: Subscriber) -> None:
    subscriber.put(b"one", b"two")
    events = subscriber.subscribe()
    assert [record["Data"] for record in next(events)["Records"]] == [b"one", b"two"]
    subscriber.kinesis.split_shard(
        StreamName=subscriber.name, ShardToSplit=SHARD, NewStartingHashKey=str(shard_state.HASH_KEYS // 2)
    )
    subscriber.put(b"three")
    *_, last = events  # the stream of events ends by itself
    assert last["Records"] == []
    assert "ContinuationSequenceNumber" not in last
    children = [child["ShardId"] for child in last["ChildShards"]]
    assert children == ["shardId-000000000001", "shardId-000000000002"]
    firsts = [next(subscriber.subscribe(child)) for child in children]
    assert sorted(record["Data"] for event in firsts for record in event["Records"]) == [b"three"]


def test_a_subscription_starts_where_the_last_one_was(subscriber: Subscriber) -> None:
    subscriber.put(b"one", b"two")
    events = subscriber.subscribe(Type="LATEST")
    at = next(events)["ContinuationSequenceNumber"]
    subscriber.put(b"three")
    after = next(one for one in events if one["Records"])
    assert [record["Data"] for record in after["Records"]] == [b"three"]
    assert after["ContinuationSequenceNumber"] == after["Records"][-1]["SequenceNumber"] > at


def test_what_cannot_be_subscribed_to_is_refused(subscriber: Subscriber) -> None:
    assert subscriber.refused(Type="AT_SEQUENCE_NUMBER") == "InvalidArgumentException"
    future = datetime.now(UTC) + timedelta(hours=1)
    assert subscriber.refused(Type="AT_TIMESTAMP", Timestamp=future) == "InvalidArgumentException"
    assert subscriber.refused(shard="shardId-000000000009") == "ResourceNotFoundException"
    events = subscriber.subscribe()
    next(events)
    assert subscriber.refused(Type="LATEST") == "ResourceInUseException"
    subscriber.consumer += "0"
    assert subscriber.refused(Type="LATEST") == "ResourceNotFoundException"


def test_a_subscription_to_a_stream_that_goes_is_told_so(subscriber: Subscriber) -> None:
    events = subscriber.subscribe()
    next(events)
    subscriber.kinesis.delete_stream(StreamName=subscriber.name, EnforceConsumerDeletion=True)
    with pytest.raises(EventStreamError, match="ResourceNotFoundException"):
        next(events)
    subscriber.kinesis.create_stream(StreamName=subscriber.name, ShardCount=1)
