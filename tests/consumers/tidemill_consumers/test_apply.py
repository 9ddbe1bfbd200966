"""The flow against a real table, bucket and topic: once, in order, answered, and nothing lost when a part fails."""

import copy
import json
import logging
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from math import inf
from typing import Any, TypeAlias, cast
from zlib import crc32

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.described import STREAM_ARN, Described
from tests.values import Context
from tidemill.contract.aggregation import UserRecord, pack, unpack
from tidemill.contract.attempts import marked
from tidemill.contract.claim_check import claim_check
from tidemill.contract.request import Document, ReplyMessage, Request, decode, encode
from tidemill_consumers.adapters import entities as entities_module
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.content.uploads import GONE, Uploads
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.adapters.metrics import Metrics
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.apply import Applied, Response, apply, handler
from tidemill_consumers.codec.entity_cache import SAMPLES, EntityCache
from tidemill_consumers.codec.events import EventRecord, KinesisEvent, intake
from tidemill_consumers.codec.metrics import Figures, lines_in
from tidemill_consumers.composition import ROUNDS, Application, application, planned_apart
from tidemill_consumers.core.batch import (
    Accepted,
    Aggregatable,
    Blob,
    Emit,
    Entity,
    Position,
    Rejected,
    Rules,
    State,
    Time,
    Write,
    ref,
)
from tidemill_consumers.core.emits import emitter
from tidemill_consumers.core.folding.budget import MAX_OUTCOMES
from tidemill_consumers.core.folding.fold import UNTOLD
from tidemill_consumers.core.stage.leaving import Leaving, Period
from tidemill_consumers.core.streams import Stream, life_of, shard_of
from tidemill_consumers.core.trust import NOT_OF_STAGE
from tidemill_consumers.isolation.deliveries import Deliveries
from tidemill_local.emulator import Emulator

Clients: TypeAlias = Callable[[str], Any]
Heard: TypeAlias = Callable[[], list[ReplyMessage]]

SHARD = "shardId-000000000000"
NAMED = shard_of(Stream(STREAM_ARN, (life_of(STREAM_ARN, 0.0),)).named(1545084650.0), SHARD)
NOWHERE = "arn:aws:sns:us-east-1:000000000000:nowhere"


def append(state: State, request: Request) -> Accepted:
    return Accepted({"ids": [*(state or {"ids": []})["ids"], request.id]})


def take(state: State, request: Request) -> Accepted | Rejected:
    left = (state or {"left": 2})["left"]
    return Accepted({"left": left - 1}, {"left": left - 1}) if left else Rejected("sold out")


def tell(state: State, request: Request) -> Accepted:
    told = (state or {"told": 0})["told"] + 1
    return Accepted({"told": told}, emits=(Emit("append", "ear", {"n": told}), Emit("append", "other", {"n": told})))


def explode(state: State, request: Request) -> Accepted:
    raise RuntimeError("boom")


def draw(state: State, request: Request) -> Accepted:
    picture = Blob(f"picture {request.id}".encode(), "image/png")
    return Accepted({"picture": ref(picture)}, objects=(picture,))


def clear(state: State, request: Request) -> Accepted:
    return Accepted(None)


@pytest.fixture
def app(
    emulator: Emulator, table: str, forgotten_table: str, bucket: str, content_bucket: str, topic: str, stream: str
) -> Application:
    return Application(
        rules={"append": append, "take": take, "explode": explode, "tell": tell, "draw": draw, "clear": clear},
        retention=86_400.0,
        entities=Entities(emulator.client("dynamodb"), table),
        quarantine=Quarantine(emulator.client("s3"), bucket),
        objects=ObjectStore(emulator.client("s3"), content_bucket, 86_400.0),
        replies=Replies(emulator.client("sns"), topic),
        emits=Emits(emulator.client("kinesis"), stream, pause=lambda seconds: None),
        streams=Streams(cast("Any", Described()), "requests"),
        forgotten=ForgottenWriters(emulator.client("dynamodb"), forgotten_table, 3600.0),
    )


@pytest.fixture
def emitted(emulator: Emulator, stream: str) -> Callable[[], list[Request]]:
    """The requests on the stream, repeats included."""
    kinesis = emulator.client("kinesis")

    def read() -> list[Request]:
        (shard,) = kinesis.list_shards(StreamName=stream)["Shards"]
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = kinesis.get_records(ShardIterator=iterator)["Records"]
        return [decode(one.data) for found in records for one in unpack(found["Data"])]

    return read


@pytest.fixture
def quarantined(emulator: Emulator, bucket: str) -> Callable[[], dict[str, str]]:
    """The reasons that lie in the quarantine, by sequence."""
    s3 = emulator.client("s3")

    def read() -> dict[str, str]:
        keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        objects = [json.load(s3.get_object(Bucket=bucket, Key=key)["Body"]) for key in keys]
        return {found["sequence"]: found["reason"] for found in objects}

    return read


def request(n: int, cmd: str = "append", key: str = "k", client: str | None = "ann") -> Request:
    return Request(id=f"i{n}", cmd=cmd, key=key, client=client, writer="w", counter=n, data={})


def replace_request(one: Request, **changes: Any) -> Request:
    return msgspec.structs.replace(one, **changes)


def record(sequence: int, data: bytes, key: str, arn: str = STREAM_ARN) -> EventRecord:
    return {
        "eventID": f"{SHARD}:{sequence}",
        "eventSourceARN": arn,
        "kinesis": {
            "partitionKey": key,
            "sequenceNumber": str(sequence),
            "data": b64encode(data).decode(),
            "approximateArrivalTimestamp": 1545084650.0 + sequence,
        },
    }


def batch(*requests: Request, arn: str = STREAM_ARN) -> KinesisEvent:
    """One record each; the sequence numbers are the counters."""
    return {"Records": [record(one.counter or 0, encode(one), one.key or "", arn) for one in requests]}


def aggregate(sequence: int, requests: list[Request]) -> EventRecord:
    return record(sequence, pack(UserRecord(one.key or "", encode(one)) for one in requests), "a lane")


def done(**applied: int) -> Response:
    none: dict[str, int] = {"quarantined": 0, "object_puts": 0}
    return {"batchItemFailures": [], "applied": cast("Applied", none | applied)}


def retry_from(event: KinesisEvent, app: Application) -> int | None:
    failures = apply(event, app)["batchItemFailures"]
    assert len(failures) <= 1
    return int(failures[0]["itemIdentifier"]) if failures else None


def document(app: Application, key: str = "k") -> Document | None:
    return app.entities.load([key]).get(key, Entity(key)).document


def statuses(receipts: list[ReplyMessage]) -> dict[str, str]:
    return {reply.id: reply.status for message in receipts for reply in message.replies}


def test_a_batch_is_applied_in_order_and_answered_with_one_message_a_client(app: Application, heard: Heard) -> None:
    event = batch(request(1), request(2, key="other", client="bob"), request(3), request(4, client=None))
    assert apply(event, app) == done(records=4, requests=4, keys=2, write_calls=1)
    assert document(app) == {"ids": ["i1", "i3", "i4"]}
    assert document(app, "other") == {"ids": ["i2"]}
    assert sorted((message.client, len(message.replies)) for message in heard()) == [("ann", 2), ("bob", 1)]


def test_large_data_is_read_from_the_content_bucket(
    app: Application, emulator: Emulator, bucket: str, heard: Heard, quarantined: Callable[[], dict[str, str]]
) -> None:
    """In order with the rest; what cannot be read now waits with its key; what is not there is quarantined."""
    content = emulator.client("s3")
    content.create_bucket(Bucket=f"{bucket}-content")

    def keep(state: State, request: Request) -> Accepted:
        return Accepted({"sizes": [*(state or {"sizes": []})["sizes"], len(request.data.get("text", ""))]})

    app = replace(app, rules={"keep": keep}, uploads=Uploads(content, f"{bucket}-content"))
    large = msgspec.json.encode({"text": "x" * 300_000})
    ref, missing = claim_check("ann", large), claim_check("ann", b"{}")
    requests = [request(n, "keep") for n in range(1, 5)]
    requests[1] = replace_request(requests[1], ref=ref)
    requests[2] = replace_request(requests[2], ref=missing)
    down = replace(app, uploads=Uploads(content, f"{bucket}-nowhere"))
    assert apply(batch(*requests), down)["batchItemFailures"] == [{"itemIdentifier": "2"}]
    assert app.entities.load(["k"])["k"].document == {"sizes": [0]}
    content.put_object(Bucket=f"{bucket}-content", Key=ref.object, Body=large)
    assert apply(batch(*requests[1:]), app)["batchItemFailures"] == []
    assert app.entities.load(["k"])["k"].document == {"sizes": [0, 300_000, 0]}
    assert quarantined() == {"3": GONE}
    said = {reply.id: reply.status for message in heard() for reply in message.replies}
    assert said == {"i1": "accepted", "i2": "accepted", "i3": "quarantined", "i4": "accepted"}


def test_rules_in_a_process_of_their_own_get_large_data_and_emit(
    app: Application, emulator: Emulator, bucket: str
) -> None:
    content = emulator.client("s3")
    content.create_bucket(Bucket=f"{bucket}-content")

    def keep(state: State, request: Request) -> Accepted:
        size = len(request.data["text"])
        request.data.clear()
        return Accepted({"size": size}, emits=(Emit("told", "other", {"size": size}),))

    app = replace(app, rules={"keep": keep}, uploads=Uploads(content, f"{bucket}-content"))
    large = msgspec.json.encode({"text": "x" * 300_000})
    check = claim_check("ann", large)
    content.put_object(Bucket=f"{bucket}-content", Key=check.object, Body=large)
    event = batch(replace_request(request(1, "keep"), ref=check))
    sent = intake(event, app.streams.of(event["Records"])).arrivals
    (write,) = planned_apart(app.uploads.redeem(sent).arrivals, {"k": Entity("k")}, app).writes
    assert write.new_entity is not None
    assert write.new_entity.document == {"size": 300_000}
    assert [(one.key, one.data) for emitted in write.emits for one in emitted.requests] == [
        ("other", {"size": 300_000})
    ]


def test_a_batch_has_a_line_of_metrics(app: Application) -> None:
    lines: list[str] = []
    watched = replace(app, metrics=Metrics("apply", lines.append, lambda: 1545084650.0 + 10))
    event = batch(*(request(n, cmd) for n, cmd in enumerate(["take", "explode", "take", "take"], 1)))
    event["Records"] += [record(5, encode(request(5, "append", "other", None)), "other"), record(6, b"{", "other")]
    event["Records"].append(record(7, encode(request(4, "take")), "k"))
    assert retry_from(event, watched) is None
    assert (line := figures(lines)) == Figures(
        records=7,
        requests=7,
        applied=3,
        rejected=1,
        quarantined=2,
        repeats=1,
        write_calls=1,
        write_units=line.write_units,
        replies=5,
        reply_latency=(9_000.0, 8_000.0, 7_000.0, 6_000.0, 5_000.0, 3_000.0),
        hottest_key_share=500 / 7,
        keys=2,
        hottest_key="k",
    )
    assert line.write_units == 2
    lines.clear()
    assert retry_from(event, watched) is None
    assert figures(lines) == Figures(
        records=7,
        requests=7,
        quarantined=1,
        replies=5,
        reply_latency=line.reply_latency,
        hottest_key_share=500 / 7,
        redelivered=6,
        hottest_key="k",
    )


def test_what_is_delivered_again_is_counted(app: Application, emulator: Emulator) -> None:
    lines: list[str] = []
    nobody = Replies(emulator.client("sns"), NOWHERE)
    watched = replace(app, metrics=Metrics("apply", lines.append), replies=nobody)
    assert retry_from(batch(request(1), request(2, client=None)), watched) == 1
    line = figures(lines)
    assert (line.partial_failures, line.reply_failures, line.replies, line.reply_latency) == (1, 1, 0, ())


def test_what_another_invocation_saved_and_what_is_remembered_is_counted(
    app: Application, emulator: Emulator, table: str
) -> None:
    lines: list[str] = []
    entities = Entities(emulator.client("dynamodb"), table, cache=EntityCache(1_000_000, samples=0))
    watched = replace(app, metrics=Metrics("apply", lines.append), entities=entities)
    for n in (1, 3):
        apply(batch(request(n), request(n, key="other")), watched)
        if n == 1:
            apply(batch(request(2)), app)
    first, second = [line.figures for line in lines_in("\n".join(lines))]
    assert (first.cache_hits, first.conflicts) == (0, 0)
    assert (second.cache_hits, second.conflicts, second.applied) == (2, 1, 2)


def test_a_redelivery_applies_nothing_and_answers_alike(app: Application, heard: Heard) -> None:
    event = batch(*(request(n, cmd) for n, cmd in enumerate(["take", "explode", "take", "take"], 1)))
    apply(event, app)
    first = heard()
    before = app.entities.load(["k"])
    assert [reply.data for reply in first[0].replies] == [{"left": 1}, None, {"left": 0}, None]
    assert apply(event, app) == done(records=4, requests=4, keys=0, write_calls=0)
    assert heard() == first
    assert app.entities.load(["k"]) == before


def test_a_delivery_that_begins_halfway_applies_what_is_new(app: Application) -> None:
    apply(batch(request(1), request(2)), app)
    apply(batch(request(2), request(3)), app)
    assert document(app) == {"ids": ["i1", "i2", "i3"]}


def test_an_aggregate_is_applied_request_by_request(app: Application) -> None:
    event: KinesisEvent = {"Records": [aggregate(7, [request(n, key=f"k{n % 2}") for n in range(6)])]}
    assert apply(event, app) == done(records=1, requests=6, keys=2, write_calls=1)
    assert document(app, "k0") == {"ids": ["i0", "i2", "i4"]}
    assert document(app, "k1") == {"ids": ["i1", "i3", "i5"]}


def test_poison_goes_to_quarantine_and_stops_nobody(
    app: Application, heard: Heard, quarantined: Callable[[], dict[str, str]]
) -> None:
    event = batch(request(1), request(2, "explode"), request(3, "unheard of"), request(5))
    event["Records"].insert(3, record(4, b"\xff", "k"))
    applied = {"records": 5, "requests": 5, "keys": 1, "write_calls": 1, "quarantined": 3, "object_puts": 0}
    assert apply(event, app)["applied"] == applied
    assert document(app) == {"ids": ["i1", "i5"]}
    assert statuses(heard()) == {"i1": "accepted", "i2": "quarantined", "i3": "quarantined", "i5": "accepted"}
    found = quarantined()
    assert set(found) == {"2", "3", "4"}
    assert found["2"].startswith(
        "the rule raised RuntimeError: boom (tests/consumers/tidemill_consumers/test_apply.py:"
    )


def test_keys_that_no_item_can_have_do_not_stop_the_batch(
    app: Application, quarantined: Callable[[], dict[str, str]]
) -> None:
    event: KinesisEvent = {
        "Records": [
            record(1, pack([UserRecord("", b"an event"), UserRecord("k" * 3000, b"an event")]), "a lane"),
            record(2, encode(request(2)), "k"),
        ]
    }
    assert retry_from(event, app) is None
    assert document(app) == {"ids": ["i2"]}
    assert set(quarantined()) == {"1"}


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"ver": {"S": "x"}},
        {"ver": {"N": "1"}, "doc": {"B": b"1"}, "marks": {"M": {}}, "writers": {"M": {}}, "recent": {"L": []}},
        {"ver": {"N": "1"}, "doc": {"M": {}}, "marks": {"S": ""}, "writers": {"M": {}}, "recent": {"L": []}},
    ],
)
def test_an_item_that_cannot_be_read_is_its_own_requests_fate(
    app: Application,
    emulator: Emulator,
    table: str,
    attributes: Any,
    quarantined: Callable[[], dict[str, str]],
    heard: Heard,
) -> None:
    item = {"pk": {"S": "k"}, **attributes}
    emulator.client("dynamodb").put_item(TableName=table, Item=item)
    event = batch(request(1, key="other"), request(2), request(3), request(4, key="other"))
    assert retry_from(event, app) is None
    assert document(app, "other") == {"ids": ["i1", "i4"]}
    found = quarantined()
    assert set(found) == {"2", "3"}
    assert all(one.startswith("its entity cannot be used: its item cannot be read: ") for one in found.values())
    assert statuses(heard()) == {"i1": "accepted", "i2": "quarantined", "i3": "quarantined", "i4": "accepted"}
    assert emulator.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "k"}})["Item"] == item


def test_a_quarantine_that_fails_is_delivered_again_and_no_mark_passes_it(
    app: Application, emulator: Emulator, heard: Heard
) -> None:
    broken = replace(app, quarantine=Quarantine(emulator.client("s3"), "nowhere"))
    event = batch(request(1, key="other"), request(2), request(3, "explode"), request(4))
    assert retry_from(event, broken) == 2
    assert document(broken) is None
    assert statuses(heard()) == {"i1": "accepted"}
    assert retry_from(event, app) is None
    assert document(app) == {"ids": ["i2", "i4"]}
    assert statuses(heard())["i3"] == "quarantined"


def test_what_the_last_document_names_is_stored_as_an_object_and_nothing_else(
    app: Application, emulator: Emulator, content_bucket: str
) -> None:
    event = batch(request(1, "draw"), request(2, "draw", "other"), request(3, "draw"), request(4, "clear"))
    assert retry_from(event, app) is None
    found = emulator.client("s3").list_objects_v2(Bucket=content_bucket)["Contents"]
    (picture,) = [one["Key"] for one in found]
    assert document(app, "other") == {"picture": {"object": picture, "bytes": 10, "type": "image/png"}}
    assert emulator.client("s3").get_object(Bucket=content_bucket, Key=picture)["Body"].read() == b"picture i2"
    again = batch(request(5, "draw"))
    assert apply(again, app) == done(records=1, requests=1, keys=1, write_calls=1, object_puts=1)
    assert len(emulator.client("s3").list_objects_v2(Bucket=content_bucket)["Contents"]) == 2


def test_an_object_that_cannot_be_stored_fails_its_key_which_is_delivered_again(
    app: Application, emulator: Emulator, content_bucket: str, heard: Heard
) -> None:
    broken = replace(app, objects=ObjectStore(emulator.client("s3"), "nowhere", 86_400.0))
    event = batch(request(1, key="other"), request(2), request(3, "draw"))
    assert retry_from(event, broken) == 2
    assert document(broken) is None
    assert statuses(heard()) == {"i1": "accepted"}
    assert retry_from(event, app) is None
    assert statuses(heard()) == {"i1": "accepted", "i2": "accepted", "i3": "accepted"}
    picture = (document(app) or {})["picture"]["object"]
    assert emulator.client("s3").get_object(Bucket=content_bucket, Key=picture)["Body"].read() == b"picture i3"


def test_bytes_that_cannot_be_quarantined_are_delivered_again(app: Application, emulator: Emulator) -> None:
    broken = replace(app, quarantine=Quarantine(emulator.client("s3"), "nowhere"))
    event: KinesisEvent = {"Records": [*batch(request(1))["Records"], record(2, b"\xff", "k")]}
    assert retry_from(event, broken) == 2
    assert document(broken) == {"ids": ["i1"]}
    assert retry_from(event, app) is None
    assert document(app) == {"ids": ["i1"]}


def test_what_is_no_request_and_names_a_client_is_answered_once_it_is_quarantined(
    app: Application, emulator: Emulator, heard: Heard
) -> None:
    newer = b'{"v":9,"cmd":"x","id":"i3","client":"bob"}'
    wrong = [UserRecord("elsewhere", encode(request(2))), UserRecord("k", newer)]
    event: KinesisEvent = {"Records": [*batch(request(1))["Records"], record(2, pack(wrong), "k")]}
    assert retry_from(event, replace(app, quarantine=Quarantine(emulator.client("s3"), "nowhere"))) == 2
    assert statuses(heard()) == {"i1": "accepted"}
    assert retry_from(event, replace(app, replies=Replies(emulator.client("sns"), NOWHERE))) == 1
    assert heard() == []
    assert retry_from(event, app) is None
    found = {reply.id: (message.client, reply) for message in heard() for reply in message.replies}
    assert found["i2"][0] == "ann"
    assert (found["i2"][1].status, found["i2"][1].error) == (
        "quarantined",
        "misrouted: its key is 'k', its partition key 'elsewhere'",
    )
    assert (found["i3"][0], found["i3"][1].status) == ("bob", "quarantined")


def test_replies_that_cannot_be_sent_are_delivered_again(app: Application, emulator: Emulator, heard: Heard) -> None:
    broken = replace(app, replies=Replies(emulator.client("sns"), NOWHERE))
    event = batch(request(3, client=None), request(4), request(5))
    assert retry_from(event, broken) == 4
    assert document(app) == {"ids": ["i3", "i4", "i5"]}
    assert retry_from(event, app) is None
    assert document(app) == {"ids": ["i3", "i4", "i5"]}
    assert statuses(heard()) == {"i4": "accepted", "i5": "accepted"}


def test_keys_that_memory_does_not_hold_together_are_applied_one_after_another(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entities_module, "KEYS_PER_READ", 2)
    apply(batch(*(request(n, key=f"k{n % 7}") for n in range(7, 14))), app)
    monkeypatch.setattr(entities_module, "MAX_READ_BYTES", 1)
    event = batch(*(request(n, key=f"k{n % 7}") for n in range(14, 28)))
    assert apply(event, app) == done(records=14, requests=14, keys=7, write_calls=4)
    assert [document(app, f"k{n}") for n in range(7)] == [
        {"ids": [f"i{n + 7}", f"i{n + 14}", f"i{n + 21}"]} for n in range(7)
    ]


class Intruder:
    """A rule during which another writer changes the entity, so many times."""

    def __init__(self, entities: Entities, times: int) -> None:
        self._entities = entities
        self.times = times
        self.seen = 0

    def __call__(self, state: State, request: Request) -> Accepted:
        self.seen += 1
        if self.times:
            self.times -= 1
            key = request.key or ""
            now = self._entities.load([key]).get(key, Entity(key))
            document = append(now.document, replace_id(request)).state
            theirs = msgspec.structs.replace(now, version=now.version + 1, document=document)
            assert self._entities.save([Write(key, now.version, theirs, Position(0, 0), (), (), None)]) == {}
        return append(state, request)


def replace_id(request: Request) -> Request:
    return Request(id="theirs", cmd=request.cmd, data={})


@pytest.fixture
def intruded(app: Application) -> Callable[[int], tuple[Application, Intruder]]:
    def make(times: int) -> tuple[Application, Intruder]:
        intruder = Intruder(app.entities, times)
        return replace(app, rules={"append": append, "intrude": intruder}), intruder

    return make


@pytest.mark.parametrize("times", [1, ROUNDS - 1])
def test_a_conflict_is_planned_again(
    intruded: Callable[[int], tuple[Application, Intruder]], heard: Heard, times: int
) -> None:
    app, intruder = intruded(times)
    event = batch(request(1, "intrude"), request(2), request(3, key="other"))
    assert apply(event, app) == done(records=3, requests=3, keys=2, write_calls=2 * times + 1)
    assert document(app) == {"ids": ["theirs"] * times + ["i1", "i2"]}
    assert document(app, "other") == {"ids": ["i3"]}
    assert intruder.seen == times + 1
    assert app.entities.load(["other"])["other"].version == 1
    assert [len(message.replies) for message in heard()] == [3]


def test_a_conflict_is_planned_again_with_the_data_that_came(
    intruded: Callable[[int], tuple[Application, Intruder]], heard: Heard
) -> None:
    app, intruder = intruded(2)

    def pop(state: State, request: Request) -> Accepted:
        assert request.data.pop("n") == 1
        return intruder(state, request)

    app = replace(app, rules={"pop": pop})
    event = batch(msgspec.structs.replace(request(1, "pop"), data={"n": 1}))
    assert retry_from(event, app) is None
    assert document(app) == {"ids": ["theirs"] * 2 + ["i1"]}
    assert statuses(heard()) == {"i1": "accepted"}


def test_a_key_in_endless_conflict_is_delivered_again_and_no_other(
    intruded: Callable[[int], tuple[Application, Intruder]], heard: Heard
) -> None:
    app, intruder = intruded(ROUNDS)
    event = batch(request(1, key="other"), request(2, "intrude"), request(3))
    assert retry_from(event, app) == 2
    assert intruder.seen == ROUNDS
    assert document(app) == {"ids": ["theirs"] * ROUNDS}
    assert statuses(heard()) == {"i1": "accepted"}
    assert retry_from(event, app) is None
    assert document(app) == {"ids": ["theirs"] * ROUNDS + ["i2", "i3"]}
    assert document(app, "other") == {"ids": ["i1"]}


@pytest.fixture
def environments(app: Application, emulator: Emulator, table: str) -> tuple[Application, Application]:
    """Two of the function, which remember what they saved and take it for current."""

    def environment() -> Application:
        entities = Entities(emulator.client("dynamodb"), table, cache=EntityCache(10**6, samples=0))
        return replace(app, entities=entities)

    return environment(), environment()


def test_what_another_environment_applied_is_not_lost(
    environments: tuple[Application, Application], app: Application, heard: Heard
) -> None:
    one, other = environments
    apply(batch(request(1), request(2, key="other")), one)
    apply(batch(request(3), request(4)), other)
    heard()
    assert apply(batch(request(5), request(6, key="other")), one) == done(records=2, requests=2, keys=2, write_calls=2)
    assert document(app) == {"ids": ["i1", "i3", "i4", "i5"]}
    assert document(app, "other") == {"ids": ["i2", "i6"]}
    assert statuses(heard()) == {"i5": "accepted", "i6": "accepted"}


def test_what_another_environment_applied_is_not_applied_again_nor_quarantined(
    environments: tuple[Application, Application],
    app: Application,
    heard: Heard,
    quarantined: Callable[[], dict[str, str]],
) -> None:
    one, other = environments
    apply(batch(request(1)), one)
    heard()
    mended = replace(other, rules={**app.rules, "explode": append})
    apply(batch(request(2, "explode"), request(3)), mended)
    assert apply(batch(request(2, "explode"), request(3)), one) == done(records=2, requests=2, keys=0, write_calls=0)
    assert document(app) == {"ids": ["i1", "i2", "i3"]}
    assert quarantined() == {}
    (first, second) = heard()
    assert first == second, "it is answered as it was"


def test_a_redelivery_is_answered_from_the_table(
    environments: tuple[Application, Application], app: Application, emulator: Emulator, heard: Heard
) -> None:
    one, other = environments
    event = batch(request(1), request(2))
    assert retry_from(event, replace(one, replies=Replies(emulator.client("sns"), NOWHERE))) == 1
    apply(event, other)
    apply(batch(request(3)), other)
    heard()
    apply(event, one)
    assert heard() == [], "both were answered before the third came"
    assert document(app) == {"ids": ["i1", "i2", "i3"]}


def test_a_save_whose_answer_is_lost_is_not_repeated(
    app: Application, table: str, new_client: Clients, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[str] = []

    def lose(**_: object) -> None:
        if not lost:
            lost.append("answer")
            raise ReadTimeoutError(endpoint_url="somewhere")

    dynamodb = new_client("dynamodb")
    dynamodb.meta.events.register("after-call.dynamodb.BatchExecuteStatement", lose)
    fragile = replace(app, entities=Entities(dynamodb, table))
    with caplog.at_level(logging.WARNING):
        assert retry_from(batch(request(1), request(2)), fragile) is None
    assert lost
    assert "cannot save 1 entities" in caplog.text
    assert app.entities.load(["k"])["k"].version == 1
    assert document(app) == {"ids": ["i1", "i2"]}
    assert statuses(heard()) == {"i1": "accepted", "i2": "accepted"}


def test_the_lowest_of_all_that_failed_is_where_it_begins_again(app: Application, emulator: Emulator) -> None:
    broken = replace(
        app,
        quarantine=Quarantine(emulator.client("s3"), "nowhere"),
        replies=Replies(emulator.client("sns"), NOWHERE),
    )
    event = batch(request(1, client=None), request(2, "explode", key="other"), request(3), request(10))
    event["Records"].insert(3, record(9, b"\xff", "k"))
    assert retry_from(event, broken) == 2
    assert retry_from({"Records": event["Records"][2:]}, broken) == 3
    assert retry_from({"Records": event["Records"][3:4]}, broken) == 9


def test_an_aggregate_with_more_outcomes_than_a_write_may_leave_is_finished_at_once(
    app: Application, heard: Heard
) -> None:
    """It would else be delivered from its beginning, and stop where it stopped, for ever."""
    requests = [request(n, "take" if n % 2 else "append", key="k" if n % 2 else "other") for n in range(1500)]
    event: KinesisEvent = {"Records": [aggregate(1, requests)]}
    assert apply(event, app) == done(records=1, requests=1500, keys=3, write_calls=2)
    assert document(app) == {"left": 0}
    found = statuses(heard())
    assert [found[f"i{n}"] for n in range(1, 1500, 2)] == ["accepted"] * 2 + ["rejected"] * 748
    assert retry_from(event, app) is None
    assert document(app) == {"left": 0}


def test_a_stopped_key_does_not_go_on_before_its_receipts_have_left(
    app: Application, emulator: Emulator, heard: Heard
) -> None:
    broken = replace(app, replies=Replies(emulator.client("sns"), NOWHERE))
    event: KinesisEvent = {"Records": [aggregate(1, [request(n, "take") for n in range(MAX_OUTCOMES + 90)])]}
    for _ in range(2):
        assert retry_from(event, broken) == 1
        assert app.entities.load(["k"])["k"].version == 1
    assert retry_from(event, app) is None
    found = statuses(heard())
    assert [found[f"i{n}"] for n in range(MAX_OUTCOMES + 90)] == ["accepted"] * 2 + ["rejected"] * (MAX_OUTCOMES + 88)


def test_a_stopped_key_waits_for_the_next_delivery_when_another_failed(
    app: Application, emulator: Emulator, heard: Heard
) -> None:
    broken = replace(app, quarantine=Quarantine(emulator.client("s3"), "nowhere"))
    stopping = [request(n, "take") for n in range(2, MAX_OUTCOMES + 9)]
    event = batch(*stopping)
    event["Records"].append(record(9999, b"\xff", "k"))
    assert retry_from(event, broken) == MAX_OUTCOMES + 2
    assert len(statuses(heard())) == MAX_OUTCOMES
    assert retry_from(event, app) is None
    assert len(statuses(heard())) == len(stopping)


def test_many_long_outcomes_fit_an_item(app: Application, heard: Heard) -> None:
    """With nothing held back they would take more than DynamoDB's 400 KB."""
    wave = "\N{WATER WAVE}"
    requests = [Request(id=f"{n:03}" + wave * 125, cmd="balk", key="k", client=wave * 256, data={}) for n in range(320)]
    app = replace(app, rules={"balk": lambda state, request: Rejected(wave * 200)})
    assert retry_from({"Records": [aggregate(1, requests)]}, app) is None
    assert set(statuses(heard())) == {one.id for one in requests}


# ── Follow-up requests ───────────────────────────────────────────────────────────────────────────────────────


def test_what_a_rule_emits_goes_onto_the_stream_and_is_applied_in_order(
    app: Application, emitted: Callable[[], list[Request]]
) -> None:
    assert retry_from(batch(request(1, "tell"), request(2, "explode"), request(3, "tell")), app) is None
    found = emitted()
    assert [one.data for one in found if one.key == "ear"] == [{"n": 1}, {"n": 2}]
    assert {(one.writer, one.client) for one in found} == {(emitter("k", NAMED), None)}
    event: KinesisEvent = {"Records": [aggregate(10, found), aggregate(11, found)]}
    assert retry_from(event, app) is None
    assert document(app, "ear") == {"ids": [one.id for one in found if one.key == "ear"]}


def test_a_redelivery_emits_the_same_again_though_the_state_has_moved_on(
    app: Application, emitted: Callable[[], list[Request]]
) -> None:
    event = batch(request(1, "tell"), request(2, "tell"))
    apply(event, app)
    first = emitted()
    apply(event, app)
    assert emitted() == first + first


def test_what_cannot_be_emitted_is_delivered_again_and_then_emitted(
    app: Application, emulator: Emulator, emitted: Callable[[], list[Request]], heard: Heard
) -> None:
    broken = replace(app, emits=Emits(emulator.client("kinesis"), "nowhere", pause=lambda seconds: None))
    event = batch(request(1, key="z"), request(2, "tell"), request(3, key="z"), request(4, "tell"))
    assert retry_from({"Records": event["Records"][:3]}, broken) == 2
    assert statuses(heard()) == {"i1": "accepted", "i2": "accepted", "i3": "accepted"}
    assert (document(app), emitted()) == ({"told": 1}, [])
    assert retry_from({"Records": event["Records"][1:]}, app) is None
    assert document(app) == {"told": 2}
    assert [one.data for one in emitted() if one.key == "ear"] == [{"n": 1}, {"n": 2}]


def test_a_key_that_emits_more_than_its_entity_can_keep_is_finished_at_once(
    app: Application, emitted: Callable[[], list[Request]]
) -> None:
    def shout(state: State, request: Request) -> Accepted:
        return Accepted(state, emits=(Emit("append", "ear", {"x": "x" * 9_000}),))

    loud = replace(app, rules={"shout": shout})
    requests = [request(n, "shout") for n in range(1, 41)]
    assert retry_from({"Records": [aggregate(1, requests)]}, loud) is None
    assert [one.counter for one in emitted()] == list(range(1, 41))
    assert 0 < len(app.entities.load(["k"])["k"].emits) < 20


# ── Several streams ──────────────────────────────────────────────────────────────────────────────────────────


OTHER_ARN = STREAM_ARN.replace("requests", "others")
CREATED = 1545084650.0


def from_stream(arn: str, sequence: int, one: Request, arrived: float = CREATED + 50) -> KinesisEvent:
    found = record(sequence, encode(one), one.key or "", arn)
    found["kinesis"]["approximateArrivalTimestamp"] = arrived
    return {"Records": [found]}


def by(writer: str, n: int = 1) -> Request:
    return Request(id=f"{writer}{n}", cmd="append", key="k", client=writer, writer=writer, counter=n, data={})


def test_two_streams_with_shards_of_the_same_ids_over_one_table(app: Application, heard: Heard) -> None:
    events = [
        from_stream(STREAM_ARN, 30, by("a")),
        from_stream(OTHER_ARN, 20, by("b")),
        from_stream(STREAM_ARN, 31, by("c")),
        from_stream(OTHER_ARN, 21, by("d")),
    ]
    for event in events:
        assert retry_from(event, app) is None
    assert document(app) == {"ids": ["a1", "b1", "c1", "d1"]}
    assert statuses(heard()) == {"a1": "accepted", "b1": "accepted", "c1": "accepted", "d1": "accepted"}
    for event in events:
        retry_from(event, app)
    assert document(app) == {"ids": ["a1", "b1", "c1", "d1"]}, "each is a redelivery of its own stream"


def test_two_streams_whose_requests_are_quarantined_at_the_same_place(
    app: Application, quarantined: Callable[[], dict[str, str]], emulator: Emulator, bucket: str
) -> None:
    explode = replace_request(by("a"), cmd="explode")
    for arn in (STREAM_ARN, OTHER_ARN):
        assert retry_from(from_stream(arn, 30, explode), app) is None
    assert len(emulator.client("s3").list_objects_v2(Bucket=bucket)["Contents"]) == 1, "the same request twice"
    assert retry_from(from_stream(OTHER_ARN, 31, replace_request(by("b"), cmd="explode")), app) is None
    assert retry_from(from_stream(STREAM_ARN, 31, replace_request(by("c"), cmd="explode")), app) is None
    names = [one["Key"] for one in emulator.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]
    assert len([name for name in names if name.endswith(f"/{SHARD}/31-0.json")]) == 2


def test_a_stream_that_was_made_again_is_not_what_it_was(app: Application) -> None:
    kinesis = Described({"requests": CREATED})
    warm = replace(app, streams=Streams(cast("Any", kinesis), "requests"))
    assert retry_from(from_stream(STREAM_ARN, 30, by("a")), warm) is None
    kinesis.created["requests"] = CREATED + 80
    assert retry_from(from_stream(STREAM_ARN, 7, by("b"), CREATED + 100), warm) is None
    cold = replace(app, streams=Streams(cast("Any", kinesis), "requests"))
    assert retry_from(from_stream(STREAM_ARN, 8, by("c"), CREATED + 101), cold) is None
    assert retry_from(from_stream(STREAM_ARN, 7, by("b"), CREATED + 100), cold) is None
    assert document(app) == {"ids": ["a1", "b1", "c1"]}


def test_a_stream_that_kinesis_does_not_describe_fails_its_batch(app: Application, emulator: Emulator) -> None:
    real = replace(app, streams=Streams(emulator.client("kinesis"), "requests"))
    with pytest.raises(ClientError, match="ResourceNotFound"):
        apply(from_stream(STREAM_ARN.replace("requests", "nowhere"), 30, by("a")), real)
    assert document(app) is None


@pytest.mark.parametrize(("created", "ids"), [(CREATED, ["a1", "c2"]), (CREATED + 60, ["a1", "b1", "c2"])])
def test_marks_from_before_are_the_own_streams_unless_it_is_younger(
    app: Application, table: str, emulator: Emulator, created: float, ids: list[str]
) -> None:
    assert retry_from(from_stream(STREAM_ARN, 30, by("a")), app) is None
    (old,) = app.entities.load(["k"]).values()
    (mark,) = old.marks.values()
    alone = msgspec.structs.replace(old, version=old.version + 1, marks={SHARD: mark})
    assert app.entities.save([Write("k", old.version, alone, Position(0, 0), (), (), None)]) == {}

    streams = Streams(cast("Any", Described({"requests": created})), "requests")
    entities = Entities(emulator.client("dynamodb"), table, own=streams.own)
    now = replace(app, entities=entities, streams=streams)
    for arn, sequence, one in [(OTHER_ARN, 5, None), (STREAM_ARN, 30, "b"), (STREAM_ARN, 40, "c")]:
        event = from_stream(arn, sequence, by(one, 2 if one == "c" else 1) if one else by("a"), CREATED + 70)
        assert retry_from(event, now) is None
    assert document(app) == {"ids": ids}
    (found,) = entities.load(["k"]).values()
    assert (SHARD in found.marks) == (created > CREATED)


def test_lambda_finds_what_it_needs_in_its_environment(
    app: Application,
    emulator: Emulator,
    table: str,
    bucket: str,
    topic: str,
    stream: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = {
        **emulator.environment,
        "TIDEMILL_RULES": "tidemill_consumers.media",
        "TIDEMILL_RETENTION_HOURS": "24",
        "TIDEMILL_REMEMBERED_MIB": "16",
        "TIDEMILL_RULE_SECONDS": "5",
        "TIDEMILL_STREAM": stream,
        "TIDEMILL_TABLE": table,
        "TIDEMILL_QUARANTINE_BUCKET": bucket,
        "TIDEMILL_CONTENT_BUCKET": bucket,
        "TIDEMILL_REPLIES_TOPIC_ARN": topic,
        "TIDEMILL_DEVICES_TABLE": table,
        "TIDEMILL_DELIVERIES_TABLE": table,
        "TIDEMILL_FORGOTTEN_WRITERS_TABLE": table,
        "TIDEMILL_REPEAT_HORIZON_SECONDS": "3600",
        "TIDEMILL_EMIT_DEPTH": "16",
        "TIDEMILL_AGGREGATED_STREAM_ARN": "",
        "TIDEMILL_ANALYTICS_PERIODS": "",
        "TIDEMILL_TRACES": "off",
        "TIDEMILL_TRACES_HEADERS_SECRET_ARN": "",
        "TIDEMILL_APPLICATION_SECRET_ARN": "",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    application.cache_clear()
    keys = [f"k{n}" for n in range(SAMPLES + 1)]
    arn = STREAM_ARN.replace("/requests", f"/{stream}")
    views = batch(*(request(n, "content.view", key) for n, key in enumerate(keys, 1)), arn=arn)
    try:
        assert handler(batch(request(1, "content.view"), arn=arn), Context())["batchItemFailures"] == []
        assert application().retention == 86_400
        assert application() is application()
        assert handler(views, Context())["batchItemFailures"] == []
        assert application().entities.recall(keys)[1] == {keys[-1]}, "the others are read all the same"
        forgetful = application(is_direct=True)
        again = batch(*(request(n + 100, "content.view", key) for n, key in enumerate(keys, 1)), arn=arn)
        assert apply(again, forgetful)["batchItemFailures"] == []
        assert forgetful.entities.recall(keys)[1] == set()
    finally:
        application.cache_clear()
    assert document(app) == {"views": 1}
    assert document(app, keys[-1]) == {"views": 2}


# ── Time that is over ────────────────────────────────────────────────────────────────────────────────────────


def after(looks: int) -> Time:
    """Over once the clock was looked at so often."""
    return Time(count().__next__, looks)


def deliveries(event: KinesisEvent, app: Application, looks: int) -> int:
    """How many it takes until all is done, as Lambda delivers from what is reported on."""
    records = event["Records"]
    for number in range(1, 100):
        failures = apply({"Records": records}, app, after(looks))["batchItemFailures"]
        if not failures:
            return number
        first = int(failures[0]["itemIdentifier"])
        records = [one for one in records if int(one["kinesis"]["sequenceNumber"]) >= first]
    raise AssertionError("it does not end")


@pytest.mark.parametrize("looks", [0, 1, 2, 3, 5, 8])
def test_what_there_is_no_time_for_is_delivered_again_and_each_delivery_gets_on(
    app: Application, heard: Heard, emitted: Callable[[], list[Request]], looks: int
) -> None:
    wrong = UserRecord("elsewhere", encode(request(9)))
    several = [
        UserRecord(one.key or "", encode(one)) for one in (request(2, "tell", "m"), request(3), request(4, key="l"))
    ]
    event: KinesisEvent = {
        "Records": [
            *batch(request(1))["Records"],
            record(2, pack([*several, wrong]), "lane"),
            *batch(request(5))["Records"],
        ]
    }
    assert deliveries(event, app, looks) <= 6, "one request a delivery at least"
    assert document(app, "l") == {"ids": ["i4"]}
    assert statuses(heard()) == {f"i{n}": "accepted" for n in range(1, 6)} | {"i9": "quarantined"}
    assert sorted(one.key or "" for one in emitted()) == ["ear", "other"], "what was done is not done again"


def test_a_record_of_which_some_is_done_costs_nothing_but_its_rest(
    app: Application, heard: Heard, new_client: Clients, table: str
) -> None:
    read: list[str] = []
    dynamodb = new_client("dynamodb")

    def note(params: dict[str, Any], **_: object) -> None:
        read.extend(key["pk"]["S"] for key in params["RequestItems"][table]["Keys"])

    dynamodb.meta.events.register("provide-client-params.dynamodb.BatchGetItem", note)
    app = replace(app, entities=Entities(dynamodb, table, map))
    event: KinesisEvent = {"Records": [aggregate(7, [request(n, key=f"k{n}", client=f"c{n}") for n in range(1, 7)])]}
    assert retry_from_after(event, app, 3) == 7
    assert set(statuses(heard())) == {"i1", "i2"}
    read.clear()
    assert retry_from(event, app) is None
    assert set(statuses(heard())) == {"i3", "i4", "i5", "i6"}, "nobody is answered twice"
    assert [key for key in read if len(key) < 100] == ["k3", "k4", "k5", "k6"]


def retry_from_after(event: KinesisEvent, app: Application, looks: int) -> int | None:
    failures = apply(event, app, after(looks))["batchItemFailures"]
    return int(failures[0]["itemIdentifier"]) if failures else None


def test_replies_that_fail_within_a_record_are_those_that_come_again(
    app: Application, emulator: Emulator, heard: Heard, new_client: Clients, topic: str
) -> None:
    sns = new_client("sns")
    refused: list[int] = []

    def refuse(params: dict[str, Any], **_: object) -> None:
        if b"i15" in params["body"] if isinstance(params["body"], bytes) else "i15" in str(params["body"]):
            refused.append(1)
            raise ReadTimeoutError(endpoint_url="sns")

    sns.meta.events.register("before-call.sns.PublishBatch", refuse)
    event: KinesisEvent = {"Records": [aggregate(7, [request(n, client=f"c{n}") for n in range(1, 31)])]}
    assert retry_from(event, replace(app, replies=Replies(sns, topic, map))) == 7
    assert refused
    assert set(statuses(heard())) == {f"i{n}" for n in [*range(1, 11), *range(21, 31)]}
    assert retry_from(event, app) is None
    assert set(statuses(heard())) == {f"i{n}" for n in range(11, 31)}, "from where they failed on"


# ── What the table refuses ───────────────────────────────────────────────────────────────────────────────────


def swell(state: State, request: Request) -> Accepted:
    before, n = state or {"ids": [], "bad": False}, request.counter or 0
    return Accepted({"ids": [*before["ids"], n], "bad": before["bad"] or n % 5 == 0})


class Refusing:
    """DynamoDB that refuses statements of some keys, and of those whose document is bad, as what is too large."""

    def __init__(self, dynamodb: Any, keys: str = "", message: str = "Type mismatch for Index Key") -> None:
        self._dynamodb = dynamodb
        self._keys = keys
        self._message = message
        self.batch_get_item = dynamodb.batch_get_item

    def batch_execute_statement(self, Statements: list[Any], ReturnConsumedCapacity: str) -> Any:
        bad = [self._is_bad(one["Parameters"]) for one in Statements]
        good = [one for one, is_bad in zip(Statements, bad, strict=True) if not is_bad]
        taken = iter(self._dynamodb.batch_execute_statement(Statements=good)["Responses"] if good else [])
        error = {"Error": {"Code": "ValidationError", "Message": self._message}}
        return {"Responses": [error if is_bad else next(taken) for is_bad in bad]}

    def _is_bad(self, parameters: list[Any]) -> bool:
        texts = [one["S"] for one in parameters if "S" in one]
        return texts[0] in self._keys or any(one["M"].get("bad") == {"BOOL": True} for one in parameters if "M" in one)


def refusing(app: Application, emulator: Emulator, table: str, *arguments: str) -> Application:
    client: Any = Refusing(emulator.client("dynamodb"), *arguments)
    return replace(app, rules={"append": append, "swell": swell}, entities=Entities(client, table, map))


def test_requests_whose_entity_the_table_refuses_are_found_and_quarantined_and_hold_nobody(
    app: Application, emulator: Emulator, table: str, heard: Heard, quarantined: Callable[[], dict[str, str]]
) -> None:
    app = refusing(app, emulator, table)
    event = batch(request(1, key="other"), *(request(n, "swell") for n in range(2, 23)), request(23, key="last"))
    assert retry_from(event, app) is None
    good = [n for n in range(2, 23) if n % 5]
    assert document(app) == {"ids": good, "bad": False}
    assert document(app, "other") == {"ids": ["i1"]}
    assert document(app, "last") == {"ids": ["i23"]}
    expected = {f"i{n}": "accepted" if n % 5 else "quarantined" for n in range(2, 23)}
    assert statuses(heard()) == expected | {"i1": "accepted", "i23": "accepted"}
    reason = "the table does not take what comes of it: ValidationError: Type mismatch for Index Key"
    assert quarantined() == {f"{n}": reason for n in (5, 10, 15, 20)}
    assert retry_from(event, app) is None
    assert document(app) == {"ids": good, "bad": False}
    assert statuses(heard()).items() <= (expected | {"i1": "accepted", "i23": "accepted"}).items(), "none is another"


def test_an_entity_that_takes_not_even_a_mark_holds_nobody(
    app: Application, emulator: Emulator, table: str, heard: Heard, quarantined: Callable[[], dict[str, str]]
) -> None:
    app = refusing(app, emulator, table, "k")
    event = batch(request(1), request(2), request(3, key="other"))
    assert retry_from(event, app) is None
    assert statuses(heard()) == {"i1": "quarantined", "i2": "quarantined", "i3": "accepted"}
    assert set(quarantined()) == {"1", "2"}


@pytest.mark.parametrize(("message", "again"), [("Type mismatch", 1), ("Item size has exceeded", None)])
def test_a_table_that_takes_nothing_at_all_is_the_tables_trouble(
    app: Application, emulator: Emulator, table: str, heard: Heard, message: str, again: int | None
) -> None:
    app = refusing(app, emulator, table, "k", message)
    assert retry_from(batch(request(1), request(2)), app) == again
    assert bool(heard()) == (again is None)


# ── A fleet: more writers than an entity remembers ───────────────────────────────────────────────────────────

PHONES = 100


def of_phone(n: int, counter: int = 1) -> Request:
    return Request(
        id=f"p{n}-{counter}", cmd="tally", key="k", client="ann", writer=f"phone-{n}", counter=counter, data={}
    )


def resent(sequence: int, one: Request, tried: int) -> EventRecord:
    return record(sequence, marked(encode(one), tried), "k")


def tally(state: State, request: Request) -> Accepted:
    return Accepted({"n": (state or {"n": 0})["n"] + 1})


@pytest.fixture
def fleet(app: Application) -> Application:
    """A key to which each of a hundred phones has sent a request, record by record."""
    counting = replace(app, rules={"tally": tally})
    event: KinesisEvent = {"Records": [record(n, encode(of_phone(n)), "k") for n in range(1, PHONES + 1)]}
    assert retry_from(event, counting) is None
    assert document(counting) == {"n": PHONES}
    return counting


FIRST = 1545084651
"""When the first phone's request arrived, in seconds."""


def test_a_phone_s_re_send_is_a_repeat_whether_its_entity_remembers_it_or_the_table(
    fleet: Application, quarantined: Callable[[], dict[str, str]]
) -> None:
    again = [resent(200 + n, of_phone(n), FIRST * 1000) for n in (1, 50, PHONES)]
    assert retry_from({"Records": again}, fleet) is None
    assert (document(fleet), quarantined()) == ({"n": PHONES}, {})


def test_a_re_send_whose_first_attempt_was_not_stored_is_applied_once(fleet: Application) -> None:
    event: KinesisEvent = {"Records": [resent(200 + n, of_phone(1, 2), FIRST * 1000) for n in range(2)]}
    assert retry_from(event, fleet) is None
    assert document(fleet) == {"n": PHONES + 1}
    assert retry_from(event, fleet) is None
    assert document(fleet) == {"n": PHONES + 1}


def test_first_attempts_that_come_after_their_re_sends_are_repeats_even_if_the_entity_has_forgotten_these(
    fleet: Application, quarantined: Callable[[], dict[str, str]]
) -> None:
    """As after an outage: calls of which nobody heard arrive at last, behind what was put again meanwhile."""
    again: KinesisEvent = {"Records": [resent(200 + n, of_phone(n, 2), FIRST * 1000) for n in range(1, PHONES + 1)]}
    others: KinesisEvent = {"Records": [record(400 + n, encode(of_phone(1000 + n)), "k") for n in range(100)]}
    first: KinesisEvent = {"Records": [record(600 + n, encode(of_phone(n, 2)), "k") for n in range(1, PHONES + 1)]}
    for event in (again, others, first):
        assert retry_from(event, fleet) is None
    assert (document(fleet), quarantined()) == ({"n": 3 * PHONES}, {})
    later: KinesisEvent = {"Records": [record(800 + n, encode(of_phone(n, 3)), "k") for n in range(1, PHONES + 1)]}
    assert retry_from(later, fleet) is None
    assert document(fleet) == {"n": 4 * PHONES}


def test_a_first_attempt_is_no_repeat_of_itself_after_a_save_that_failed(
    fleet: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom an entity forgets stands in the table before the save, and the requests are judged again after it."""
    again: KinesisEvent = {"Records": [resent(200 + n, of_phone(n, 2), 0) for n in range(1, PHONES + 1)]}
    others: KinesisEvent = {"Records": [resent(110 + n, of_phone(1000 + n), FIRST * 1000) for n in range(90)]}
    assert (retry_from(others, fleet), retry_from(again, fleet)) == (None, None)
    before = document(fleet)["n"]  # type: ignore[index]
    batch = [record(600 + n, encode(of_phone(n, 3)), "k") for n in range(1, PHONES + 1)]
    batch += [resent(800 + n, of_phone(2000 + n), FIRST * 1000) for n in range(4 * PHONES)]
    save, failures = Entities.save, [True]

    def fails_once(self: Entities, writes: list[Write]) -> dict[str, str | None]:
        return {one.key: None for one in writes} if failures and failures.pop() else save(self, writes)

    monkeypatch.setattr(Entities, "save", fails_once)
    assert retry_from({"Records": batch}, fleet) is None
    assert document(fleet) == {"n": before + 5 * PHONES}


def test_a_re_send_older_than_the_horizon_is_quarantined_and_answered(
    fleet: Application, quarantined: Callable[[], dict[str, str]], heard: Heard
) -> None:
    lines: list[str] = []
    late = replace(fleet, forgotten=replace_horizon(fleet, 10.0), metrics=Metrics("apply", lines.append))
    event: KinesisEvent = {"Records": [resent(200, of_phone(1), FIRST * 1000), resent(201, of_phone(1), FIRST * 1000)]}
    assert retry_from(event, late) is None
    assert document(fleet) == {"n": PHONES}
    assert [reason.partition(":")[0] for reason in quarantined().values()] == [UNTOLD]
    assert statuses(heard())["p1-1"] == "quarantined"
    assert figures(lines).untold_repeats == 1


def test_emits_that_loop_are_quarantined_answered_and_counted(
    app: Application, quarantined: Callable[[], dict[str, str]], heard: Heard
) -> None:
    lines: list[str] = []
    looping = replace(app, emit_depth=2, metrics=Metrics("apply", lines.append))
    emitted = Request(id="e", cmd="append", key="k", client="ann", writer="emit/s/k", counter=1, depth=3, data={})
    forged = Request(id="f", cmd="append", key="k", client="ann", writer="phone", counter=1, depth=3, data={})
    event: KinesisEvent = {"Records": [record(1, encode(emitted), "k"), record(2, encode(forged), "k")]}
    assert retry_from(event, looping) is None
    assert document(app) == {"ids": ["f"]}
    assert list(quarantined().values()) == ["emits loop: depth 3, and 2 is the most: 3 emits led to it, one by one"]
    assert statuses(heard()) == {"e": "quarantined", "f": "accepted"}
    assert (figures(lines).emit_loops, figures(lines).quarantined) == (1, 1)


def figures(lines: list[str]) -> Figures:
    """What the only line of metrics says."""
    (line,) = lines_in("\n".join(lines))
    return line.figures


def replace_horizon(app: Application, seconds: float) -> ForgottenWriters:
    made = copy.copy(app.forgotten)
    made._horizon = seconds
    return made


def test_a_key_fails_whose_re_send_the_table_cannot_be_asked_about(fleet: Application, emulator: Emulator) -> None:
    blind = replace(fleet, forgotten=ForgottenWriters(emulator.client("dynamodb"), "nowhere", 3600.0))
    event: KinesisEvent = {
        "Records": [
            record(200, encode(replace_request(of_phone(1, 2), key="other")), "other"),
            resent(201, of_phone(1), FIRST * 1000),
            record(202, encode(of_phone(2, 2)), "k"),
        ]
    }
    assert retry_from(event, blind) == 201
    assert (document(blind), document(blind, "other")) == ({"n": PHONES}, {"n": 1})
    assert retry_from(event, fleet) is None
    assert (document(blind), document(blind, "other")) == ({"n": PHONES + 1}, {"n": 1})


def test_an_entity_forgets_nobody_whom_the_table_does_not_take(app: Application, emulator: Emulator) -> None:
    blind = replace(
        app, rules={"tally": tally}, forgotten=ForgottenWriters(emulator.client("dynamodb"), "nowhere", 3600.0)
    )
    event: KinesisEvent = {"Records": [record(n, encode(of_phone(n)), "k") for n in range(1, PHONES + 1)]}
    assert retry_from(event, blind) == 1
    assert document(blind) is None


def test_an_item_of_an_older_release_tells_only_what_it_remembers(
    app: Application, emulator: Emulator, table: str, quarantined: Callable[[], dict[str, str]]
) -> None:
    """Of more than a few writers it may have forgotten some, and no table knows them."""
    first = of_phone(1)
    writers = {f"phone-{n}": {"S": f"1/{1545084650.0 + n}/{crc32(encode(of_phone(n)))}"} for n in range(1, 10)}
    item = {
        "pk": {"S": "k"},
        "ver": {"N": "3"},
        "doc": {"M": {"n": {"N": "9"}}},
        "marks": {"M": {NAMED: {"S": "9/0/1545084659.0/1/0"}}},
        "writers": {"M": writers},
        "recent": {"L": []},
    }
    emulator.client("dynamodb").put_item(TableName=table, Item=item)
    counting = replace(app, rules={"tally": tally})
    event: KinesisEvent = {
        "Records": [
            resent(20, first, FIRST * 1000),
            resent(21, of_phone(99), FIRST * 1000),
            resent(22, of_phone(98), 1545084659_001),
            record(23, encode(of_phone(97)), "k"),
        ]
    }
    assert retry_from(event, counting) is None
    assert document(counting) == {"n": 11}
    assert set(quarantined()) == {"21"}


# ── The analytics stage ──────────────────────────────────────────────────────────────────────────────────────

STAGED_ARN = STREAM_ARN.replace("/requests", "/aggregated")
GENERATION = "20181217T000000Z-abcdef"


def viewed(state: State, amount: int) -> Accepted:
    return Accepted({"views": (state or {"views": 0})["views"] + amount})


@pytest.fixture
def staged(app: Application) -> Application:
    """With a stage that takes what arrives from 1545084660 on, which is the tenth record here."""
    rules: Rules = {**app.rules, "view": Aggregatable(viewed)}
    return replace(
        app,
        rules=rules,
        leaving=Leaving.of(rules, "requests", (Period(1545084660.0, inf),), 3600.0),
        aggregated=STAGED_ARN,
    )


class Nothing:
    """A client whose every call is an error."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"it was asked to {name}")


def of_window(sequence: int, number: int, total: int, arn: str = STAGED_ARN) -> EventRecord:
    writer, data = f"stage/{GENERATION}/view", {"total": total, "of": number}
    made = Request(id=f"{number}", cmd="view", key="k", writer=writer, counter=number, data=data)
    return record(sequence, encode(made), "k", arn)


def test_a_batch_that_is_left_to_the_stage_is_answered_without_a_table(staged: Application, heard: Heard) -> None:
    lines: list[str] = []
    nothing: Any = Nothing()
    blind = replace(
        staged,
        entities=Entities(nothing, "nowhere"),
        deliveries=Deliveries(nothing, "nowhere"),
        forgotten=ForgottenWriters(nothing, "nowhere", 3600.0),
        metrics=Metrics("apply", lines.append),
    )
    views = [request(n, "view", client="bob" if n == 11 else None) for n in (10, 11, 12)]
    event: KinesisEvent = {"Records": [aggregate(10, views), record(13, encode(request(13, "view")), "k")]}
    assert apply(event, blind) == done(records=2, requests=4, keys=0, write_calls=0)
    assert statuses(heard()) == {"i11": "accepted", "i13": "accepted"}
    said = figures(lines)
    assert (said.requests, said.left_to_stage, said.applied, said.reply_latency) == (4, 4, 0, ())


def test_what_the_stage_does_not_take_is_applied_in_order_beside_it(staged: Application, heard: Heard) -> None:
    lines: list[str] = []
    watched = replace(staged, metrics=Metrics("apply", lines.append))
    event = batch(request(9, "view"), request(10, "take"), request(11, "view"), request(12, "take"))
    event["Records"].append(record(13, b"{", "k"))
    assert retry_from(event, replace(watched, rules={**staged.rules, "take": step_after_views})) is None
    assert document(staged) == {"views": 1, "steps": 2}
    assert statuses(heard()) == {"i9": "accepted", "i10": "accepted", "i11": "accepted", "i12": "accepted"}
    said = figures(lines)
    assert (said.left_to_stage, said.applied, said.quarantined) == (1, 3, 1)


def step_after_views(state: State, request: Request) -> Accepted:
    return Accepted({"views": (state or {})["views"], "steps": (state or {}).get("steps", 0) + 1})


def test_what_is_left_is_delivered_again_until_it_is_answered(
    staged: Application, emulator: Emulator, heard: Heard
) -> None:
    lines: list[str] = []
    nobody = replace(staged, replies=Replies(emulator.client("sns"), NOWHERE), metrics=Metrics("apply", lines.append))
    event = batch(request(10, "view", client=None), request(11, "view"), request(12, "view", client=None))
    assert retry_from(event, nobody) == 11
    assert figures(lines).left_to_stage == 1, "the others are counted with the next delivery"
    assert retry_from(event, staged) is None
    assert statuses(heard()) == {"i11": "accepted"}
    assert document(staged) is None


def test_the_stages_windows_are_applied_once(staged: Application, quarantined: Callable[[], dict[str, str]]) -> None:
    assert retry_from(batch(request(1, "view"), request(2, "view")), staged) is None
    first: KinesisEvent = {"Records": [of_window(20, 1545084660, 3), of_window(21, 1545084670, 7)]}
    again: KinesisEvent = {"Records": [of_window(21, 1545084670, 7), of_window(22, 1545084670, 7)]}
    later: KinesisEvent = {"Records": [of_window(23, 1545084680, 8)]}
    for event in (first, first, again, later):
        assert retry_from(event, staged) is None
    assert document(staged) == {"views": 2 + 8}
    assert quarantined() == {}


def test_whoever_else_calls_itself_the_stage_is_quarantined(
    staged: Application, quarantined: Callable[[], dict[str, str]]
) -> None:
    forged: KinesisEvent = {"Records": [of_window(20, 1545084660, 1_000_000, STREAM_ARN)]}
    assert retry_from(forged, staged) is None
    without = replace(staged, aggregated="")
    assert retry_from({"Records": [of_window(21, 1545084660, 1_000_000)]}, without) is None
    assert document(staged) is None
    assert set(quarantined().values()) == {NOT_OF_STAGE}


def test_a_record_of_answers_that_no_delivery_can_do_at_once_goes_on_where_it_ended(
    staged: Application, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    """Of more than one piece, and with no time for a second: then the table notes how far it came."""
    monkeypatch.setattr("tidemill_consumers.core.pieces.MOST", 2)
    views = [request(n, "view", client=f"phone-{n}") for n in range(10, 15)]
    assert deliveries({"Records": [aggregate(20, views)]}, staged, looks=0) == 3
    assert statuses(heard()) == {f"i{n}": "accepted" for n in range(10, 15)}
