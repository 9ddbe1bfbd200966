"""The meter on DynamoDB and S3: what AWS would bill, whatever the emulator says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from msgspec.structs import replace

from tidemill.contract.request import Json, Reply
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import (
    Blob,
    Emitted,
    Entity,
    Forgotten,
    Mark,
    Object,
    Position,
    Write,
    ref,
)
from tidemill_consumers.core.outcomes import kept
from tidemill_consumers.isolation.deliveries import Deliveries
from tidemill_consumers.metering.capacity import Meter, Usage, item_size

Clients: TypeAlias = Callable[[str], Any]
Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]

PLACE = Position(10**55, 3)


def entity(key: str, size: int = 0, version: int = 1) -> Entity:
    return Entity(key, version, {"text": "x" * size})


def write(becomes: Entity) -> Write:
    return Write(becomes.key, becomes.version - 1, becomes, Position(1, 0), (), (), None)


@pytest.fixture
def dynamodb(new_client: Clients) -> Any:
    return new_client("dynamodb")


@pytest.fixture
def meter(dynamodb: Any, forgotten_table: str) -> Meter:
    return Meter(dynamodb.meta.events, forgotten_table)


@pytest.fixture
def entities(dynamodb: Any, meter: Meter, table: str) -> Entities:
    return Entities(dynamodb, table)


def test_a_write_costs_a_unit_for_each_kilobyte_begun(entities: Entities, meter: Meter) -> None:
    entities.save([write(entity("a")), write(entity("b", 2_000))])
    assert meter.take() == Usage(write_calls=1, write_units=1 + 2)


def test_the_note_of_a_delivery_costs_a_unit_and_one_that_was_refused_too(
    dynamodb: Any, meter: Meter, table: str
) -> None:
    deliveries = Deliveries(dynamodb, table)
    deliveries.begin("s", 1, 2)
    assert meter.take() == Usage(write_calls=1, write_units=1)
    deliveries.begin("s", 1, 2)
    assert meter.take() == Usage(write_calls=2, write_units=2)
    Deliveries(dynamodb, "nowhere").begin("s", 1, 2)
    assert meter.take() == Usage(write_calls=1)


def test_forgotten_writers_cost_by_their_bytes_and_are_counted_apart(
    dynamodb: Any, meter: Meter, forgotten_table: str
) -> None:
    table = ForgottenWriters(dynamodb, forgotten_table, 3600.0)
    gone = Forgotten("s", bytes(8 * 200), bytes(6 * 200))
    made = Write("k", 0, Entity("k", forgotten=1_764_000_000.0), Position(1, 0), (), (), None, forgotten=gone)
    assert table.keep([made]) == set()
    assert meter.take() == Usage(write_calls=1, write_units=3, forgotten_units=3)


def test_the_larger_of_before_and_after_counts(entities: Entities, meter: Meter) -> None:
    entities.save([write(entity("a", 5_000))])
    meter.take()
    entities.load(["a"])
    entities.save([write(entity("a", 10, version=2))])
    assert meter.take() == Usage(1, 1, 2, 5)


def test_a_read_costs_a_unit_for_four_kilobytes_begun_and_for_what_is_not_there(
    entities: Entities, meter: Meter
) -> None:
    entities.save([write(entity("a")), write(entity("b", 9_000))])
    meter.take()
    entities.load(["a", "b", "none"])
    assert meter.take() == Usage(read_calls=1, read_units=1 + 3 + 1)


def test_a_refused_condition_costs_what_it_would_have(entities: Entities, meter: Meter) -> None:
    entities.save([write(entity("a"))])
    meter.take()
    assert entities.save([write(entity("a", 1_500))]) == {"a": None}
    assert meter.take() == Usage(write_calls=1, write_units=2)


def test_calls_that_are_split_are_counted_each(entities: Entities, meter: Meter) -> None:
    entities.save([write(entity(str(n))) for n in range(60)])
    entities.load([str(n) for n in range(150)])
    assert meter.take() == Usage(2, 3, 150, 60)
    assert meter.take() == Usage()


def test_a_query_costs_what_its_items_have_together(meter: Meter, dynamodb: Any, forgotten_table: str) -> None:
    for n in range(3):
        item: Any = {"pk": {"S": "s"}, "sk": {"S": f"{n}"}, "digests": {"B": b"d" * 3000}}
        dynamodb.put_item(TableName=forgotten_table, Item=item)
    assert meter.take() == Usage(write_calls=3, write_units=9, forgotten_units=9)
    query: Any = {"TableName": forgotten_table, "KeyConditionExpression": "pk = :s"}
    query["ExpressionAttributeValues"] = {":s": {"S": "s"}}
    dynamodb.query(**query, ConsistentRead=True)
    dynamodb.query(**query)
    assert meter.take() == Usage(read_calls=2, read_units=3 + 1.5)


def test_a_call_that_fails_uses_nothing(entities: Entities, dynamodb: Any, meter: Meter) -> None:
    nowhere = Entities(dynamodb, "nowhere")
    assert nowhere.save([write(entity("a"))]) == {"a": None}
    assert meter.take().write_calls == 1
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        nowhere.load(["a"])
    assert meter.take() == Usage(read_calls=1)


def of_objects(key: str, *blobs: Blob) -> Write:
    objects = tuple(Object(ref(one)["object"], one.data, one.content_type) for one in blobs)
    return replace(write(entity(key)), objects=objects)


def test_an_object_costs_a_put_and_one_that_is_there_a_refused_put_and_a_look(
    new_client: Clients, content_bucket: str
) -> None:
    s3 = new_client("s3")
    meter = Meter(s3.meta.events)
    objects = ObjectStore(s3, content_bucket, 3600.0)
    assert objects.store([of_objects("a", Blob(b"x" * 100), Blob(b"y" * 50))]) == set()
    assert meter.take() == Usage(object_puts=2, object_bytes=150)
    assert objects.store([of_objects("b", Blob(b"x" * 100))]) == set()
    assert meter.take() == Usage(object_puts=1, object_heads=1)


def test_s3_bills_what_it_refuses_and_not_its_own_failures(stub: Stub) -> None:
    s3, stubber = stub("s3")
    meter = Meter(s3.meta.events)
    stubber.add_client_error("put_object", "AccessDenied", http_status_code=403)
    stubber.add_client_error("put_object", "SlowDown", http_status_code=503)
    stubber.add_client_error("get_object", "NoSuchKey", http_status_code=404)
    stubber.add_client_error("get_object", "InternalError", http_status_code=500)
    stubber.add_client_error("head_object", "503", http_status_code=503)
    calls = [(s3.put_object, {"Body": b"four"})] * 2 + [(s3.get_object, {})] * 2 + [(s3.head_object, {})]
    with stubber:
        for call, more in calls:
            with pytest.raises(ClientError):
                call(Bucket="b", Key="k", **more)
    assert meter.take() == Usage(object_puts=1, upload_gets=1)


@pytest.mark.parametrize("version", [1, 7])
def test_a_statement_is_as_large_as_the_item_that_it_makes(
    entities: Entities, meter: Meter, dynamodb: Any, table: str, version: int
) -> None:
    """By the names that stand in the statement: another form of it must be noticed here."""
    full = replace(
        entity("a", 700, version),
        marks={"shardId-000000000000": Mark(PLACE, 1.5, PLACE)},
        writers=b"w" * 16,
        recent={"id": kept("id", Reply("id", "rejected", error="x" * 300))},
        emitted=1,
        emits=(Emitted("s", PLACE, ()),),
    )
    if version > 1:
        entities.save([write(replace(full, version=1, recent={}))])
        for n in range(2, version):
            entities.save([write(replace(full, version=n, recent={}))])
    meter.take()
    assert entities.save([write(full)]) == {}
    (stored,) = dynamodb.scan(TableName=table)["Items"]
    assert 1_024 < item_size(stored) == item_size(to_item(full)) < 2_048
    assert meter.take().write_units == 2


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "äb"}, 3),
        ({"N": "0"}, 1),
        ({"N": "-12.5"}, 3),
        ({"N": "1200"}, 2),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
    ],
)
def test_values_have_the_sizes_that_aws_names(value: Json, size: int) -> None:
    assert item_size({"name": value}) == 4 + size
    assert item_size({"n": {"M": {"ab": value}}}) == 1 + 3 + 1 + 2 + size
    assert item_size({"n": {"L": [value, value]}}) == 1 + 3 + 2 * (1 + size)
