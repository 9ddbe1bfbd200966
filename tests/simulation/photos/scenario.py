"""One seed: people upload, publish, replace and delete under faults until all is quiet, and it is judged."""

from __future__ import annotations

import random
from functools import partial

from tests.simulation.clients import Client, Kind
from tests.simulation.photos.functions import Functions
from tests.simulation.photos.judging import Verdict, judge
from tests.simulation.photos.people import People
from tests.simulation.scenario import CALM_SECONDS, SIZES
from tests.simulation.world import START, World
from tidemill.contract.content_index import GRACE_MS
from tidemill_media.indexing import pages

RATES = (0.05, 0.1, 0.2)
"""How likely a fault is at each point where one can be."""

ACTIVE_SECONDS = 120.0
"""For which people do something."""

FAULTY_SECONDS = 600.0
"""For which things fail, the second and third attempts at events included."""

ENTRIES = (4, 8, 256)
"""Most entries of a page, of which few let pages split and merge."""

GRACES = (60_000, 180_000, GRACE_MS)
"""Milliseconds for which pages stay that were replaced, of which the shorter ones end while people act."""

LOOKS = 30
"""How often somebody reads an index meanwhile."""


def simulate_photos(seed: int, acts: int) -> Verdict:
    """Run one seed."""
    random.seed(seed)  # the functions' pauses are of the module's own chance
    world = World(seed, 0.0)
    chance = world.random
    world.rate = chance.choice(RATES)
    pages.MOST = chance.choice(ENTRIES)
    pages.LEAST = pages.MOST // 4
    lanes = chance.choice([1, 4, 16])
    functions = Functions(world, chance.choice([1, 2, 4]), lanes)
    functions.grace = chance.choice(GRACES)
    names = [f"person-{number}" for number in range(chance.choice([1, 2, 5, 12]))]
    clients = [
        Client(world, functions.pipeline.stream, name, Kind(lanes, chance.choice(SIZES), looks=True)) for name in names
    ]
    functions.pipeline.clients = {client.id: client for client in clients}
    people = People(functions, clients, [f"content/{number}" for number in range(chance.choice([1, 10, 40, 80]))])
    functions.watch()
    for _ in range(acts):
        world.after(chance.uniform(0.0, ACTIVE_SECONDS), people.act)
    for _ in range(LOOKS):
        world.after(chance.uniform(0.0, FAULTY_SECONDS), people.look)
    for _ in range(chance.randrange(4)):
        stream = chance.choice([functions.pipeline.stream, functions.table.stream])
        world.after(chance.uniform(0.0, ACTIVE_SECONDS), stream.reshard)
    for _ in range(chance.randrange(3)):
        out = partial(functions.break_down, chance.uniform(10.0, 60.0))
        world.after(chance.uniform(0.0, ACTIVE_SECONDS), out)
    world.run(lambda: world.now >= START + FAULTY_SECONDS, FAULTY_SECONDS + 1.0)
    world.rate = 0.0
    is_quiet = partial(_is_quiet, functions, clients)
    settled = world.run(is_quiet, CALM_SECONDS)
    world.run(lambda: False, 10.0)  # what acts late, acts now
    settled &= world.run(is_quiet, CALM_SECONDS)
    verdict = judge(functions, people)
    if not settled:
        verdict.problems.append("it did not come to rest")
    if not verdict.holds:
        verdict.failed_seeds = [seed]
    world.bury()
    return verdict


def _is_quiet(functions: Functions, clients: list[Client]) -> bool:
    return functions.are_quiet and not any(client.pending for client in clients)
