"""The apply function, exactly once, through real boto3 with the network cut off, against AWS Lambda Powertools.

Rows A and B are a handler of one record that reads it with pydantic and updates an item, and the same made idempotent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from threading import local
from typing import Any

import boto3
import msgspec
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord

from tests.perf import wire
from tests.perf.decoding import Model
from tests.perf.dynamodb import Key, Read
from tests.perf.measure import AT_MOST, Result, faster, result
from tests.perf.powertools import Context, handler_of, idempotent
from tests.perf.workload import ARRIVED, CREATED, KEYS, STREAM, aggregated_event, key_of, payloads, plain_event
from tidemill_consumers.apply import Response, handler
from tidemill_consumers.codec.events import KinesisEvent
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.composition import application
from tidemill_consumers.core.batch import Entity, Mark, Position
from tidemill_consumers.core.folding.writers import entry
from tidemill_consumers.core.streams import shard_of

TABLE = "perf"
A_BATCH, B_BATCH = 500, 200
BATCH = 10_000
AGGREGATED_BATCH = 21_000
"""As many requests as 6 MB of aggregates hold."""


# ── Against Powertools ───────────────────────────────────────────────────────────────────────────────────────


def consumer(pairs: int) -> list[Result]:
    """Plain records."""
    return [
        _against("consumer_vs_powertools", row_a(), A_BATCH, PLAIN, 20.0, pairs),
        _against("consumer_vs_powertools_idempotent", row_b(), B_BATCH, PLAIN, 70.0, pairs),
    ]


def consumer_aggregated(pairs: int) -> list[Result]:
    """Aggregates; what is compared with still has plain records."""
    return [
        _against("consumer_aggregated_vs_powertools", row_a(), A_BATCH, AGGREGATED, 28.0, pairs),
        _against("consumer_aggregated_vs_powertools_idempotent", row_b(), B_BATCH, AGGREGATED, 100.0, pairs),
    ]


def consumer_write_calls(_: int) -> list[Result]:
    """Write calls for each request of a full batch."""
    applied = ours(*PLAIN.next())["applied"]
    assert applied["requests"] == BATCH
    calls = applied["write_calls"] / applied["requests"]
    return [result("consumer_write_calls", [calls], 0.02, f"DynamoDB write calls a request, {AT_MOST}")]


class Batches:
    """Batches as they come one after another: each of new requests, for keys that are drawn anew.

    So our function's environment is as warm as it is after as many: half of a second batch's entities are remembered
    from the first, and nine in ten of the tenth's.
    """

    def __init__(self, make: Callable[[Any, int], KinesisEvent], requests: int) -> None:
        self.requests = requests
        self._make = make

    def next(self) -> tuple[KinesisEvent]:
        """The next, as Lambda's runtime reads it."""
        show_written()
        batch = next(_numbers)
        return (json.loads(json.dumps(self._make(payloads(self.requests, batch), batch))),)


_numbers = count()
PLAIN, AGGREGATED = Batches(plain_event, BATCH), Batches(aggregated_event, AGGREGATED_BATCH)


def _against(name: str, row: Callable[[Any], Any], batch: int, batches: Batches, goal: float, pairs: int) -> Result:
    theirs = plain_event(payloads(batch))
    assert row(theirs) == {"batchItemFailures": []}
    forget()
    requests = batches.requests

    def apply(event: KinesisEvent) -> None:
        response = ours(event)
        assert (response["batchItemFailures"], response["applied"]["requests"]) == ([], requests)
        assert response["applied"]["write_calls"] > 0

    unit = "Powertools' requests/s"
    return faster(name, lambda: row(theirs), apply, goal, unit, pairs, times=requests / batch, make=batches.next)


# ── Rows A and B ─────────────────────────────────────────────────────────────────────────────────────────────


def row_a() -> Callable[[Any], Any]:
    """An item's update for each record."""
    return handler_of(_count_view())


def row_b() -> Callable[[Any], Any]:
    """Row A, which does nothing for a request that was done before."""
    return handler_of(idempotent(_count_view()))


def _count_view() -> Callable[[KinesisStreamRecord], None]:
    wire.cut(dynamodb=answer)
    dynamodb = boto3.client("dynamodb")

    def count_view(record: KinesisStreamRecord) -> None:
        request = Model.model_validate(record.kinesis.data_as_json())
        dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": request.key or ""}},
            UpdateExpression="ADD #views :one",
            ExpressionAttributeNames={"#views": "views"},
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    return count_view


# ── The apply function ───────────────────────────────────────────────────────────────────────────────────────


def ours(event: KinesisEvent) -> Response:
    """What Lambda calls, with the media application's rules."""
    _prepare()
    return handler(event, Context())


def _count(params: Any) -> None:
    _call.statements = len(params["Statements"])


def forget() -> None:
    """Have the next batch met by a new environment."""
    _prepare.cache_clear()
    application.cache_clear()


@cache
def _prepare() -> None:
    wire.cut(dynamodb=answer, kinesis=describe)
    wire.look("dynamodb.BatchExecuteStatement", _count)
    os.environ.update(
        TIDEMILL_RULES="tidemill_consumers.media",
        TIDEMILL_RETENTION_HOURS="24",
        TIDEMILL_REMEMBERED_MIB="16",
        TIDEMILL_RULE_SECONDS="5",
        TIDEMILL_TABLE=TABLE,
        TIDEMILL_DEVICES_TABLE="devices",
        TIDEMILL_DELIVERIES_TABLE="deliveries",
        TIDEMILL_FORGOTTEN_WRITERS_TABLE="forgotten",
        TIDEMILL_REPEAT_HORIZON_SECONDS="3600",
        TIDEMILL_EMIT_DEPTH="16",
        TIDEMILL_AGGREGATED_STREAM_ARN="",
        TIDEMILL_ANALYTICS_PERIODS="",
        TIDEMILL_TRACES="off",
        TIDEMILL_TRACES_HEADERS_SECRET_ARN="",
        TIDEMILL_QUARANTINE_BUCKET="quarantine",
        TIDEMILL_CONTENT_BUCKET="content",
        TIDEMILL_REPLIES_TOPIC_ARN="arn:aws:sns:us-east-1:000000000000:replies",
        TIDEMILL_STREAM="perf",
        TIDEMILL_APPLICATION_SECRET_ARN="",
    )
    application()


class _Statement(msgspec.Struct):
    Parameters: list[msgspec.Raw]


class _Write(msgspec.Struct):
    Statements: list[_Statement]


_read, _write = msgspec.json.Decoder(Read), msgspec.json.Decoder(_Write)
UPDATED = (b"ver", b"doc", b"marks", b"writers", b"recent")
"""What a statement sets, in its order; the key and the version that it expects follow."""

_call = local()
"""The thread's: how many statements it has."""

_written: list[bytes] = []
"""The bodies of writes that the items do not show yet: DynamoDB's work is not to be measured."""


def answer(operation: str, body: bytes) -> bytes:
    """What DynamoDB says: every entity is there, at first as an earlier batch left it, no note of progress
    is, and every write succeeds."""
    if operation == "BatchGetItem":
        items = _items()
        wanted = [one.pk.S for one in _read.decode(body).RequestItems[TABLE].Keys]
        found = b",".join([items[key] for key in wanted if key in items])
        return b'{"Responses":{"%s":[%s]},"UnprocessedKeys":{}}' % (TABLE.encode(), found)
    if operation == "BatchExecuteStatement":
        _written.append(body)
        return saved(_call.statements)
    return b"{}"


@cache
def saved(count: int) -> bytes:
    """What DynamoDB says of so many statements that succeed."""
    name = TABLE.encode()
    responses = b",".join([b'{"TableName":"%s"}' % name] * count)
    units = b",".join([b'{"TableName":"%s","CapacityUnits":1.0}' % name] * count)
    return b'{"Responses":[%s],"ConsumedCapacity":[%s]}' % (responses, units)


def describe(operation: str, body: bytes) -> bytes:
    """What Kinesis says of the stream."""
    return b'{"StreamDescriptionSummary":{"StreamARN":"%s","StreamCreationTimestamp":%.1f}}' % (
        STREAM.arn.encode(),
        CREATED,
    )


def show_written() -> None:
    """Have the items show what was written. Each write was of the version that it expected: nobody else writes."""
    items = _items()
    for body in _written:
        for statement in _write.decode(body).Statements:
            *values, key, expected = map(bytes, statement.Parameters)
            name = msgspec.json.decode(key, type=Key).S
            assert b'"ver":%s,' % expected in items[name]
            items[name] = _item(key, values)
    _written.clear()


@cache
def _items() -> dict[str, bytes]:
    return {entity.key: msgspec.json.encode(to_item(entity)) for entity in map(_entity, range(KEYS))}


def _item(key: bytes, values: Sequence[bytes]) -> bytes:
    return b'{"pk":%s,%s}' % (key, b",".join([b'"%s":%s' % one for one in zip(UPDATED, values, strict=True)]))


def _entity(rank: int) -> Entity:
    """A content with some views, which came from another shard and two writers."""
    arrived = round(ARRIVED - 60 - rank / 1000, 3)
    place = Position(49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_580_000 + rank, 3)
    return Entity(
        key=key_of(rank),
        version=7,
        document={"title": f"Content {rank}", "owner": f"user-{rank % 97}", "views": 1_000_000 // (rank + 1)},
        marks={shard_of(STREAM.lives[0].name, "shardId-000000000001"): Mark(place, arrived, place)},
        writers=b"".join([entry(f"writer-{n}-{rank:04}", rank + n, 12_345 + n) for n in range(2)]),
        recent={},
    )
