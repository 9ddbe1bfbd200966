"""A seed of a fleet: thousands of phones on a few keys, which lose answers, sleep, are killed, and return days later.

Time leaps between the stages of a run, for hours of which nothing is heard. What was on its way when a phone fell
asleep or was killed is sent again when it is back: as it was spooled, or as it stood in memory.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.simulation.application import OTHERS
from tests.simulation.clients import SLOWEST, Client, Kind
from tests.simulation.judging import Result, Sent
from tests.simulation.pipeline import Pipeline
from tests.simulation.redriving import Operator
from tests.simulation.scenario import (
    AWHILE,
    CALM_SECONDS,
    FAULT_RATE,
    SIZES,
    concluded,
    is_settled,
    operator_in,
    pipeline_in,
    redrive_all,
    schedule,
    send_one,
)
from tests.simulation.world import World
from tidemill_consumers.core import pieces

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
LEAPS = (5 * MINUTE, 20 * MINUTE, 50 * MINUTE, 70 * MINUTE, 3 * HOUR, 20 * HOUR, 30 * HOUR, 3 * DAY)
"""How long nothing happens between two stages."""

FIRST_SECONDS, LATER_SECONDS = 30.0, 8.0
"""How long phones send in a stage."""

LATE_SECONDS = 10.0
"""In which all acts that acts late; no invocation lasts for hours."""

INTERRUPTED = 0.04
"""Share of calls amid which their phone falls asleep, or is killed."""

SPOOLS, RETRIES_ITSELF = 0.3, 0.05
"""Shares of phones that have a spool, and of those whose boto3 client retries by itself."""

MOST_SPOOLS = 200
"""Each has two files open."""

FEW = 200
"""Phones of a fleet that has plain records as well as aggregates."""


class Fleet:
    """The phones.

    Args:
        world: the world.
        pipeline: where they send to.
        phones: how many.
        lanes: each one's lanes.
        folder: where they keep their spools.
        is_mixed: whether some do not aggregate.
    """

    def __init__(
        self, world: World, pipeline: Pipeline, phones: int, lanes: int, folder: Path, *, is_mixed: bool
    ) -> None:
        self._world = world
        self._pipeline = pipeline
        self._phones = phones
        self._lanes = lanes
        self._folder = folder
        self._is_mixed = is_mixed
        self._spools = 0
        self.busy: dict[str, Client] = {}
        """Those that may have something to send."""
        self.away: list[Callable[[], None]] = []
        """Those that come back in a later stage."""

    def choose(self) -> Client | None:
        """A phone that is to send, or None if it sleeps. Most send a request or two, and some send many."""
        chance = self._world.random
        number = chance.randrange(self._phones) if chance.random() < 0.9 else chance.randrange(1 + self._phones // 100)
        phone = self._pipeline.clients.get(self._name(number)) or self._buy(number)
        if not phone.is_up:
            return None
        self.busy[phone.id] = phone
        return phone

    @property
    def is_quiet(self) -> bool:
        """Whether all that are here have sent all."""
        for name, phone in list(self.busy.items()):
            if phone.is_up and phone.pending:
                return False
            del self.busy[name]
        return True

    def come_back(self) -> None:
        """Have those that are away come back one by one."""
        away, self.away = self.away, []
        for back in away:
            self._world.after(self._world.random.uniform(0.0, LATER_SECONDS), back)

    def _place(self, number: int) -> int:
        return number % len(self._pipeline.sources)

    def _name(self, number: int) -> str:
        return f"{OTHERS if self._place(number) else ''}phone-{number}"

    def _buy(self, number: int) -> Client:
        chance = self._world.random
        has_spool = chance.random() < SPOOLS and self._spools < MOST_SPOOLS
        self._spools += has_spool
        kind = Kind(
            self._lanes,
            chance.choice(SIZES),
            is_off=True,
            aggregate=not self._is_mixed or chance.random() < 0.6,
            folder=self._folder / f"{number}" if has_spool else None,
            retries_itself=chance.random() < RETRIES_ITSELF,
        )
        phone = Client(self._world, self._pipeline.sources[self._place(number)].stream, self._name(number), kind)
        phone.interrupt = self._interrupt
        self._pipeline.clients[phone.id] = phone
        return phone

    def _interrupt(self, phone: Client) -> None:
        """Have it fall asleep amid a call, or be killed, for seconds or until a later stage."""
        chance = self._world.random
        if not self._world.rate or chance.random() >= INTERRUPTED:
            return
        if phone.kind.folder is not None and chance.random() < 0.5:
            self._world.faults["phone killed"] += 1
            phone.kill()
            back = partial(self._back, phone, phone.start)
        else:
            self._world.faults["phone asleep"] += 1
            back = partial(self._back, phone, partial(phone.wake, phone.sleep()))
        if chance.random() < 0.3:
            # What it had on its way has arrived by then: that no attempt comes behind its re-send is taken for granted.
            self._world.after(chance.uniform(SLOWEST, 12.0), back)
        else:
            self.away.append(back)

    def _back(self, phone: Client, how: Callable[[], None]) -> None:
        self.busy[phone.id] = phone
        how()


def simulate_fleet(seed: int, requests: int) -> Result:
    """Run one seed."""
    world = World(seed, FAULT_RATE)
    folder = Path(tempfile.mkdtemp(prefix="fleet-", dir=_in_memory()))
    try:
        return _simulate(world, seed, requests, folder)
    finally:
        shutil.rmtree(folder)


def _simulate(world: World, seed: int, requests: int, folder: Path) -> Result:
    chance = world.random
    pieces.MOST = chance.choice([50_000, 50_000, 4])
    is_mixed = chance.random() < 0.2
    # Plain records lie in shards by their keys, aggregates by their lanes: the same ones, where shards are whole lanes.
    lanes, shards = (64, [1, 2, 4]) if is_mixed else (chance.choice([1, 4]), [1, 2, 3, 4])
    pipeline = pipeline_in(world, lanes, shards)
    phones = min(FEW, requests) if is_mixed else max(1, int(requests * chance.choice([0.1, 0.5, 0.5, 1.0])))
    fleet = Fleet(world, pipeline, phones, lanes, folder, is_mixed=is_mixed)
    keys = [f"key/{number}" for number in range(chance.choice([1, 2, 5]))]
    sent = Sent()
    for source in pipeline.sources:
        source.watch()
    operator = operator_in(world, pipeline, lanes)
    leaps = [0.0, *chance.sample(LEAPS, chance.randint(2, 4))]
    later = requests // 10
    settled = True
    for number, leap in enumerate(leaps):
        world.leap(leap)
        world.rate = FAULT_RATE
        fleet.come_back()
        most, seconds = (later, LATER_SECONDS) if number else (requests - later * (len(leaps) - 1), FIRST_SECONDS)
        schedule(world, pipeline, sent, seconds)
        settled &= _send_many(world, pipeline, fleet, keys, sent, most, seconds)
        world.rate = 0.0
        settled &= _rest(world, pipeline, fleet, operator)
    fleet.come_back()
    settled &= world.run(lambda: not _are_away(pipeline), CALM_SECONDS)
    settled &= _rest(world, pipeline, fleet, operator)
    early = set(operator.put_back)
    settled &= redrive_all(pipeline, operator, requests, lambda: is_settled(pipeline, (), operator))
    result = concluded(world, pipeline, operator, sent, early, settled, seed)
    result.writers = len(pipeline.clients)
    return result


def _send_many(
    world: World, pipeline: Pipeline, fleet: Fleet, keys: list[str], sent: Sent, most: int, seconds: float
) -> bool:
    """Have the fleet send so many requests in so many seconds; whether it did."""
    wanted = len(sent.ids) + most

    def send() -> None:
        phone = fleet.choose()
        if phone is None or not send_one(world, pipeline, [phone], keys, sent):
            world.after(AWHILE, send)

    for _ in range(most):
        world.after(world.random.uniform(0.0, seconds), send)
    begun = world.now
    return world.run(lambda: len(sent.ids) == wanted and world.now > begun + seconds, CALM_SECONDS)


def _rest(world: World, pipeline: Pipeline, fleet: Fleet, operator: Operator) -> bool:
    """Have all settle, what acts late included; whether it did."""

    def is_quiet() -> bool:
        return fleet.is_quiet and is_settled(pipeline, (), operator)

    settled = world.run(is_quiet, CALM_SECONDS)
    world.run(lambda: False, LATE_SECONDS)
    return settled & world.run(is_quiet, CALM_SECONDS)


def _are_away(pipeline: Pipeline) -> bool:
    return any(not phone.is_up for phone in pipeline.clients.values())


def _in_memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # a folder of a name of its own is made there
