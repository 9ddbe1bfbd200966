"""Producers of the simulated world: the SDK's core, spool and wire, over a device's clocks and a network that fails.

Only the threads and the network are replaced: the keeper's turns are the calendar's, and what boto3 would return or
raise is decided here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.simulation.services import Stream
from tests.simulation.world import World, error
from tidemill.contract.places import upload_name
from tidemill.contract.request import ClaimCheck, Request
from tidemill.delivery.core import Core
from tidemill.delivery.put_records import Wire
from tidemill.sending.records import Call, Record
from tidemill.sending.scheduler import Scheduler
from tidemill.sending.stream_clock import StreamClock
from tidemill.sending.writer import Writer
from tidemill.spool.spool import Spool

ENDPOINT = "https://kinesis.us-east-1.amazonaws.com"
SENDS_ITSELF = 3
"""Attempts of a boto3 client that retries by itself."""

LATEST = 5.0
"""Seconds after which a call arrives at the latest of which its caller hears no more."""

SLOWEST = 4.0
"""Seconds that a call may be on its way."""

LOOKS = 0.5
"""Share of producers that look at the stream as they start, and so hear its time."""

FASTEST = 5e-4
"""How much faster or slower than the stream's clock a device's may run: 500 ppm, as much as NTP slews."""


TICK = 1e-6
"""Seconds that surely are more than the world's time is rounded by."""

Answer: TypeAlias = dict[str, Any] | Exception
"""What boto3 returns or raises."""


class Clocks:
    """A device's clocks, which lie: the wall clock is off, and the monotonic one drifts, and stops in sleep.

    Args:
        world: the world.
        is_off: whether they lie; else they are the world's.
    """

    def __init__(self, world: World, is_off: bool) -> None:
        chance = world.random
        self._world = world
        self._begun = world.now
        self._first = chance.uniform(0.0, 1e6) if is_off else world.now
        self._rate = 1 + chance.uniform(-FASTEST, FASTEST) if is_off else 1.0
        self._slept = 0.0
        # A phone's clock may be a day off; nothing may depend on it.
        self.error = chance.choice([0.0, 0.0, -86_400.0, 86_400.0, -7_200.0, 7_200.0])

    @property
    def wall(self) -> int:
        """Milliseconds since 1970, as the device has it."""
        return int((self._world.now + self.error) * 1000)

    @property
    def monotonic(self) -> float:
        """Seconds since some time."""
        return self._first + (self._world.now - self._begun - self._slept) * self._rate

    def moment(self, monotonic: float) -> float:
        """When the monotonic clock will show that."""
        return self._world.now + (monotonic - self.monotonic) / self._rate + TICK

    def sleep(self, seconds: float) -> None:
        """Note that the device has slept, and its monotonic clock stood."""
        self._slept += seconds


@dataclass(frozen=True, slots=True)
class Kind:
    """What a producer is like."""

    lanes: int
    record_bytes: int
    is_off: bool = False
    """Whether its clocks lie."""
    looks: bool = False
    """Whether it surely looks at the stream as it starts, so that no re-send of its own is taken for untold."""
    aggregate: bool = True
    linger: float = 0.05
    folder: Path | None = None
    """Where its spool is, if it has one."""
    retries_itself: bool = False
    """Whether its boto3 client does."""


class Client:
    """A producer: the real core, and a wire that fails. It may sleep, and be killed and started again."""

    def __init__(self, world: World, stream: Stream, writer: str, kind: Kind) -> None:
        self._world = world
        self.stream = stream
        self.kind = kind
        self.id = writer
        self.sent: dict[str, tuple[str, int]] = {}
        """Ids -> key and counter."""
        self.interrupt: Callable[[Client], None] = lambda client: None
        """Is told of each call as it has left; may put the producer to sleep, or kill it."""
        self._is_asleep = False
        self._missed: list[Callable[[], None]] = []
        self._lives = 0
        self._spool: Spool | None = None
        self.clocks = Clocks(world, kind.is_off)
        self.start()

    def start(self) -> None:
        """Start it; again, after it was killed, with what its spool holds."""
        kind = self.kind
        if self._lives:
            self.clocks = Clocks(self._world, kind.is_off)  # as after a restart of the device
        if kind.folder is not None:
            self._spool = Spool(kind.folder, writer=self.id, fsync="never", clock=lambda: self.clocks.monotonic)
        self._due = math.inf
        self._endpoint = _Endpoint(kind.retries_itself)
        kinesis: Any = self._endpoint
        clock = StreamClock()
        self._wire = Wire(self.stream.name, kinesis, clock, lambda: self.clocks.monotonic)
        if self._world.random.random() < LOOKS or kind.looks:
            clock.hear(self.stream.date(), self.clocks.monotonic)
        self.core = Core(
            self.clocks.monotonic,
            clock,
            self._world.random,
            writer=self.id,
            lanes=kind.lanes,
            linger=kind.linger,
            record_bytes=kind.record_bytes,
            aggregate=kind.aggregate,
            spool=self._spool,
        )
        self.is_alive = True
        if self._spool is not None and self._lives:
            self.pump()

    @property
    def scheduler(self) -> Scheduler:
        """Its scheduler."""
        return self.core.scheduler

    @property
    def writer(self) -> Writer:
        """Its writer."""
        return self.core.writer

    @property
    def is_up(self) -> bool:
        """Whether it can send."""
        return self.is_alive and not self._is_asleep

    @property
    def pending(self) -> int:
        """Requests that are neither acknowledged nor given up, as far as it knows."""
        return self.scheduler.pending if self.is_alive else 1

    # ── Requests in, calls out ───────────────────────────────────────────────────────────────────────────────

    def send(self, cmd: str, key: str, data: dict[str, Any] | ClaimCheck, depth: int = 0, of: str = "") -> str:
        """Send a request; its id.

        Args:
            cmd: the command.
            key: the ordering key.
            data: the data, or where it lies.
            depth: a depth for it to state, which no client's has.
            of: another client, whose upload it refers to in place of its own, as the SDK refuses to.
        """
        now = self.clocks.monotonic
        sent, before, behind = self.writer.draft(cmd, key, data, self.id, None, self.clocks.wall)
        if depth:
            behind = behind.replace(b',"data":', b',"depth":%d,"data":' % depth, 1)
        if of:
            behind = behind.replace(upload_name(self.id, "").encode(), upload_name(of, "").encode(), 1)
        self.core.keep(key, before, behind, now, math.inf)
        self.sent[sent] = key, self.writer.counter
        if self.scheduler.due < self._due:  # as the producer's thread is woken
            self.pump()
        return sent

    def put(self, request: Request) -> Record:
        """Send a request as it is; its record."""
        taken = self.core.put(request, self.clocks.monotonic)
        assert taken is not None, "there is always room"
        self.pump()
        return taken[1]

    def pump(self) -> None:
        """Make the calls that are due, and come again when more will be."""
        while isinstance(call := self.core.next_call(self.clocks.monotonic), Call):
            self._put(call)
            if not self.is_up:
                return
        if call < self._due:
            self._due = call
            self._world.at(self.clocks.moment(call), self._guarded(self._wake, self._lives))

    def _wake(self) -> None:
        if self._due <= self.clocks.monotonic:
            self._due = math.inf
            self.pump()

    def _guarded(self, happen: Callable[[], None], life: int) -> Callable[[], None]:
        """What happens in that life only, and once it is awake."""

        def happens() -> None:
            if life != self._lives:
                return
            if self._is_asleep:
                self._missed.append(happen)
            else:
                happen()

        return happens

    # ── Its nights ───────────────────────────────────────────────────────────────────────────────────────────

    def sleep(self) -> float:
        """Fall asleep: nothing happens until it is woken. The time."""
        self._is_asleep = True
        return self._world.now

    def wake(self, since: float) -> None:
        """Wake, and go on where it stood."""
        self.clocks.sleep(self._world.now - since)
        self._is_asleep = False
        missed, self._missed = self._missed, []
        for one in missed:
            one()
        self._due = math.inf
        self.pump()

    def kill(self) -> None:
        """End its process. Its spool is on the disk."""
        assert self._spool is not None, "it would lose requests"
        self.is_alive = False
        self._lives += 1
        self._spool._let_go()  # as the system does
        self._missed.clear()

    # ── The network ──────────────────────────────────────────────────────────────────────────────────────────

    def _put(self, call: Call) -> None:
        def hear(answer: Answer, sends: int) -> None:
            def heard() -> None:
                self._endpoint.gives(flight.entries, answer, sends)
                self.core.settle(call, self._wire.put(call), self.clocks.monotonic)
                self.core.take_news(self.clocks.monotonic)
                self.pump()

            self._world.after(self._world.random.uniform(0.001, 0.05), self._guarded(heard, life))

        life = self._lives
        attempts = SENDS_ITSELF if self.kind.retries_itself else 1
        flight = _Flight(self._world, self.stream, self._wire.entries(call), attempts, hear)
        flight.leave()
        self.interrupt(self)


class _Flight:
    """A call on its way: what becomes of it, and what is heard of that.

    Args:
        world: the world.
        stream: where it goes.
        entries: the call's, as they leave.
        attempts: how often the boto3 client sends it, if no answer comes.
        hear: is told the answer, and how often it was sent.
    """

    def __init__(
        self,
        world: World,
        stream: Stream,
        entries: list[dict[str, Any]],
        attempts: int,
        hear: Callable[[Answer, int], None],
    ) -> None:
        self._world = world
        self._stream = stream
        self._attempts = attempts
        self._hear = hear
        self._sends = 0
        self.entries = entries

    def leave(self) -> None:
        """Send it, once more perhaps."""
        world = self._world
        self._sends += 1
        if world.strikes("connection refused", 0.05):
            self._answer(EndpointConnectionError(endpoint_url=ENDPOINT))
        elif world.strikes("put lost on its way", 0.1):
            self._lose()
        elif world.strikes("put arrives after its caller gave up", 0.1):
            world.after(world.random.uniform(0.1, LATEST), self._arrive_unheard)
            self._lose()
        else:
            slow = world.strikes("slow network", 0.1)
            world.after(world.random.uniform(0.1, SLOWEST) if slow else world.random.uniform(0.001, 0.05), self._arrive)

    def _arrive(self) -> None:
        world = self._world
        if not self._stream.is_there:
            return self._answer(error("ResourceNotFoundException"))
        if world.strikes("put throttled", 0.3):
            return self._answer(error("ThrottlingException"))
        entries = [self._entry(**one) for one in self.entries]
        if world.strikes("put's answer lost", 0.4):
            # The records are stored, or some of them: the producer cannot know, and puts them again.
            return self._lose()
        return self._answer({"Records": entries})

    def _arrive_unheard(self) -> None:
        if self._stream.is_there:
            for one in self.entries:
                self._entry(**one)

    def _entry(self, Data: bytes, PartitionKey: str, ExplicitHashKey: str | None = None) -> dict[str, str]:
        if self._world.strikes("entry refused", 0.2):
            return {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": ""}
        shard, sequence = self._stream.put(PartitionKey, Data, ExplicitHashKey)
        return {"ShardId": shard, "SequenceNumber": sequence}

    def _lose(self) -> None:
        if self._sends < self._attempts:
            self._world.after(self._world.random.uniform(0.001, 0.05), self.leave)
        else:
            self._answer(ReadTimeoutError(endpoint_url=ENDPOINT))

    def _answer(self, answer: Answer) -> None:
        if isinstance(answer, ClientError):
            answer.response["ResponseMetadata"] = self._metadata(400)  # type: ignore[typeddict-item] # what is read of it
        elif isinstance(answer, dict):
            answer["ResponseMetadata"] = self._metadata(200)
        self._hear(answer, self._sends)

    def _metadata(self, status: int) -> dict[str, Any]:
        date = formatdate(self._stream.date(), usegmt=True)
        return {"RequestId": "r", "HTTPStatusCode": status, "HTTPHeaders": {"date": date}}


class _Endpoint:
    """A boto3 client, as far as the wire needs one: it gives what has been decided."""

    def __init__(self, retries_itself: bool) -> None:
        attempts = SENDS_ITSELF if retries_itself else 1
        config = SimpleNamespace(retries={"total_max_attempts": attempts, "mode": "standard"})
        self.meta = SimpleNamespace(region_name="us-east-1", events=self, config=config)
        self._leaves: Callable[[], None] = lambda: None
        self._given: tuple[list[dict[str, Any]], Answer, int] = [], {}, 0

    def register(self, event: str, leaves: Callable[[], None], unique_id: str) -> None:
        """As its events do."""
        self._leaves = leaves

    def gives(self, entries: list[dict[str, Any]], what: Answer, sends: int) -> None:
        """Decide what the next call comes to."""
        self._given = entries, what, sends

    def put_records(self, Records: list[dict[str, Any]], StreamName: str) -> dict[str, Any]:
        entries, what, sends = self._given
        assert Records == entries, "what has left is not changed"
        for _ in range(sends):
            self._leaves()
        if isinstance(what, Exception):
            raise what
        return what
