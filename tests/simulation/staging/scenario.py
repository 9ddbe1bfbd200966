"""One seed: clients send, a stage counts and is killed, and what came of it must be exactly what the log says."""

from __future__ import annotations

import zlib
from functools import partial
from math import inf
from random import Random

from tests.simulation.clients import LATEST, Client, Kind
from tests.simulation.judging import Result
from tests.simulation.log import Log
from tests.simulation.pipeline import HORIZON, OWN, Pipeline
from tests.simulation.staging.judging import Sent, judge
from tests.simulation.staging.stage import WINDOW, Instance, Periods, State, Writers, memory_of
from tests.simulation.world import START, World
from tidemill.contract.request import Request
from tidemill_consumers.core import pieces
from tidemill_consumers.core.batch import Accepted, Aggregatable, Rules
from tidemill_consumers.core.batch import State as Document
from tidemill_consumers.core.stage.leaving import Leaving, Period

FAULT_RATE = 0.2
SECONDS = 40.0
"""For which clients send."""

CALM_SECONDS = 3_600.0
"""Simulated seconds that all may take to settle once nothing fails any more."""

LATE = "put arrives after its caller gave up"
BEFORE, AFTER = LATEST + 1.0, 4.0
"""Seconds around a period's end in which no call is late: a first attempt that comes behind its own re-send and behind
the end is counted twice, as docs/protocol.md says."""


class Punctual(World):
    """The world, in which at times no call arrives when its caller has given it up."""

    is_punctual = False

    def strikes(self, fault: str, share: float = 1.0) -> bool:
        """Whether the fault happens at this point."""
        return not (self.is_punctual and fault == LATE) and super().strikes(fault, share)


FIRST = int(START) - int(START) % WINDOW


def step(state: Document, request: Request) -> Accepted:
    """Chains a checksum, so that another order gives another document."""
    before = state or {}
    chain = zlib.crc32(f"{request.writer} {request.counter}".encode(), before.get("chain", 0))
    return Accepted({**before, "n": before.get("n", 0) + 1, "chain": chain})


def viewed(state: Document, amount: int) -> Accepted:
    """Counts views."""
    return Accepted({**(state or {}), "views": (state or {}).get("views", 0) + amount})


def paid(state: Document, amount: int) -> Accepted:
    """Adds amounts."""
    return Accepted({**(state or {}), "paid": (state or {}).get("paid", 0) + amount})


RULES: Rules = {"step": step, "view": Aggregatable(viewed), "pay": Aggregatable(paid, sum="amount")}


def simulate_stage(seed: int, requests: int) -> Result:
    """Run one seed."""
    world = Punctual(seed, FAULT_RATE)
    chance = world.random
    periods = _periods(chance)
    horizon = chance.choice([2.0, 6.0, HORIZON])
    lanes = chance.choice([1, 4, 16])
    pieces.MOST = chance.choice([50_000, 50_000, 4])  # so that there are batches in pieces
    pipeline = Pipeline(
        world,
        RULES,
        chance.choice([1, 2, 3]),
        chance.choice([10, 50, 200]),
        chance.choice([0.0, 0.5, 2.0]),
        lanes,
        has_other=False,
        has_secret=False,
        emit_depth=16,
        leaving=Leaving.of(RULES, OWN, tuple(Period(*one) for one in periods), horizon),
    )
    log = Log([pipeline.stream], pipeline.refused_records, {})
    clients = [
        Client(world, pipeline.stream, f"writer-{seed}-{number}", Kind(lanes, chance.choice([400, 2_000, 25_600])))
        for number in range(chance.randint(1, 4))
    ]
    sent = Sent()
    for source in pipeline.sources:
        source.watch()
    _schedule_sending(world, pipeline, clients, sent, requests)
    for _, end in periods:
        if end < inf:
            world.at(end - BEFORE, lambda: setattr(world, "is_punctual", True))
            world.at(end + AFTER, lambda: setattr(world, "is_punctual", False))
    jobs = Jobs(world, pipeline, log, periods, horizon)
    world.run(lambda: False, SECONDS + 5.0)
    world.rate = 0.0
    jobs.is_calm = True
    quiet = world.run(lambda: len(sent.requests) == requests and not any(one.pending for one in clients), CALM_SECONDS)
    world.run(lambda: False, LATEST)  # what acts late, acts now
    until = world.now
    quiet &= world.run(lambda: jobs.current.is_done(until), CALM_SECONDS)
    quiet &= world.run(lambda: all(source.idle for source in pipeline.sources), CALM_SECONDS)
    world.run(lambda: False, 5.0)
    result = judge(pipeline, log, sent, periods, horizon)
    result.wrong += not quiet
    result.faults, result.seeds = world.faults.copy(), 1
    world.bury()
    if not result.holds:
        result.failed_seeds = [seed]
    return result


def _periods(chance: Random) -> Periods:
    """The stage is always on, or is switched on and off and on again while clients send."""
    on, off, again = (FIRST + WINDOW * chance.randint(*one) for one in [(2, 5), (8, 11), (13, 16)])
    return chance.choice([[(0.0, inf)], [(on, inf)], [(on, off)], [(0.0, on), (off, inf)], [(on, off), (again, inf)]])


def _schedule_sending(world: World, pipeline: Pipeline, clients: list[Client], sent: Sent, requests: int) -> None:
    chance = world.random
    keys = [f"key/{number}" for number in range(chance.choice([1, 4, 12]))]

    def send() -> None:
        client, key = chance.choice(clients), chance.choice(keys)
        cmd = chance.choice(["view", "view", "pay", "step"])
        amount = chance.choice([0, 1, 7, 250, -1, "2", 1.5]) if cmd == "pay" else None
        request_id = client.send(cmd, key, {} if amount is None else {"amount": amount})
        sent.requests.append(request_id)

    for _ in range(requests):
        world.at(chance.uniform(START, START + SECONDS), send)
    for _ in range(5):
        # Somebody who calls himself the stage, on the clients' stream.
        writer = f"stage/20990101T000000Z-abcdef/{chance.choice(['view', 'pay'])}"
        number = FIRST + WINDOW * chance.randint(0, 20)
        forged = Request(
            id=f"forged {chance.random()}",
            cmd=writer.rpartition("/")[2],
            key=chance.choice(keys),
            writer=writer,
            counter=number,
            data={"total": 1_000_000, "of": number},
        )
        world.at(chance.uniform(START, START + SECONDS), partial(chance.choice(clients).put, forged))
    for source in pipeline.sources:
        for _ in range(chance.randrange(4)):
            world.after(chance.uniform(0.0, SECONDS), source.stream.reshard)


class Jobs:
    """Who starts the stage, kills it, and starts it again, with its state or without; sometimes beside a living one."""

    def __init__(self, world: World, pipeline: Pipeline, log: Log, periods: Periods, horizon: float) -> None:
        self._world, self._log = world, log
        self._stream = pipeline.sources[-1].stream
        self._periods, self._horizon = periods, horizon
        self._writers = Writers()
        self._count = 0
        self.is_calm = False
        self.current = self._begin(self._new(FIRST))
        self._world.after(world.random.uniform(1.0, 6.0), self._trouble)

    def _begin(self, state: State) -> Instance:
        for one in self._writers.alive:
            one.let_go()
        return Instance(self._world, self._log, self._stream, self._periods, self._horizon, state, self._writers)

    def _new(self, writes_from: int) -> State:
        """A generation that writes the windows from a second on, and read what came before it as long as it matters."""
        self._count += 1
        reads_from = max(float(FIRST), writes_from - memory_of(self._horizon))
        begin = int(reads_from) - int(reads_from) % WINDOW
        read = sum(one.arrived < begin for one in self._log.places)
        return State(f"20260101T{self._count:06}Z-abcdef", read, writes_from, begin)

    def _trouble(self) -> None:
        world, chance = self._world, self._world.random
        if self.is_calm:
            return
        former = self.current
        world.faults["stage begun again"] += 1
        if chance.random() < 0.6:
            former.kill(world.after)
        else:
            world.faults["two stages at once"] += 1
            world.after(chance.uniform(0.1, 8.0), lambda: former.kill(world.after) if former.is_alive else None)
        if chance.random() < 0.5:
            state = former.checkpoint
        else:
            world.faults["stage begun without its state"] += 1
            stored = max(self._writers.stored.values(), default=FIRST)
            state = self._new(chance.choice([FIRST, stored, max(FIRST, stored - WINDOW * chance.randint(1, 5))]))
        self.current = self._begin(state)
        world.after(chance.uniform(1.0, 8.0), self._trouble)
