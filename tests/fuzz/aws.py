"""AWS in memory as hostile records meet it: what it refuses, and how much of anything it takes.

It never fails of itself: whatever is refused here was caused by what was sent. What a call carries goes through JSON,
as on the wire, so that what has no JSON fails here too, and takes the time that it takes.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any, TypeAlias

import msgspec
from botocore.exceptions import ClientError

from tests.statements import inserted, removed, updated
from tidemill.contract.request import ReplyMessage

Item: TypeAlias = dict[str, Any]

ITEM_BYTES = 400 * 1024
ANSWER_BYTES = 16 * 1024 * 1024
KEY_BYTES = 2048
LEVELS = 32
STATEMENT_CHARACTERS = 8192
NAME_BYTES = 64 * 1024 - 1
DIGITS = 38

MESSAGES_BYTES = 262_144
OBJECT_NAME_BYTES = 1024
RECORD_BYTES = 1024 * 1024
CALL_BYTES = 5 * 1024 * 1024

ALLOWED = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*").fullmatch
"""Texts that SQS takes: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html."""

SECONDS = {"batch_get_item": 0.01, "batch_execute_statement": 0.015, "put_object": 0.03, "publish_batch": 0.02}
SECONDS |= {"put_records": 0.02, "put_item": 0.01, "query": 0.01}
AT_ONCE = {"batch_get_item": 4, "batch_execute_statement": 4, "put_object": 16, "publish_batch": 4, "put_records": 1}
AT_ONCE |= {"put_item": 1, "query": 1}
"""What a call takes on AWS, roughly, and how many of it the function makes at a time."""


def refusal(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class Meter:
    """Calls made, by operation."""

    calls: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def seconds(self) -> float:
        """How long they would have taken on AWS, roughly."""
        return sum(count * SECONDS[name] / AT_ONCE[name] for name, count in self.calls.items())


def wired(value: Any) -> Any:
    """The value as it is after its way over the wire."""
    return msgspec.json.decode(msgspec.json.encode(value))


# ── DynamoDB ─────────────────────────────────────────────────────────────────────────────────────────────────


class Invalid(Exception):
    """What DynamoDB does not store; says why."""


def item_bytes(item: Mapping[str, Any]) -> int:
    """An item's size: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html.

    Raises:
        Invalid: it holds what DynamoDB does not store.
    """
    return sum(_name_bytes(name) + _value_bytes(value, LEVELS) for name, value in item.items())


def _name_bytes(name: str) -> int:
    size = len(name.encode())
    if not 0 < size <= NAME_BYTES:
        raise Invalid(f"an attribute name of {size} bytes")
    return size


def _value_bytes(value: Mapping[str, Any], levels: int) -> int:
    ((kind, inner),) = value.items()
    match kind:
        case "S":
            return len(inner.encode())
        case "N":
            digits = re.sub(r"[eE].*|[-.]", "", inner).strip("0")
            if len(digits) > DIGITS or not re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", inner):
                raise Invalid(f"the number {inner[:50]}")
            return len(digits) // 2 + 2
        case "BOOL" | "NULL":
            return 1
        case "B":
            return len(b64decode(inner))
        case "SS":
            return sum(len(text.encode()) for text in inner)
    if levels == 0:
        raise Invalid("nested too deeply")
    if kind == "L":
        return 3 + sum(1 + _value_bytes(child, levels - 1) for child in inner)
    assert kind == "M", kind
    return 3 + sum(1 + _name_bytes(name) + _value_bytes(child, levels - 1) for name, child in inner.items())


class Tables:
    """DynamoDB, as BatchGetItem and BatchExecuteStatement, with tables made where they are named."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.tables: defaultdict[str, dict[str, Item]] = defaultdict(dict)
        self._sizes: dict[int, int] = {}
        self.largest = 0
        """Bytes of the largest item that anybody tried to save."""
        self.refused: list[str] = []
        """Why statements were that nothing can mend."""

    def put(self, table: str, item: Item, size: int) -> None:
        """Store an item of so many bytes as an outsider does."""
        self.tables[table][item["pk"]["S"]] = item
        self._sizes[id(item)] = size

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:
        self._meter.calls["batch_get_item"] += 1
        ((name, wanted),) = wired(RequestItems).items()
        keys = [key["pk"]["S"] for key in wanted["Keys"]]
        if not 0 < len(keys) <= 100 or len(set(keys)) < len(keys):
            raise refusal("ValidationException", f"{len(keys)} keys, or one twice", "BatchGetItem")
        if not all(0 < len(key.encode()) <= KEY_BYTES for key in keys):
            raise refusal("ValidationException", "a key that is empty or too long", "BatchGetItem")
        found: list[Item] = []
        room = ANSWER_BYTES
        rest: list[str] = []
        for place, key in enumerate(keys):
            item = self.tables[name].get(key)
            if item is None:
                continue
            room -= self._size_of(item)
            if room < 0:
                rest = keys[place:]
                break
            found.append(item)
        answer = wired({"Responses": {name: found}})
        if rest:
            answer["UnprocessedKeys"] = {name: {**wanted, "Keys": [{"pk": {"S": key}} for key in rest]}}
        return answer  # type: ignore[no-any-return] # as JSON is

    def _size_of(self, item: Item) -> int:
        """Items are replaced, never changed."""
        if id(item) not in self._sizes:
            self._sizes[id(item)] = item_bytes(item)
        return self._sizes[id(item)]

    def batch_execute_statement(
        self, Statements: Sequence[dict[str, Any]], ReturnConsumedCapacity: str
    ) -> dict[str, Any]:
        self._meter.calls["batch_execute_statement"] += 1
        if not 0 < len(Statements) <= 25:
            raise refusal("ValidationException", f"{len(Statements)} statements", "BatchExecuteStatement")
        statements = wired(Statements)
        if any(len(one["Statement"]) > STATEMENT_CHARACTERS for one in statements):
            raise refusal("ValidationException", "a statement that is too long", "BatchExecuteStatement")
        named = [_saved(**one) for one in statements]
        keys = [item["pk"]["S"] for _, item, _ in named]
        if len(set(keys)) < len(keys):
            raise refusal("ValidationException", "two statements of one item", "BatchExecuteStatement")
        return {"Responses": [self._execute(*one) for one in named]}

    def _execute(self, table: str, item: Item, version: str | None) -> dict[str, Any]:
        items, key = self.tables[table], item["pk"]["S"]
        before = items.get(key)
        # What another stream's function saved meanwhile is nobody's fault.
        if version is None and before is not None:
            return _failed("DuplicateItem", key)
        if version is not None and (before is None or before["ver"]["N"] != version):
            return _failed("ConditionalCheckFailed", key)
        whole = {name: value for name, value in {**(before or {}), **item}.items() if value is not None}
        try:
            size = item_bytes(whole)
        except Invalid as problem:
            return self._refuse(str(problem))
        self.largest = max(self.largest, size)
        if size > ITEM_BYTES or not 0 < len(key.encode()) <= KEY_BYTES:
            return self._refuse(f"an item of {size} bytes under a key of {len(key)} characters")
        items[key] = whole
        self._sizes[id(whole)] = size
        if before is not None:
            self._sizes.pop(id(before), None)
        return {}

    def _refuse(self, why: str) -> dict[str, Any]:
        self.refused.append(why[:200])
        return _failed("ValidationError", why)


def _failed(code: str, why: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": why}}


def _saved(Statement: str, Parameters: list[Any]) -> tuple[str, Item, str | None]:
    """The table, what is to be saved, and the version that must be there; None where nothing may be."""
    table = Statement.split('"')[1]
    if Statement.startswith("INSERT"):
        return table, dict(zip(inserted(Statement), Parameters, strict=True)), None
    names, conditions = updated(Statement)
    wanted = dict(zip(conditions, Parameters[len(names) :], strict=True))
    item = dict.fromkeys(removed(Statement)) | dict(zip(names, Parameters[: len(names)], strict=True))
    return table, {**item, "pk": wanted["pk"]}, wanted["ver"]["N"]


class ForgottenTable:
    """DynamoDB, as PutItem and Query of a table with a sort key, in a time that no delivery notices."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._items: defaultdict[str, dict[str, Item]] = defaultdict(dict)

    def put_item(self, TableName: str, Item: Item) -> dict[str, Any]:
        self._meter.calls["put_item"] += 1
        if item_bytes(wired(Item)) > ITEM_BYTES:
            raise refusal("ValidationException", "Item size has exceeded the maximum allowed size", "PutItem")
        self._items[Item["pk"]["S"]][Item["sk"]["S"]] = Item
        return {}

    def query(self, ExpressionAttributeValues: dict[str, Any], **_: object) -> dict[str, Any]:
        self._meter.calls["query"] += 1
        of_shard = self._items[ExpressionAttributeValues[":shard"]["S"]]
        since = ExpressionAttributeValues[":since"]["S"]
        return {"Items": [of_shard[name] for name in sorted(of_shard, reverse=True) if name >= since]}


# ── S3, SNS and Kinesis ──────────────────────────────────────────────────────────────────────────────────────


class Bucket:
    """S3, as PutObject."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.objects: dict[str, bytes] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes, **_: str) -> dict[str, Any]:
        self._meter.calls["put_object"] += 1
        if not 0 < len(Key.encode()) <= OBJECT_NAME_BYTES:
            raise refusal("KeyTooLongError", "Your key is too long", "PutObject")
        self.objects[Key] = bytes(Body)
        return {"ETag": md5(Body).hexdigest(), "ResponseMetadata": {"HTTPStatusCode": 200}}


_message_decoder = msgspec.json.Decoder(ReplyMessage)


class Topic:
    """SNS, as PublishBatch. What is published is heard at once."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.heard: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        """By request id: whom it was told to, and what."""
        self.refused = 0

    def publish_batch(self, TopicArn: str, PublishBatchRequestEntries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        self._meter.calls["publish_batch"] += 1
        entries = wired(PublishBatchRequestEntries)
        if not 0 < len(entries) <= 10:
            raise refusal("TooManyEntriesInBatchRequest", f"{len(entries)} entries", "PublishBatch")
        if sum(map(_message_bytes, entries)) > MESSAGES_BYTES:
            raise refusal("BatchRequestTooLong", "The length of all the messages put together", "PublishBatch")
        if any(not one["MessageAttributes"]["client"]["StringValue"] for one in entries):
            raise refusal("ParameterValueInvalid", "must contain non-empty message attribute value", "PublishBatch")
        failed, successful = [], []
        for one in entries:
            client, message = one["MessageAttributes"]["client"]["StringValue"], one["Message"]
            if ALLOWED(client) and ALLOWED(message):
                receipts = _message_decoder.decode(message)
                assert receipts.client == client
                for reply in receipts.replies:
                    self.heard[reply.id].append((client, reply.status))
                successful.append({"Id": one["Id"], "MessageId": one["Id"]})
            else:
                failed.append({"Id": one["Id"], "Code": "InvalidParameter", "SenderFault": True, "Message": "no"})
        self.refused += len(failed)
        return {"Successful": successful, "Failed": failed}


def _message_bytes(entry: Mapping[str, Any]) -> int:
    value = entry["MessageAttributes"]["client"]["StringValue"]
    return len(entry["Message"].encode()) + len("client") + len("String") + len(value.encode())


class Kinesis:
    """A stream of one shard, as PutRecords: whoever drives the pipe reads `put`."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.put: list[tuple[str, bytes]] = []
        self.count = 0

    def put_records(self, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        self._meter.calls["put_records"] += 1
        sizes = [len(one["Data"]) + len(one["PartitionKey"].encode()) for one in Records]
        if not 0 < len(Records) <= 500 or max(sizes) > RECORD_BYTES or sum(sizes) > CALL_BYTES:
            raise refusal("ValidationException", "too many or too large", "PutRecords")
        if not all(0 < len(one["PartitionKey"]) <= 256 for one in Records):
            raise refusal("ValidationException", "a partition key", "PutRecords")
        self.put += [(one["PartitionKey"], bytes(one["Data"])) for one in Records]
        return {"Records": [self._entry(one) for one in Records]}

    def _entry(self, record: Mapping[str, Any]) -> dict[str, str]:
        self.count += 1
        place = record.get("ExplicitHashKey") or str(int.from_bytes(md5(record["PartitionKey"].encode()).digest()))
        assert 0 <= int(place) < 2**128
        return {"ShardId": "shardId-000000000000", "SequenceNumber": str(self.count)}
