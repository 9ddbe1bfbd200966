"""Whole batches of hostile records, applied by the real function over AWS in memory that refuses what AWS refuses.

100,000 records of up to 1 MiB. Two streams, whose shards have the same names and numbers, feed one table; some batches
are delivered twice. What must hold:

- no delivery takes more than 60 s of CPU, nor more than the function's time-out with what its calls would take on AWS;
- whatever is delivered again from where the function says so ends, after a bounded number of deliveries;
- nobody tries to save an item above 400 KB, and no call is refused;
- each request is applied, rejected or quarantined once, in order, and answered where it names a client that can be.

A run is made of episodes, each with a seed of its own; that of one that fails is printed, and repeats it alone.
"""

from __future__ import annotations

import logging
import multiprocessing
import re
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from random import Random
from traceback import format_exc
from typing import Any
from zlib import crc32

from tests.described import Described
from tests.fuzz.aws import Bucket, ForgottenTable, Item, Kinesis, Meter, Tables, Topic
from tests.fuzz.hostile import OVERFULL, REGISTERED, Hostile, Record, Sent
from tests.fuzz.rules import RULES
from tidemill.contract.request import MAX_KEY_CHARACTERS
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.devices import Devices
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.adapters.quarantine import Quarantine, read
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.adapters.trust import Trust
from tidemill_consumers.apply import apply
from tidemill_consumers.codec.entity_cache import EntityCache
from tidemill_consumers.codec.events import KinesisEvent
from tidemill_consumers.codec.items import from_attribute
from tidemill_consumers.composition import Application
from tidemill_consumers.core.batch import Time
from tidemill_consumers.core.trust import Seals

RECORDS = 100_000
OF_EPISODE = 250
LARGE_SHARE = 1 / 1000
"""Of records, those of up to 1 MiB; some are followed by three more."""

CPU_SECONDS = 60.0
BEGINS_SECONDS, ENDS_SECONDS = 60.0, 120.0
"""Of a delivery's CPU and calls together: nothing is begun after half of the function's time-out."""

DELIVERIES = 60
"""Of batches that begin with the same record."""

EVENT_BYTES = 6_000_000
SHARD = "shardId-000000000000"
RETENTION = 86_400.0
SECRET = "s" * 43
TABLE, REGISTRY, FORGOTTEN = "entities", "devices", "forgotten"
HORIZON = 3_600.0

FULL = [f"{number:x}" for number in range(76_000)]
FULL_BYTES = sum(map(len, FULL))
"""What items of the registry are full of: 367 KB of short texts."""


class Wrong(AssertionError):
    """What must hold does not; says what."""


@dataclass
class Tally:
    """What a run was."""

    records: int = 0
    requests: int = 0
    deliveries: int = 0
    cpu: float = 0.0
    slowest: float = 0.0
    slowest_on_aws: float = 0.0
    most_deliveries: int = 0
    largest_item: int = 0

    def add(self, other: Tally) -> None:
        for name in ("records", "requests", "deliveries", "cpu"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("slowest", "slowest_on_aws", "most_deliveries", "largest_item"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))

    def __str__(self) -> str:
        return (
            f"{self.records:,} records, {self.requests:,} user records, {self.deliveries:,} deliveries, "
            f"{self.cpu:.0f} s of CPU; one delivery took {self.slowest:.1f} s at most and {self.slowest_on_aws:.1f} s "
            f"of calls, at most {self.most_deliveries} of one record, the largest item {self.largest_item:,} bytes"
        )


@dataclass
class Source:
    """A stream of one shard, with what is still to be delivered, and the function that reads it."""

    name: str
    app: Application
    kinesis: Kinesis
    hostile: Hostile
    pending: list[dict[str, Any]] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    sequence: int = 49_600_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000

    def put(self, partition_key: str, data: bytes) -> None:
        """Behind what is there."""
        self.sequence += 1
        kinesis = {
            "partitionKey": partition_key,
            "sequenceNumber": str(self.sequence),
            "data": b64encode(data).decode(),
            "approximateArrivalTimestamp": 1_764_000_000.0 + self.sequence % 10**6 / 1000,
        }
        arn = f"arn:aws:kinesis:us-east-1:111122223333:stream/{self.name}"
        self.pending.append({"eventID": f"{SHARD}:{self.sequence}", "eventSourceARN": arn, "kinesis": kinesis})


class Episode:
    """Some records, delivered until all are done, and looked at then.

    Args:
        seed: everything follows from it.
        records: how many.
        large: of them, the share of large ones.
    """

    def __init__(self, seed: int, records: int, large: float = LARGE_SHARE) -> None:
        self._chance = Random(seed)
        self._records = records
        self._large = large
        self._meter = Meter()
        self._forgotten: Any = ForgottenTable(self._meter)
        self._tables, self._bucket, self._topic = Tables(self._meter), Bucket(self._meter), Topic(self._meter)
        sealed = self._chance.random() < 0.5
        self._sources = [self._source(f"requests-{letter}", sealed) for letter in "ab"]
        self.tally = Tally(records)
        for client, keys in REGISTERED.items():
            self._tables.put(REGISTRY, {"pk": {"S": client}, "public_keys": {"SS": keys}}, 400)
        for number in range(400):
            item = {"pk": {"S": f"{OVERFULL}{number}"}, "public_keys": {"SS": FULL}}
            self._tables.put(REGISTRY, item, FULL_BYTES)

    def _source(self, name: str, sealed: bool) -> Source:
        clients: Any = self._tables, self._bucket, self._topic
        kinesis: Any = Kinesis(self._meter)
        seals = Seals(name, [SECRET]) if sealed else None
        streams = Streams(Described({name: 1.0}), name)  # type: ignore[arg-type]
        app = Application(
            rules=RULES,
            retention=RETENTION,
            entities=Entities(clients[0], TABLE, map, EntityCache(32 * 1024 * 1024), streams.own),
            quarantine=Quarantine(clients[1], "quarantine", map),
            objects=ObjectStore(clients[1], "content", RETENTION, map),
            replies=Replies(clients[2], "replies", map),
            emits=Emits(kinesis, name, seals=seals),
            streams=streams,
            forgotten=ForgottenWriters(self._forgotten, FORGOTTEN, HORIZON),
            trust=Trust(name, Devices(clients[0], REGISTRY, map), seals),
        )
        return Source(name, app, kinesis, Hostile(self._chance, name, sealed=sealed))

    def run(self) -> Tally:
        """Raises:
        Wrong: what must hold does not.
        """
        left = self._records
        while left:
            source = self._chance.choice(self._sources)
            count = min(left, self._chance.choice([1, 5, 30, 100]))
            left -= count
            for record in self._made(source.hostile, count):
                source.put(record.partition_key, record.data)
                source.sent += record.sent
            self._drain(source)
        self.tally.requests = sum(len(source.sent) for source in self._sources)
        self.tally.largest_item = self._tables.largest
        self._judge()
        return self.tally

    def _made(self, hostile: Hostile, count: int) -> Iterator[Record]:
        for _ in range(count):
            if self._chance.random() < self._large:
                yield from (hostile.large() for _ in range(self._chance.choice([1, 1, 1, 1, 1, 4])))
            else:
                yield hostile.record()

    # ── Deliveries ───────────────────────────────────────────────────────────────────────────────────────────

    def _drain(self, source: Source) -> None:
        """Deliver until all is done, that which rules emit included."""
        begun: Counter[str] = Counter()
        while source.pending:
            batch = self._batch(source)
            first = batch[0]["kinesis"]["sequenceNumber"]
            begun[first] += 1
            self.tally.most_deliveries = max(self.tally.most_deliveries, begun[first])
            if begun[first] > DELIVERIES:
                raise Wrong(f"{DELIVERIES} deliveries that began with the same record: {_told(batch)}")
            again = self._deliver(source, batch)
            done = [one["kinesis"]["sequenceNumber"] for one in batch]
            if again is not None and again not in done:
                raise Wrong(f"to begin again with {again}, which the batch does not have")
            if again is None and self._chance.random() < 0.1:
                # Lambda did not hear that it was done.
                continue
            del source.pending[: len(batch) if again is None else done.index(again)]
            for key, data in source.kinesis.put:
                source.put(key, data)
            source.kinesis.put.clear()

    def _batch(self, source: Source) -> list[dict[str, Any]]:
        most = self._chance.choice([1, 10, 1000])
        batch: list[dict[str, Any]] = []
        size = 0
        for record in source.pending[:most]:
            size += len(record["kinesis"]["data"]) + 500
            if batch and size > EVENT_BYTES:
                break
            batch.append(record)
        return batch

    def _deliver(self, source: Source, batch: list[dict[str, Any]]) -> str | None:
        """Where to begin again; None when all is done."""
        event: KinesisEvent = {"Records": batch}  # type: ignore[typeddict-item] # as JSON has them
        self._meter.calls.clear()
        start = time.process_time()

        def clock() -> float:
            return time.process_time() - start + self._meter.seconds()

        try:
            response = apply(event, source.app, Time(clock, BEGINS_SECONDS))
        except BaseException as error:
            raise Wrong(f"the function raised {type(error).__name__}: {_text(error)}; {_told(batch)}") from error
        cpu, aws = time.process_time() - start, self._meter.seconds()
        tally = self.tally
        tally.deliveries += 1
        tally.cpu += cpu
        tally.slowest, tally.slowest_on_aws = max(tally.slowest, cpu), max(tally.slowest_on_aws, aws)
        if cpu > CPU_SECONDS or cpu + aws > ENDS_SECONDS:
            calls = dict(self._meter.calls)
            raise Wrong(f"a delivery of {cpu:.0f} s of CPU and {aws:.0f} s of calls {calls}: {_told(batch)}")
        if self._tables.refused or self._topic.refused:
            raise Wrong(f"refused: {self._tables.refused[:3]}, {self._topic.refused} messages; {_told(batch)}")
        failures = response["batchItemFailures"]
        return min((one["itemIdentifier"] for one in failures), key=int) if failures else None

    # ── Judgement ────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(self) -> None:
        kept = self._quarantined()
        wanted: Counter[bytes] = Counter()
        documents: dict[str, dict[str, int]] = {}
        statuses: dict[str, str] = {}
        for source in self._sources:
            for sent in source.sent:
                fate = sent.fate
                if fate == "either":
                    fate = "quarantined" if sent.payload in kept else "applied"
                if fate == "quarantined":
                    wanted[sent.payload] += 1
                elif fate == "applied":
                    _count(documents, sent, source.name[-1])
                if sent.id is not None and fate != "repeat":
                    self._judge_answers(sent, "accepted" if fate == "applied" else fate)
                    statuses[sent.id] = fate
        if kept != wanted:
            raise Wrong(f"quarantined is {_difference(kept, wanted)}")
        self._judge_documents(documents)

    def _judge_answers(self, sent: Sent, status: str) -> None:
        heard = {told for _, told in self._topic.heard.get(sent.id or "", ())}
        if heard - {status} or (sent.answered and not heard):
            raise Wrong(f"{_short(sent.payload)} was told {heard or 'nothing'}, and became {status}")

    def _judge_documents(self, documents: dict[str, dict[str, int]]) -> None:
        items: dict[str, Item] = self._tables.tables[TABLE]
        for key in documents.keys() | {key for key in items if len(key) <= MAX_KEY_CHARACTERS}:
            document = from_attribute(items[key]["doc"]) if key in items else None
            found = {name: value for name, value in (document or {}).items() if name not in ("pad",)}
            if found != documents.get(key, {}):
                raise Wrong(f"{key[:100]!r} holds {str(found)[:300]}, and should {documents.get(key)}")

    def _quarantined(self) -> Counter[bytes]:
        return Counter(part.payload for stored in self._bucket.objects.values() for part in read(stored).all_parts)


def _count(documents: dict[str, dict[str, int]], sent: Sent, source: str) -> None:
    document = documents.setdefault(sent.key, {})
    match sent.effect:
        case "track":
            document["events"] = document.get("events", 0) + 1
        case "delete":
            document.clear()
        case "add":
            document["n"] = document.get("n", 0) + 1
            chain = f"h{source}"
            document[chain] = crc32((sent.id or "").encode(), document.get(chain, 0))
    for key in sent.emits:
        of_key = documents.setdefault(key, {})
        of_key["e"] = of_key.get("e", 0) + 1


def _text(error: BaseException) -> str:
    """What it says, if it can; it may be one that a rule raised."""
    try:
        return str(error)[:300]
    except BaseException as other:
        return f"a text that raises {type(other).__name__}"


def _told(batch: list[dict[str, Any]]) -> str:
    """A batch in few words."""
    sizes = [len(one["kinesis"]["data"]) for one in batch]
    return (
        f"{len(batch)} records, of {max(sizes):,} characters the largest; the first {batch[0]['kinesis']['data'][:200]}"
    )


def _short(payload: bytes) -> str:
    return re.sub("(🌊)+", "🌊", payload.decode(errors="replace"))[:300]


def _difference(found: Counter[bytes], wanted: Counter[bytes]) -> str:
    more, less = found - wanted, wanted - found
    texts = [
        f"{sum(some.values())} {what}, such as {_short(next(iter(some)))}"
        for what, some in (("too many", more), ("too few", less))
        if some
    ]
    return "; ".join(texts)


# ── Runs ─────────────────────────────────────────────────────────────────────────────────────────────────────


def episodes(records: int, seed: int) -> list[tuple[int, int]]:
    """Seeds and records of the episodes of a run."""
    whole, rest = divmod(records, OF_EPISODE)
    sizes = [OF_EPISODE] * whole + [rest] * bool(rest)
    return [(seed + place, size) for place, size in enumerate(sizes)]


def run_one(episode: tuple[int, int]) -> Tally | str:
    """The tally of an episode, or what was wrong and how to repeat it."""
    seed, records = episode
    try:
        with redirect_stdout(StringIO()):  # metrics
            return Episode(seed, records).run()
    except Exception as wrong:
        what = str(wrong) if isinstance(wrong, Wrong) else format_exc()
        return f'ARGS="--records {records} --seed {seed}": {what}'


def fuzz(records: int, seed: int, said: Callable[[str], None], go_on: bool = False) -> bool:
    """Fuzz on all processors, and say what was found; whether all held."""
    start = time.monotonic()
    tally = Tally()
    held = True
    # Episodes are of very different length, so they are dealt out one by one.
    with multiprocessing.get_context("spawn").Pool(initializer=logging.disable) as pool:
        for done, found in enumerate(pool.imap_unordered(run_one, episodes(records, seed)), 1):
            if isinstance(found, str):
                held = False
                said(f"wrong ({found})")
                if not go_on:
                    return False
                continue
            tally.add(found)
            if done % 20 == 0:
                said(f"  {time.monotonic() - start:.0f} s: {tally}")
    said(f"{tally}, {time.monotonic() - start:.0f} s")
    return held
