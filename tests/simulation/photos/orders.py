"""A few acts on one content in every order of delivery, with a crash at every call, and all of it told again.

A crash after a call is a crash before the next one of its invocation, so it is struck after each call alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from typing import Any, NamedTuple, TypeVar

from tests.simulation.clients import Client, Kind
from tests.simulation.photos.bus import Bus, Event, event_of
from tests.simulation.photos.functions import Functions
from tests.simulation.photos.judging import Verdict, judge
from tests.simulation.photos.people import People
from tests.simulation.photos.storage import Version
from tests.simulation.world import Crash, World
from tidemill.contract.places import photo_name

T = TypeVar("T")

KEY = "content/1"
OWNER, OTHER = "ann", "bob"
ACTS = ("upload", "delete", "other's upload", "publish", "content.delete")
REQUESTS = ("publish", "content.delete")
"""Those that are no notifications. A producer's arrive in the order in which they are sent."""

MOST_SECONDS = 3_600.0


class Case(NamedTuple):
    """One run.

    Attributes:
        acts: what is done, in the order in which S3 and the producer have it.
        order: in which order it is heard of: places in `acts`.
        is_eager: whether all that follows from one is done before the next is heard of.
        crash: after which call the process ends; None for no crash.
    """

    acts: tuple[str, ...]
    order: tuple[int, ...]
    is_eager: bool
    crash: int | None = None


class Steps(World):
    """A world in which nothing fails but that the process ends after one call."""

    def __init__(self, crash: int | None) -> None:
        super().__init__(0, 0.0)
        self.calls = 0
        self._crash = crash

    def call(self, service: str, act: Callable[[], T]) -> T:
        """Make a call; the process may end then."""
        number = self.calls
        self.calls += 1
        self.sleep(0.001)
        result = act()
        if number == self._crash:
            raise Crash
        return result


class Held(Bus):
    """Notifications that wait until they are delivered."""

    def __init__(self, world: World, function: Callable[[Event], None]) -> None:
        super().__init__(world, function)
        self.held: list[Event] = []

    def tell(self, kind: str, reason: str, version: Version) -> None:
        """Hold what S3 tells of a photo."""
        if version.name.startswith("photos/"):
            self.held.append(event_of(kind, reason, version))


def cases(acts: tuple[str, ...]) -> Iterator[Case]:
    """Every order in which these acts may be heard of, without a crash."""
    asked = [place for place, act in enumerate(acts) if act in REQUESTS]
    for order in permutations(range(len(acts))):
        if [place for place in order if place in asked] == asked:
            yield from (Case(acts, order, is_eager) for is_eager in (False, True))


def run_with_crashes(case: Case, first: int = 0, step: int = 1) -> tuple[int, list[str]]:
    """Run a case, and again with a crash after each of its calls; how many runs that were, and what went wrong.

    Args:
        case: the case, without a crash.
        first: the first call that a crash follows.
        step: a crash follows each call of so many.
    """
    calls, verdict = run(case)
    problems = [f"{case}: {verdict.summary}"] if not verdict.holds else []
    crashes = range(first, calls, step)
    for number in crashes:
        crashed = case._replace(crash=number)
        _, verdict = run(crashed)
        problems += [f"{crashed}: {verdict.summary}"] if not verdict.holds else []
    return 1 + len(crashes), problems


def run(case: Case) -> tuple[int, Verdict]:
    """How many calls are made until all was heard of, and what came of it once it was all told again."""
    random.seed(0)  # the functions' pauses are of the module's own chance
    world = Steps(case.crash)
    functions = Functions(world, 1, 1, Held)
    clients = [Client(world, functions.pipeline.stream, name, Kind(1, 25_600)) for name in (OWNER, OTHER)]
    functions.pipeline.clients = {client.id: client for client in clients}
    people = People(functions, clients, [KEY])
    functions.watch()
    deliveries = _deliveries(case, functions, people)
    settled = True

    def settle() -> bool:
        return world.run(lambda: functions.are_quiet and not clients[0].pending, MOST_SECONDS)

    for place in case.order:
        deliveries[place]()
        settled &= settle() if case.is_eager else True
    settled &= settle()
    calls = world.calls
    held: Any = functions.bus
    for event in held.held:
        functions.bus.deliver(event)
        settled &= settle()
    verdict = judge(functions, people)
    if not settled:
        verdict.problems.append("it did not come to rest")
    world.bury()
    return calls, verdict


def _deliveries(case: Case, functions: Functions, people: People) -> list[Callable[[], None]]:
    """What brings each act to who is to hear of it. What is done to the bucket is done by then."""
    held: Any = functions.bus
    deliveries: list[Callable[[], None]] = []
    for act in case.acts:
        if act in REQUESTS:
            cmd = "content.publish" if act == "publish" else act
            deliveries.append(partial(people.send, people.clients[0], cmd, KEY, {"title": "a title"}))
            continue
        if act == "delete":
            functions.storage.delete(photo_name(OWNER, KEY))
        else:
            people.upload(photo_name(OTHER if act == "other's upload" else OWNER, KEY))
        deliveries.append(partial(held.deliver, held.held[-1]))
    return deliveries
