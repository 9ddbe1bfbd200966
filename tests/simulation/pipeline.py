"""The real pipeline in the simulated world: producers' schedulers, event source decisions, the apply function.

Only what does I/O for them is replaced: what puts a call on the wire, what reads a shard, what invokes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
from greenlet import getcurrent

from tests.simulation.clients import Client
from tests.simulation.content import LATE, YOUNG, ContentBucket, Sweepers
from tests.simulation.log import Log
from tests.simulation.services import (
    ARN,
    RETENTION,
    Bucket,
    ForgottenTable,
    Kinesis,
    Notes,
    Stream,
    Table,
    Topic,
    place_in,
)
from tests.simulation.uploads import Uploads
from tests.simulation.world import Crash, Looked, World
from tidemill.sending.scheduler import Scheduler
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.content.uploads import Uploads as ReadsUploads
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.adapters.quarantine import Kept, Quarantine, read
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.adapters.trust import Trust
from tidemill_consumers.apply import apply
from tidemill_consumers.codec.entity_cache import EntityCache
from tidemill_consumers.codec.events import KinesisEvent
from tidemill_consumers.composition import Application
from tidemill_consumers.core.batch import UNLIMITED, Position, Rules, Time
from tidemill_consumers.core.calling.asking import Watch
from tidemill_consumers.core.calling.eliminating import End
from tidemill_consumers.core.stage.leaving import Leaving
from tidemill_consumers.core.trust import LEAST_SECRET, Seals
from tidemill_consumers.isolation.apart import Tell, Work
from tidemill_consumers.isolation.deliveries import Deliveries
from tidemill_consumers.isolation.time_limit import TimeLimit
from tidemill_event_source.decisions.batches import Batch, InvocationResponse
from tidemill_event_source.decisions.checkpoint import Checkpoint, Start
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Render, kinesis_renderer
from tidemill_event_source.decisions.sequencer import Invoke
from tidemill_event_source.decisions.shard import Deliver, Read, Shard, readable

OWN, OTHER, AGGREGATED = "requests", "others", "aggregated"
"""The application's own stream, one that feeds the same function and table, and the analytics stage's."""

HORIZON = 3_600.0
"""Seconds after its first attempt that a re-send can be told from a repeat, whatever its entity has forgotten."""

REMEMBERED_BYTES = 100_000

_event_decoder = msgspec.json.Decoder(KinesisEvent)  # what the function does not look at is not made


class Pollers:
    """The event source mapping: a poller per shard, whose process may end at any moment."""

    def __init__(
        self,
        world: World,
        stream: Stream,
        config: MappingConfig,
        function: Callable[[Batch], bytes],
        render: Render | None = None,
    ) -> None:
        self._world = world
        self.stream = stream
        self._config = config
        self._function = function
        self._render = render or kinesis_renderer(config.stream_arn)
        self._pollers: dict[str, _Poller] = {}
        self.saved: dict[str, list[Checkpoint]] = {}
        self.invocations = 0

    def look(self) -> None:
        """Begin to follow the shards that may be read."""
        shards = {name: shard.parents for name, shard in self.stream.shards.items()}
        drained = frozenset(name for name, saved in self.saved.items() if saved[-1].drained)
        for name in readable(shards, drained):
            if name not in self._pollers:
                self.saved.setdefault(name, [Checkpoint(Start("TRIM_HORIZON"))])
                self._start(name, self.saved[name][-1])

    def watch(self) -> None:
        """Look every second."""
        self.look()
        self._world.after(1.0, self.watch)

    @property
    def idle(self) -> bool:
        """Whether all that stands on the stream is read and done."""
        begin = [Checkpoint(Start("TRIM_HORIZON"))]
        return all(
            not shard.records
            or (after := self.saved.get(name, begin)[-1].after) == shard.records[-1].sequence
            or not self.stream.read(name, after, 1).records
            for name, shard in self.stream.shards.items()
        )

    def _start(self, name: str, checkpoint: Checkpoint) -> None:
        self._pollers[name] = _Poller(self, name, checkpoint)
        self._pollers[name].act()

    def begin_anew(self) -> None:
        """Once the stream is deleted: one that is made again under its name is another."""
        for poller in self._pollers.values():
            poller.alive = False
        self._pollers.clear()
        self.saved.clear()

    def crash(self, name: str) -> None:
        """A poller ends; another begins where it stood, or a little before. Its invocation goes on alone."""
        self._pollers[name].alive = False
        saved = self.saved[name]
        place = -1
        if len(saved) > 1 and self._world.strikes("stale checkpoint", 5.0):
            place = -self._world.random.randrange(1, len(saved) + 1)
        del saved[len(saved) + place + 1 :]
        self._start(name, saved[-1])

    def save(self, name: str, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and a few before it."""
        saved = self.saved[name]
        if checkpoint != saved[-1]:
            saved.append(checkpoint)
            del saved[:-12]
        if checkpoint.drained:
            self.look()


class _Poller:
    """One shard's poller, until it ends."""

    def __init__(self, pollers: Pollers, name: str, checkpoint: Checkpoint) -> None:
        self._all = pollers
        self._world = pollers._world
        self._name = name
        self._after = checkpoint.after
        self._due = math.inf
        self.alive = True
        self._shard = Shard(pollers._config, name, checkpoint, pollers._render)

    def act(self) -> None:
        """Do all that the shard wants now, and come again when it may want more."""
        world = self._world
        if self.alive and world.strikes("poller ended", 0.1):
            self._all.crash(self._name)
        while self.alive and (action := self._shard.next(world.now)):
            match action:
                case Read(limit):
                    self._read(limit)
                case Deliver(sequencer, Invoke(batch)):
                    self._invoke(sequencer, batch)
                case Deliver(_, discard):
                    raise AssertionError(f"a mapping that never gives up gave up: {discard}")
        if not self.alive:
            return
        wake = self._shard.wake()
        if wake < self._due:
            self._due = wake
            world.at(wake, self._wake)

    def _wake(self) -> None:
        if self._due <= self._world.now:
            self._due = math.inf
            self.act()

    def _read(self, limit: int) -> None:
        if self._world.strikes("read failed", 0.3):
            self._shard.read_failed(self._world.now)
            return
        page = self._all.stream.read(self._name, self._after, limit)
        if page.records:
            self._after = page.records[-1].sequence
        self._shard.took(page, self._world.now)
        self._keep()

    def _invoke(self, sequencer: int, batch: Batch) -> None:
        world = self._world
        if world.strikes("invocation throttled", 0.3):
            world.after(0.01, lambda: self._answered(sequencer, batch, InvocationResponse(invoked=False)))
            return
        given_up = False

        def run() -> None:
            self._all.invocations += 1
            try:
                response = InvocationResponse(self._all._function(batch))
            except (Crash, SystemExit, Exception):
                response = InvocationResponse(error="Unhandled")
            end(response)

        def end(response: InvocationResponse) -> None:
            if not given_up:
                world.after(0.005, lambda: self._answered(sequencer, batch, response))

        def give_up() -> None:
            nonlocal given_up
            given_up = True
            self._answered(sequencer, batch, InvocationResponse(error="Unhandled"))

        if world.strikes("invocation's answer lost", 0.5):
            # The batch comes again while its first invocation may still be at work.
            world.after(world.random.uniform(0.0, 0.1), give_up)
            given_up = True
        orphaned = world.strikes("poller ended amid its invocation", 0.3)
        if orphaned:
            # What it invoked goes on, slowly, beside what its successor invokes, which may have read more.
            world.after(world.random.uniform(0.0, 0.3), self._end)
        world.begin(run, stalls=orphaned, died=lambda: end(InvocationResponse(error="Unhandled")))

    def _end(self) -> None:
        if self.alive:
            self._all.crash(self._name)

    def _answered(self, sequencer: int, batch: Batch, response: InvocationResponse) -> None:
        if self.alive:
            self._shard.answered(sequencer, batch.records, response, self._world.now)
            self._keep()
            self.act()

    def _keep(self) -> None:
        self._all.save(self._name, self._shard.checkpoint)


class Limit(TimeLimit):
    """Limits rules' time by the simulated clock: they tick themselves while they do not come back."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """The watch for a plan, known to the rules that it asks."""
        with super().watching() as watch:
            self._world.watches[getcurrent()] = watch
            yield watch
            del self._world.watches[getcurrent()]


def _in_a_child(world: World, work: Work, told: Tell, seconds: float) -> End | None:
    places: list[Position | None] = [None]
    if world.apart(lambda: work(places.append, told)):
        return None
    return End(places[-1])


class Pipeline:
    """All of it."""

    def __init__(
        self,
        world: World,
        rules: Rules,
        shards: int,
        batch_size: int,
        window: float,
        lanes: int,
        *,
        has_other: bool,
        has_secret: bool,
        emit_depth: int,
        table: Table | None = None,
        leaving: Leaving | None = None,
    ) -> None:
        self.emit_depth = emit_depth
        self.stream = Stream(world, shards, OWN)
        streams = [self.stream]
        if has_other:
            # Its shards have the same ids, and their sequence numbers begin where those of the first begin.
            streams.append(Stream(world, shards, OTHER, self.stream.starts))
        if leaving is not None:
            streams.append(Stream(world, shards, AGGREGATED, self.stream.starts))
        self.refused: dict[str, bytes] = {}
        """Payloads that are no requests, though they name a client and an id; by the id."""
        self.clients: dict[str, Client] = {}
        """By writer, which is also the name that they are answered under."""
        self.refused_records: set[bytes] = set()
        """Records of which no part is a request."""
        self.uploads = Uploads(world)
        self.log = Log(streams, self.refused_records, self.uploads.data)
        self.table = Table(world) if table is None else table
        self.bucket, self.topic = Bucket(world), Topic(world, self._is_stored)
        self.content = ContentBucket(world, self.table)
        self.table.is_there = self.content.is_there
        content: Any = self.content
        clients: Any = self.table, self.bucket, self.topic, Kinesis(world, *streams)

        def scheduler() -> Scheduler:
            size = world.random.choice([400, 25_600])
            return Scheduler(world.random, lanes=lanes, linger=0, record_bytes=size, paced=False)

        self.seals = Seals(OWN, ["s" * LEAST_SECRET]) if has_secret else None
        remembers = world.random.random() < 0.3

        notes: Any = Notes(world)
        self.forgotten = ForgottenTable(world)
        forgotten: Any = self.forgotten
        uploads: Any = self.uploads

        def environment() -> Application:
            remembered = EntityCache(REMEMBERED_BYTES, world.random.choice([0, 0, 2, 50])) if remembers else None
            return Application(
                rules=rules,
                retention=RETENTION,
                emit_depth=emit_depth,
                entities=Entities(clients[0], "entities", map, remembered),
                quarantine=Quarantine(clients[1], "quarantine", map),
                objects=ObjectStore(content, "content", YOUNG, map, lambda: world.now),
                replies=Replies(clients[2], "replies", map),
                emits=Emits(clients[3], OWN, scheduler, world.sleep, self.seals),
                trust=Trust(OWN, seals=self.seals),
                leaving=leaving or Leaving(),
                aggregated="" if leaving is None else ARN + AGGREGATED,
                uploads=ReadsUploads(uploads, "content", map),
                streams=Streams(clients[3], OWN),
                forgotten=ForgottenWriters(forgotten, "forgotten", HORIZON, lambda: world.now),
                limit=Limit(world),
                deliveries=Deliveries(notes, "deliveries"),
                run=partial(_in_a_child, world),
            )

        self.world = world
        self.wasted = 0
        """Objects that were put and that no document named, though nothing had gone wrong."""
        self._begun: dict[object, float] = {}
        """Invocations that are at work, or may yet act late -> when they began."""
        self.sweepers = Sweepers(world, self.table, content, lambda: min(self._begun.values(), default=world.now))
        self._environment = environment
        self._environments: list[Application] = []
        """The function's, those that crashed included; each remembers what it saved."""
        self._idle: list[Application] = []
        """Those that wait for an invocation."""
        self.sources: list[Pollers] = []
        """A mapping for each stream; the first is of the application's own."""
        for stream in streams:
            config = MappingConfig(
                ARN + stream.name,
                batch_size=batch_size,
                window=window,
                bisect_batch_on_function_error=True,
                report_batch_item_failures=True,
            )
            self.sources.append(Pollers(world, stream, config, self._handle))

    @property
    def write_calls(self) -> int:
        """Those of all environments."""
        return sum(one.entities.write_calls for one in self._environments)

    @property
    def quarantined(self) -> list[bytes]:
        """The payloads that lie in the quarantine, or lay there."""
        return [part.payload for one in self.quarantine_objects() for part in one.all_parts]

    def quarantine_objects(self) -> list[Kept]:
        """What lies in the quarantine, or lay there."""
        return [read(body) for body in self.bucket.objects.values()]

    def _is_stored(self, client: str, request_id: str) -> bool:
        """Whether the entity holds what became of a client's request, or the quarantine what was none.

        What the other stream's batch has in the quarantine may be put back, by the own, before that batch is saved.
        """
        if request_id in self.refused:
            return self.refused[request_id] in self.quarantined
        self.log.catch_up()
        places = self.log.of_id[request_id]
        marks = self.table.items[places[0].key]["marks"]["M"] if places[0].key in self.table.items else {}
        return any(one.shard in marks and one.position <= place_in(marks[one.shard]) for one in places)

    def _time(self) -> Time:
        """An invocation's: often so little that it is over before all is done."""
        world = self.world
        if world.strikes("time is over", 1.0):
            return Time(Looked(world), world.now + world.random.uniform(0.0, 0.2))
        return UNLIMITED

    def _handle(self, batch: Batch) -> bytes:
        """In an idle environment, most often the last that became so, or in a new one. One that crashes is gone."""
        idle, fate = self._idle, self.world.random.random()
        if not idle or fate < 0.02:
            idle.append(self._environment())
            self._environments.append(idle[-1])
        environment = idle.pop(-1 if fate < 0.75 else 0)
        mine = getcurrent()
        self._begun[mine] = self.world.now
        try:
            answer = apply(_event_decoder.decode(batch.event), environment, self._time())
        finally:
            self.world.after(LATE, partial(self._begun.pop, mine, None))
        if mine not in self.world.troubled:
            self.wasted += len(self.content.put_by[mine] - self.table.tried_by[mine])
        idle.append(environment)
        return msgspec.json.encode(answer)
