"""What DynamoDB and SNS say to the apply function and to what it is compared with: all goes well."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from threading import local
from typing import Any

import msgspec

from tests.perf import wire
from tests.perf.consuming import describe, saved
from tests.perf.dynamodb import Key, Read
from tests.perf.orders.batches import NEW
from tests.perf.orders.rules import order
from tests.perf.workload import ARRIVED, STREAM
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Entity, Mark, Position
from tidemill_consumers.core.streams import shard_of

TABLE = "perf"


class _Statement(msgspec.Struct):
    Statement: str
    Parameters: list[msgspec.Raw]


class _Write(msgspec.Struct):
    Statements: list[_Statement]


_read, _write = msgspec.json.Decoder(Read), msgspec.json.Decoder(_Write)
_key = msgspec.json.Decoder(Key)


class Table:
    """The table of entities. What is written shows in its items when they are got ready for the next batch, because
    DynamoDB's work is not to be measured."""

    def __init__(self) -> None:
        self._items: dict[str, bytes] = {}
        self._written: list[bytes] = []
        self._call = local()

    def look(self, params: Any) -> None:
        """See how many statements the thread's call has."""
        self._call.statements = len(params["Statements"])

    def answer(self, operation: str, body: bytes) -> bytes:
        """What DynamoDB says."""
        if operation == "BatchGetItem":
            items = self._items
            wanted = [one.pk.S for one in _read.decode(body).RequestItems[TABLE].Keys]
            found = b",".join([items[key] for key in wanted if key in items])
            return b'{"Responses":{"%s":[%s]},"UnprocessedKeys":{}}' % (TABLE.encode(), found)
        if operation == "BatchExecuteStatement":
            self._written.append(body)
            return saved(self._call.statements)
        return b"{}"

    def ready(self, keys: Iterable[str]) -> None:
        """Have an item of each key that is not new, with what was written."""
        for body in self._written:
            for statement in _write.decode(body).Statements:
                if statement.Statement.startswith("INSERT"):
                    continue  # its key never comes again
                *values, pk, expected = map(bytes, statement.Parameters)
                name = _key.decode(pk).S
                assert b'"ver":%s,' % expected in self._items[name]
                fields = b",".join([b'"%s":%s' % one for one in zip(_names(statement.Statement), values, strict=True)])
                self._items[name] = b'{"pk":%s,%s}' % (pk, fields)
        self._written.clear()
        for key in keys:
            if key not in self._items and _rank(key) < NEW:
                self._items[key] = msgspec.json.encode(to_item(_entity(key)))


@cache
def _names(statement: str) -> list[bytes]:
    return [name.encode() for name in re.findall(r"SET (\w+) = \?", statement)]


def _rank(key: str) -> int:
    return int(key.rpartition("/")[2])


def _entity(key: str) -> Entity:
    rank = _rank(key)
    place = Position(49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_580_000 + rank, 3)
    mark = Mark(place, round(ARRIVED - 60 - rank / 1000, 3), place)
    shard = shard_of(STREAM.lives[0].name, "shardId-000000000001")
    return Entity(key=key, version=7, document=order(rank), marks={shard: mark})


class Topic:
    """SNS, where every message is taken."""

    def __init__(self) -> None:
        self._call = local()

    def look(self, params: Any) -> None:
        """See how many messages the thread's call has."""
        self._call.messages = len(params["PublishBatchRequestEntries"])

    def answer(self, operation: str, _: bytes) -> bytes:
        """What SNS says."""
        return _published(self._call.messages) if operation == "PublishBatch" else _PUBLISHED


_PUBLISHED = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    b"<MessageId>567910cd-659e-55d4-8ccb-5aaf14679dc0</MessageId></PublishResult>"
    b"<ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata>"
    b"</PublishResponse>"
)


@cache
def _published(messages: int) -> bytes:
    members = b"".join(
        [
            b"<member><MessageId>567910cd-659e-55d4-8ccb-5aaf14679d%02d</MessageId><Id>%d</Id></member>" % (one, one)
            for one in range(messages)
        ]
    )
    return (
        b'<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Failed/>'
        b"<Successful>%s</Successful></PublishBatchResult>"
        b"<ResponseMetadata><RequestId>d74b8436-ae13-5ab4-a9ff-ce54dfea72a0</RequestId></ResponseMetadata>"
        b"</PublishBatchResponse>" % members
    )


def cut(table: Table, topic: Topic) -> None:
    """Has every boto3 client that is made from now on answered by these."""
    wire.cut(dynamodb=table.answer, kinesis=describe, sns=topic.answer)
    wire.look("dynamodb.BatchExecuteStatement", table.look)
    wire.look("sns.PublishBatch", topic.look)
