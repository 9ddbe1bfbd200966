"""The apply function's tables in another DynamoDB than the platform's. Run by `make test-ecosystem`.

TIDEMILL_DYNAMODB names one that runs, such as DynamoDB Local; nothing here fetches it, for its terms are its vendor's.
Batches are applied twice, with its tables and with the platform's; answers, quarantine and every item must be alike.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from tests.consumers.tidemill_consumers.test_apply import aggregate, batch
from tests.described import Described
from tidemill.contract.request import Document, Request
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.apply import Response, apply
from tidemill_consumers.codec.entity_cache import EntityCache
from tidemill_consumers.codec.events import KinesisEvent
from tidemill_consumers.composition import Application
from tidemill_consumers.isolation.deliveries import Deliveries
from tidemill_consumers.media import RULES
from tidemill_local.emulator import Emulator

pytestmark = pytest.mark.timeout(300)
URL = os.environ.get("TIDEMILL_DYNAMODB")
KEYS = 60
"""Entities: more than one call saves."""


@pytest.fixture
def other() -> Iterator[Any]:
    """A client of the other DynamoDB."""
    if not URL:
        pytest.skip("TIDEMILL_DYNAMODB names no DynamoDB to compare with, such as a DynamoDB Local that runs")
    client: Any = boto3.client(
        "dynamodb",
        endpoint_url=URL,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}, retries={"total_max_attempts": 2}),
    )
    try:
        client.list_tables()
    except BotoCoreError as error:
        pytest.skip(f"TIDEMILL_DYNAMODB: {error}")
    yield client
    client.close()


def request(n: int, cmd: str, key: str, data: Document) -> Request:
    return Request(id=f"i{n}", cmd=cmd, key=key, client="ann", writer="w", counter=n, data=data)


def batches() -> list[KinesisEvent]:
    """New entities, changed ones, a repeat, an aggregate, what is refused, what is quarantined, and large documents."""
    titles = [f"title {n}" + "é" * n * 20 for n in range(KEYS)]
    made = [
        request(n, "content.publish", f"content/{n}", {"title": titles[n], "owner": f"user/{n % 3}"})
        for n in range(KEYS)
    ]
    views = [request(KEYS + n, "content.view", f"content/{n % 7}", {}) for n in range(200)]
    odd = [request(300, "content.update", "content/1", {"title": 7}), request(301, "unheard.of", "content/2", {})]
    large = [
        request(302, "event.track", "event/1", {"text": "x" * 50_000, "number": 1.5, "none": None, "list": [1, "é"]})
    ]
    gone = [request(303, "content.delete", "content/3", {})]
    folded: KinesisEvent = {
        "Records": [aggregate(400, [request(400 + n, "content.like", f"content/{n}", {}) for n in range(30)])]
    }
    return [batch(*made), batch(*views), batch(*views[100:], *odd), batch(*large, *gone), folded, folded]


class Side:
    """The apply function with the tables of one DynamoDB; what its other services hold is the platform's."""

    def __init__(self, dynamodb: Any, emulator: Emulator) -> None:
        name = f"side-{uuid.uuid4().hex[:8]}"
        self._dynamodb, self._s3, self._name = dynamodb, emulator.client("s3"), name
        kinesis: Any = emulator.client("kinesis")
        kinesis.create_stream(StreamName=name, ShardCount=1)
        self._s3.create_bucket(Bucket=name)
        for table in (name, f"{name}-deliveries"):
            dynamodb.create_table(
                TableName=table,
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                BillingMode="PAY_PER_REQUEST",
            )
        dynamodb.create_table(
            TableName=f"{name}-forgotten",
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self._app = Application(
            rules=RULES,
            retention=86_400.0,
            entities=Entities(dynamodb, name, cache=EntityCache(1 << 20)),
            quarantine=Quarantine(self._s3, name),
            objects=ObjectStore(self._s3, name, 86_400.0),
            replies=Replies(emulator.client("sns"), emulator.client("sns").create_topic(Name=name)["TopicArn"]),
            emits=Emits(kinesis, name),
            streams=Streams(cast("Any", Described()), "requests"),
            forgotten=ForgottenWriters(dynamodb, f"{name}-forgotten", 3600.0),
            deliveries=Deliveries(dynamodb, f"{name}-deliveries"),
        )

    def apply(self, event: KinesisEvent) -> Response:
        return apply(event, self._app)

    def interfere(self, key: str) -> None:
        """Save an entity behind the function's back: it remembers an older one, and meets a conflict."""
        self._dynamodb.update_item(
            TableName=self._name,
            Key={"pk": {"S": key}},
            UpdateExpression="SET ver = ver + :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    @property
    def items(self) -> dict[str, Any]:
        """Every entity as it is stored, by its key."""
        pages = self._dynamodb.get_paginator("scan").paginate(TableName=self._name, ConsistentRead=True)
        return {item["pk"]["S"]: item for page in pages for item in page["Items"]}

    @property
    def quarantined(self) -> list[str]:
        return [found["Key"] for found in self._s3.list_objects_v2(Bucket=self._name).get("Contents", [])]


def test_another_dynamodb_ends_with_the_same_items(other: Any, emulator: Emulator) -> None:
    theirs, ours = Side(other, emulator), Side(emulator.client("dynamodb"), emulator)
    for number, event in enumerate(batches()):
        if number:
            for side in (theirs, ours):
                side.interfere("content/1")
        assert theirs.apply(event) == ours.apply(event), number
    assert len(ours.items) >= KEYS
    assert theirs.items == ours.items
    assert theirs.quarantined == ours.quarantined
    assert ours.items["content/0"]["doc"]["M"]["views"] == {"N": "29"}
