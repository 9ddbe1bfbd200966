"""AWS in memory: the calls that the pipeline makes, with the semantics that correctness rests on."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import msgspec
from botocore.exceptions import ClientError
from greenlet import getcurrent, greenlet

from tests.item_size import item_bytes
from tests.simulation.world import World, error
from tests.statements import inserted, removed, updated
from tidemill.contract.lanes import LANES
from tidemill.contract.places import object_names
from tidemill.contract.request import ReplyMessage
from tidemill_consumers.core.streams import life_of, shard_of
from tidemill_event_source.shard_reader import Page, StreamRecord

ARN = "arn:aws:kinesis:us-east-1:111122223333:stream/"
HASH_KEYS = 2**128
LANE = HASH_KEYS // LANES
"""Hash keys of a lane, where there are as many as usual."""

RETENTION = 86_400.0
"""Seconds that the stream keeps a record."""

ITEM_BYTES = 400 * 1024
SKEW = 0.9
"""Seconds that a server's clock, which the header `Date` is by, may be off the stream's."""


# ── The stream ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class StreamShard:
    """A shard: a range of hash keys, and what was put on it."""

    low: int
    high: int
    sequence: int
    parents: tuple[str, ...] = ()
    records: list[StreamRecord] = field(default_factory=list)
    places: dict[str | None, int] = field(default_factory=lambda: {None: 0})
    """Sequence number -> how many records stand up to it."""
    times: list[float] = field(default_factory=list)
    """When its records were put."""
    closed: bool = False


class Stream:
    """A Kinesis stream with shards that split and merge. It may be deleted, and made again under its name.

    Args:
        world: the world.
        shards: how many at first.
        name: what it is called.
        starts: where its shards' sequence numbers begin, in the order in which they are made; chance has the rest.
    """

    def __init__(self, world: World, shards: int, name: str = "requests", starts: list[int] | None = None) -> None:
        self._world = world
        self._shards = shards
        self.name = name
        self.starts = [] if starts is None else starts
        self.shards: dict[str, StreamShard] = {}
        self._homes: dict[str, str] = {}
        """The shard of each hash key or partition key that was met, until shards change."""
        self.log: list[tuple[str, StreamRecord]] = []
        """All that was ever put, and the shards, as marks name them."""
        self.is_closing = False
        """Whether nothing is to be put any more, for it is about to be deleted."""
        self.make()

    def make(self) -> None:
        """Make it; again, with the same shards whose numbers begin where they began before."""
        self.created = self._world.now
        self.life = life_of(ARN + self.name, self.created).name
        self.is_there = True
        self._made = 0
        width = HASH_KEYS // self._shards
        for number in range(self._shards):
            high = HASH_KEYS if number == self._shards - 1 else (number + 1) * width
            self._make(number * width, high)

    def delete(self) -> None:
        """Delete it with all its records."""
        self.is_there = False
        self.shards.clear()
        self._homes.clear()

    def _make(self, low: int, high: int, *parents: str) -> None:
        # Nothing may rest on how a child's numbers compare with its parent's. They become longer as they grow, too:
        # as text "9…" is above "10…".
        if self._made == len(self.starts):
            digits = self._world.random.randint(20, 22)
            self.starts.append(10**digits - self._world.random.randrange(100) * 10**17)
        sequence = self.starts[self._made]
        self.shards[f"shardId-{self._made:012d}"] = StreamShard(low, high, sequence, parents)
        self._made += 1
        self._homes.clear()

    def put(self, partition_key: str, data: bytes, hash_key: str | None = None) -> tuple[str, str]:
        """Store a record: the shard and the sequence number.

        Raises:
            ClientError: it is deleted.
        """
        if not self.is_there:
            raise error("ResourceNotFoundException")
        name = self._homes.get(hash_key or partition_key) or self._home(partition_key, hash_key)
        shard = self.shards[name]
        shard.sequence += 1 + self._world.random.getrandbits(59)
        arrived = datetime.fromtimestamp(self._world.now, UTC)
        record = StreamRecord(name, str(shard.sequence), partition_key, data, arrived)
        shard.records.append(record)
        shard.places[record.sequence] = len(shard.records)
        shard.times.append(self._world.now)
        self.log.append((shard_of(self.life, name), record))
        return name, record.sequence

    def date(self) -> int:
        """The time of an answer's header `Date`: in whole seconds, by the clock of some server of the stream's."""
        return int(self._world.now + self._world.random.uniform(-SKEW, SKEW))

    def _home(self, partition_key: str, hash_key: str | None) -> str:
        place = int(hash_key) if hash_key else int.from_bytes(md5(partition_key.encode()).digest(), "big")
        name = next(n for n, shard in self.shards.items() if not shard.closed and shard.low <= place < shard.high)
        self._homes[hash_key or partition_key] = name
        return name

    def reshard(self) -> None:
        """Split a shard, or merge two that adjoin."""
        if not self.is_there:
            return
        chance = self._world.random
        opened = sorted(((n, s) for n, s in self.shards.items() if not s.closed), key=lambda one: one[1].low)
        if len(opened) > 1 and chance.random() < 0.5:
            place = chance.randrange(len(opened) - 1)
            (left, low), (right, high) = opened[place : place + 2]
            low.closed = high.closed = True
            self._make(low.low, high.high, left, right)
            self._world.faults["merge"] += 1
        elif len(opened) < 6:
            name, shard = chance.choice(opened)
            # Of whole lanes, where it is: so plain records and aggregates of a key stay in one shard.
            middle = (shard.low + shard.high) // 2 // LANE * LANE
            if middle <= shard.low:
                return
            shard.closed = True
            self._make(shard.low, middle, name)
            self._make(middle, shard.high, name)
            self._world.faults["split"] += 1

    def read(self, name: str, after: str | None, limit: int) -> Page:
        """What stands behind a sequence number, and is not older than the retention."""
        shard = self.shards[name]
        first = max(shard.places[after], bisect_left(shard.times, self._world.now - RETENTION))
        found = shard.records[first : first + limit]
        rest = len(shard.records) - first - len(found)
        return Page(tuple(found), behind_ms=rest, ended=shard.closed and rest == 0)


class Kinesis:
    """Streams, as PutRecords and DescribeStreamSummary."""

    def __init__(self, world: World, *streams: Stream) -> None:
        self._world = world
        self._streams = {stream.name: stream for stream in streams}

    def put_records(self, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        assert 0 < len(Records) <= 500
        stream = self._streams[StreamName]
        return self._world.call("stream", lambda: {"Records": [self._entry(stream, **one) for one in Records]})

    def describe_stream_summary(self, StreamARN: str) -> dict[str, Any]:
        stream = self._streams[StreamARN.rpartition("/")[2]]

        def act() -> dict[str, Any]:
            if not stream.is_there:
                raise error("ResourceNotFoundException")
            created = datetime.fromtimestamp(stream.created, UTC)
            return {"StreamDescriptionSummary": {"StreamARN": StreamARN, "StreamCreationTimestamp": created}}

        return self._world.call("streams", act)

    def _entry(self, stream: Stream, Data: bytes, PartitionKey: str, ExplicitHashKey: str) -> dict[str, str]:
        if self._world.strikes("emits' entry refused", 0.3):
            return {"ErrorCode": "ProvisionedThroughputExceededException"}
        shard, sequence = stream.put(PartitionKey, Data, ExplicitHashKey)
        return {"ShardId": shard, "SequenceNumber": sequence}


# ── The table ────────────────────────────────────────────────────────────────────────────────────────────────


class Table:
    """DynamoDB, as BatchGetItem and BatchExecuteStatement."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.items: dict[str, dict[str, Any]] = {}
        self.written = 0
        self.units = self.saved_units = 0
        self.saves: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
        """Each key's items, before and after each write."""
        self.is_there: Callable[[str], bool] = lambda name: True
        """Whether an object can be read."""
        self.dangling = 0
        """Objects that an item named when it was saved, and that were not there."""
        self.tried_by: dict[greenlet, set[str]] = defaultdict(set)
        """By invocation, the objects that the items named which it began to save."""

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:
        (name, wanted), *_ = RequestItems.items()
        keys = [key["pk"]["S"] for key in wanted["Keys"]]
        assert len(set(keys)) == len(keys) <= 100
        assert wanted["ConsistentRead"]

        def act() -> dict[str, Any]:
            done = keys
            if self._world.strikes("keys left unprocessed", 0.3):
                done = keys[: self._world.random.randrange(len(keys) + 1)]
            rest = [{"pk": {"S": key}} for key in keys[len(done) :]]
            answer = {"Responses": {name: [dict(self.items[key]) for key in done if key in self.items]}}
            return answer | ({"UnprocessedKeys": {name: {**wanted, "Keys": rest}}} if rest else {})

        return self._world.call("reading", act)

    def batch_execute_statement(
        self, Statements: Sequence[dict[str, Any]], ReturnConsumedCapacity: str
    ) -> dict[str, Any]:
        assert 0 < len(Statements) <= 25
        self.tried_by[getcurrent()] |= object_names(msgspec.json.encode(Statements))
        return self._world.call("writing", lambda: {"Responses": [self._execute(**one) for one in Statements]})

    def _execute(self, Statement: str, Parameters: list[Any]) -> dict[str, Any]:
        if self._world.strikes("statement throttled", 0.1):
            return _failed("ThrottlingError")
        if Statement.startswith("INSERT"):
            item = dict(zip(inserted(Statement), Parameters, strict=True))
            return self._store(item, "DuplicateItem" if item["pk"]["S"] in self.items else None)
        names, conditions = updated(Statement)
        wanted = dict(zip(conditions, Parameters[len(names) :], strict=False))
        before = self.items.get(wanted["pk"]["S"], {})
        holds = bool(before) and all(before.get(name) == value for name, value in wanted.items())
        kept = {name: value for name, value in before.items() if name not in removed(Statement)}
        item = {**kept, "pk": wanted["pk"], **dict(zip(names, Parameters, strict=False))}
        return self._store(item, None if holds else "ConditionalCheckFailed")

    def _store(self, item: dict[str, Any], problem: str | None) -> dict[str, Any]:
        size = len(msgspec.json.encode(item))
        units = max(1, -(-size // 1024))
        self.units += units
        if problem:
            return _failed(problem)
        if size > ITEM_BYTES:
            return _failed("ItemCollectionSizeLimitExceeded")
        key = item["pk"]["S"]
        self.dangling += sum(not self.is_there(name) for name in object_names(msgspec.json.encode(item["doc"])))
        self.saves[key].append((self.items.get(key, {}), item))
        self.items[key] = item
        self.written += 1
        self.saved_units += units
        return {}


def place_in(mark: dict[str, str]) -> tuple[int, int]:
    """The place that a mark of an item states: record and place within it."""
    sequence, sub, *_ = mark["S"].split("/", 2)
    return int(sequence), int(sub)


def _failed(code: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": code}}


class Taken(ClientError):
    """The condition of a PutItem does not hold."""


class Notes:
    """DynamoDB, as PutItem with the condition that deliveries are noted on."""

    class exceptions:  # noqa: N801 # as boto3 has it
        """The client's own."""

        ConditionalCheckFailedException = Taken

    def __init__(self, world: World) -> None:
        self._world = world
        self.items: dict[str, dict[str, Any]] = {}

    def put_item(self, TableName: str, Item: dict[str, Any], ConditionExpression: str = "", **more: Any) -> None:
        def act() -> None:
            before = self.items.get(Item["pk"]["S"])
            if ConditionExpression and before and ("apart" in before or before["first"] == Item["first"]):
                answer: Any = {"Error": {"Code": "ConditionalCheckFailedException"}, "Item": before}
                raise Taken(answer, "PutItem")
            self.items[Item["pk"]["S"]] = Item

        self._world.call("notes", act)


class ForgottenTable:
    """DynamoDB, as PutItem and Query of a table with a sort key, whose items vanish some time after they expire."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.items: dict[str, dict[str, tuple[float, dict[str, Any]]]] = defaultdict(dict)
        """Shard -> sort key -> when it vanishes, and the item."""
        self.puts = self.queries = self.bytes = 0

    def put_item(self, TableName: str, Item: dict[str, Any]) -> None:
        world = self._world
        size = item_bytes(Item)
        assert len(Item["digests"]["B"]) // 8 == len(Item["counters"]["B"]) // 6 > 0
        assert size <= ITEM_BYTES

        def act() -> None:
            if world.strikes("forgotten writers refused"):
                raise error("ProvisionedThroughputExceededException")
            # AWS deletes it within a few days, most often soon.
            vanishes = float(Item["expires"]["N"]) + world.random.choice([0.0, 3_600.0, 172_800.0])
            self.items[Item["pk"]["S"]][Item["sk"]["S"]] = vanishes, Item
            self.puts += 1
            self.bytes += size

        world.call("forgetting", act)

    def query(
        self,
        TableName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: dict[str, Any],
        ConsistentRead: bool,
        ScanIndexForward: bool,
        ExclusiveStartKey: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        assert (KeyConditionExpression, ConsistentRead) == ("pk = :shard AND sk >= :since", True)
        assert not ScanIndexForward
        shard, since = (ExpressionAttributeValues[name]["S"] for name in (":shard", ":since"))
        after = ExclusiveStartKey["sk"]["S"] if ExclusiveStartKey else "~"

        def act() -> dict[str, Any]:
            self.queries += 1
            items = {name: item for name, (vanishes, item) in self.items[shard].items() if vanishes > self._world.now}
            page: list[dict[str, Any]] = []
            most = self._world.random.choice([1, 3, 1_000])
            for name in sorted((one for one in items if since <= one < after), reverse=True):
                if len(page) == most:
                    return {"Items": page, "LastEvaluatedKey": {key: page[-1][key] for key in ("pk", "sk")}}
                page.append(items[name])
            return {"Items": page}

        return self._world.call("remembering", act)


# ── Bucket and topic ─────────────────────────────────────────────────────────────────────────────────────────


class Bucket:
    """S3, as PutObject."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.objects: dict[str, bytes] = {}

    def put_object(self, Bucket: str, Key: str, Body: bytes, ContentType: str) -> dict[str, Any]:
        self._world.call("bucket", lambda: self.objects.update({Key: Body}))
        return {"ETag": '"e"'}


_message_decoder = msgspec.json.Decoder(ReplyMessage)


class Topic:
    """SNS, as PublishBatch. What is published is heard at once."""

    def __init__(self, world: World, is_stored: Callable[[str, str], bool]) -> None:
        self._world = world
        self._is_stored = is_stored
        self.heard: dict[str, set[str]] = defaultdict(set)
        self.last: dict[str, str] = {}
        self.too_early = 0
        """Replies heard before the effect that they tell of was stored."""

    def publish_batch(self, TopicArn: str, PublishBatchRequestEntries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        entries = PublishBatchRequestEntries
        assert 0 < len(entries) <= 10

        def act() -> dict[str, Any]:
            failed = [one["Id"] for one in entries if self._world.strikes("message not published", 0.2)]
            self._hear(one["Message"] for one in entries if one["Id"] not in failed)
            return {
                "Successful": [{"Id": one["Id"]} for one in entries if one["Id"] not in failed],
                "Failed": [{"Id": one, "Code": "InternalError"} for one in failed],
            }

        return self._world.call("topic", act)

    def _hear(self, messages: Iterable[str]) -> None:
        for message in messages:
            receipts = _message_decoder.decode(message)
            for reply in receipts.replies:
                self.heard[reply.id].add(reply.status)
                self.last[reply.id] = reply.status
                self.too_early += not self._is_stored(receipts.client, reply.id)
