"""Every single and every double fault at the calls that one batch makes, its redeliveries included."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, TypeVar

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.described import STREAM_ARN
from tests.simulation.content import ContentBucket
from tests.simulation.services import Bucket, ForgottenTable, Kinesis, Table, Topic
from tests.simulation.world import Crash, error
from tidemill.contract import aggregation
from tidemill.contract.request import Request, decode, encode
from tidemill.sending.scheduler import Scheduler
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.adapters.quarantine import Quarantine, read
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.apply import apply
from tidemill_consumers.codec.items import from_item
from tidemill_consumers.composition import Application
from tidemill_consumers.core.batch import UNLIMITED, Accepted, Blob, Emit, Rejected, State, Time, ref
from tidemill_consumers.core.emits import emitter
from tidemill_consumers.core.folding.writers import counter_of
from tidemill_consumers.core.streams import life_of, shard_of

T = TypeVar("T")

FAULTS = ("crash before", "crash after", "refused", "answer lost", "acts late")
SHARD = "shardId-000000000000"


@dataclass
class Log:
    """A stream that is only written to."""

    data: list[bytes] = field(default_factory=list)
    created: float = 0.0
    name: str = "requests"
    is_there: bool = True

    def put(self, partition_key: str, data: bytes, hash_key: str | None = None) -> tuple[str, str]:
        self.data.append(data)
        return SHARD, str(len(self.data))

    @property
    def requests(self) -> list[Request]:
        """Each where it stands first."""
        every = [decode(one.data) for data in self.data for one in aggregation.unpack(data)]
        return list({one.id: one for one in reversed(every)}.values())[::-1]


@dataclass
class Script:
    """A world in which nothing happens but what is written down: call number -> fault."""

    faults: Mapping[int, str]
    calls: int = 0
    late: list[Callable[[], Any]] = field(default_factory=list)
    now = 0.0
    stored: set[str] = field(default_factory=set)
    """The objects that were put."""

    def strikes(self, fault: str, share: float = 1.0) -> bool:
        return False

    def call(self, service: str, act: Callable[[], T]) -> T:
        fault = self.faults.get(self.calls)
        self.calls += 1
        if fault == "crash before":
            raise Crash
        if fault == "refused":
            raise error("ThrottlingException")
        if fault == "acts late":
            self.late.append(act)
            raise ReadTimeoutError(endpoint_url=service)
        result = act()
        if fault == "crash after":
            raise Crash
        if fault == "answer lost":
            raise ReadTimeoutError(endpoint_url=service)
        return result


def append(state: State, request: Request) -> Accepted | Rejected:
    if request.data.get("refuse"):
        return Rejected("as it asks for")
    ids: Any = (state or {"ids": []})["ids"]
    emits = [Emit("append", f"to {request.key}", {"of": request.id, "place": n}) for n in range(request.data["emit"])]
    pictures = (Blob(request.id.encode()),) if request.key == "a" else ()
    drawn = {"picture": ref(pictures[0])} if pictures else {}
    return Accepted({"ids": [*ids, request.id], **drawn}, {"place": len(ids)}, tuple(emits), pictures)


def raising(state: State, request: Request) -> Accepted | Rejected:
    raise ValueError("poison")


def request(number: int, key: str, cmd: str = "append", refuse: bool = False, emit: int = 0) -> Request:
    data = {"refuse": refuse, "emit": emit}
    return Request(id=f"r{number}", cmd=cmd, key=key, client="c", writer="w", counter=number, data=data)


RECORDS = [
    [request(1, "a", emit=2)],
    [request(2, "b"), request(3, "b"), request(4, "b", refuse=True)],  # one record, aggregated
    [request(5, "a", cmd="raise")],
    [request(6, "a", emit=1), request(7, "a")],
    [request(8, "b")],
]
JUNK = b"\xff\xfe"
MISROUTED = encode(request(9, "elsewhere"))
STATUSES = {f"r{n}": "accepted" for n in range(1, 9)} | dict.fromkeys(["r5", "r9"], "quarantined") | {"r4": "rejected"}
EMITTER_A = emitter("a", shard_of(life_of(STREAM_ARN, 0.0).name, SHARD))
EMITTED = [(EMITTER_A, 1, "r1", 0), (EMITTER_A, 2, "r1", 1), (EMITTER_A, 3, "r6", 0)]
PICTURE = ref(Blob(b"r7"))
DOCUMENTS = {"a": {"ids": ["r1", "r6", "r7"], "picture": PICTURE}, "b": {"ids": ["r2", "r3", "r8"]}}


def events() -> list[dict[str, Any]]:
    """The batch's records, and one of which no part is a request."""
    payloads = [data_of(requests) for requests in RECORDS]
    payloads.append(aggregation.pack([aggregation.UserRecord("junk", JUNK), aggregation.UserRecord("junk", MISROUTED)]))
    return [
        {
            "eventID": f"{SHARD}:{10**20 + n}",
            "eventSourceARN": STREAM_ARN,
            "kinesis": {
                "partitionKey": RECORDS[n][0].key if n < len(RECORDS) else "junk",
                "sequenceNumber": str(10**20 + n),
                "data": base64.b64encode(payload).decode(),
                "approximateArrivalTimestamp": 1_764_000_000.0 + n,
            },
        }
        for n, payload in enumerate(payloads)
    ]


def data_of(requests: list[Request]) -> bytes:
    if len(requests) == 1:
        return encode(requests[0])
    aggregate = aggregation.Aggregate("0")
    for one in requests:
        aggregate.append(str(one.key), encode(one), 1_000_000)
    return aggregate.pack()


def run(faults: Mapping[int, str], looks: int | None = None) -> Script:
    """Deliver the batch until it is done, as the event source does, and look at what came of it.

    Each delivery's time is over once so many looks were taken at the clock.
    """
    script = Script(faults)
    world: Any = script
    table, bucket, stream = Table(world), Bucket(world), Log()
    content: Any = ContentBucket(world, table)
    table.is_there = content.is_there
    topic = Topic(world, lambda client, request_id: is_stored(table, bucket, request_id))
    forgotten: Any = ForgottenTable(world)
    clients: Any = table, bucket, topic, Kinesis(world, stream)  # type: ignore[arg-type] # all that it needs of one
    application = Application(
        rules={"append": append, "raise": raising},
        retention=86_400.0,
        entities=Entities(clients[0], "entities", map),
        quarantine=Quarantine(clients[1], "quarantine", map),
        objects=ObjectStore(content, "content", 86_400.0, map, lambda: 0.0),
        replies=Replies(clients[2], "replies", map),
        emits=Emits(clients[3], "requests", lambda: Scheduler(Random(1), linger=0, paced=False), lambda seconds: None),
        streams=Streams(clients[3], "requests"),
        forgotten=ForgottenWriters(forgotten, "forgotten", 3_600.0),
    )
    left = events()
    for _ in range(12 if looks is None else 30):
        time = UNLIMITED if looks is None else Time(count().__next__, looks)
        left = deliver(left, application, time)
        for act in script.late:
            act()
        script.late.clear()
        if not left:
            break
    assert left == [], "it is done in the end"
    assert {key: from_item(item).document for key, item in table.items.items() if key in "ab"} == DOCUMENTS
    assert {one: set(heard) for one, heard in topic.heard.items()} == {one: {s} for one, s in STATUSES.items()}
    assert topic.too_early == 0
    assert content.is_there(PICTURE["object"])
    assert table.dangling == 0
    script.stored = set(content.versions)
    assert [(one.writer, one.counter, one.data["of"], one.data["place"]) for one in stream.requests] == EMITTED
    assert sorted(kept(bucket)) == sorted([JUNK, MISROUTED, encode(RECORDS[2][0])])
    return script


def deliver(records: list[dict[str, Any]], application: Application, time: Time) -> list[dict[str, Any]]:
    """What is left to deliver."""
    try:
        event: Any = {"Records": records}
        answer = apply(event, application, time)
    except (Crash, Exception):
        return records
    failures = [int(one["itemIdentifier"]) for one in answer["batchItemFailures"]]
    return [one for one in records if failures and int(one["kinesis"]["sequenceNumber"]) >= min(failures)]


def kept(bucket: Bucket) -> list[bytes]:
    return [part.payload for body in bucket.objects.values() for part in read(body).all_parts]


def is_stored(table: Table, bucket: Bucket, request_id: str) -> bool:
    if request_id == "r9":
        return MISROUTED in kept(bucket)
    item = table.items.get("a" if request_id in ("r1", "r5", "r6", "r7") else "b")
    return item is not None and counter_of(item["writers"]["B"], "w") >= int(request_id[1:])


CALLS = 9
"""Which stream it is, a read, two objects of the quarantine, a picture, a write, two messages, follow-up requests."""


def test_the_batch_makes_as_many_calls_as_are_struck() -> None:
    script = run({})
    assert script.calls == CALLS
    assert script.stored == {PICTURE["object"]}


@pytest.mark.parametrize("place", range(CALLS))
@pytest.mark.parametrize("fault", FAULTS)
def test_every_single_and_double_fault(place: int, fault: str) -> None:
    calls = run({place: fault}).calls
    for second in range(place + 1, calls):
        for another in FAULTS:
            run({place: fault, second: another})


@pytest.mark.parametrize("looks", range(12))
def test_time_that_is_over_anywhere_with_every_single_fault(looks: int) -> None:
    calls = run({}, looks).calls
    for place in range(calls):
        for fault in FAULTS:
            run({place: fault}, looks)
