"""A model of the analytics stage, by docs/contract.md and apart from the consumer's code.

It reads the log of the clients' stream, closes windows by arrival, and writes running totals to the stage's stream. It
is killed and restored from a checkpoint, begins without state as another generation, and may run twice at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, TypeAlias

from tests.simulation.clients import LATEST
from tests.simulation.log import Log, Place
from tests.simulation.services import Stream
from tests.simulation.world import World
from tidemill.contract.aggregation import UserRecord, pack
from tidemill.contract.request import Request, encode

WINDOW = 2
"""Seconds."""

DELAY = 0.3
"""Seconds after its end that a window is closed."""

TURN = 0.25
AT_ONCE = 4
"""Windows that are closed in a turn, at most."""

NOT_TAKEN = ("emit/", "emit-proven/", "event/", "redrive/", "stage/")

Periods: TypeAlias = Sequence[tuple[float, float]]


def amount_of(request: Request) -> int | None:
    """What a request adds; None if it is none that a stage could take."""
    if request.ref is not None or (request.writer or "").startswith(NOT_TAKEN):
        return None
    if request.cmd == "view":
        return 1
    amount = request.data.get("amount")
    return amount if request.cmd == "pay" and type(amount) is int and 0 <= amount < 2**53 else None


def may_count(place: Place, periods: Periods) -> bool:
    """Whether it arrived in a period or, of a re-send, whether its first attempt may have."""
    first = place.arrived if place.tried is None else min(place.tried, place.arrived)
    return any(begin <= place.arrived and first < end for begin, end in periods)


def is_too_late(place: Place, horizon: float) -> bool:
    """Whether a re-send came later than anybody remembers its first attempt."""
    return place.tried is not None and place.arrived - place.tried > horizon


def memory_of(horizon: float) -> float:
    """Seconds for which a request is remembered: a first attempt may come that much later than its own re-send."""
    return max(horizon, LATEST + 1.0)


class Row(NamedTuple):
    """A total to be written."""

    key: str
    cmd: str
    window: int
    total: int


@dataclass(frozen=True)
class State:
    """What a checkpoint holds.

    Attributes:
        generation: its name.
        read: places of the log that were read.
        writes_from: windows before this second are read, for their requests, and not written.
        closed: the end of the last closed window.
        seen: when requests came first, by writer and counter or by id.
        totals: by key and command.
    """

    generation: str
    read: int
    writes_from: int
    closed: int
    seen: dict[object, float] = field(default_factory=dict)
    totals: dict[tuple[str, str], int] = field(default_factory=dict)

    def copy(self) -> State:
        """The state, to be changed apart."""
        return replace(self, seen=dict(self.seen), totals=dict(self.totals))


class Writers:
    """What all instances have written: which generation is furthest, and how far."""

    def __init__(self) -> None:
        self.alive: list[Instance] = []
        self.stored: dict[str, int] = defaultdict(int)
        """Generation -> the last window up to which all is stored."""
        self.most: dict[str, int] = defaultdict(int)
        """Generation -> the last window of which something is stored."""

    def is_free(self, one: Instance, window: int) -> bool:
        """Whether an instance may store a key's windows out of order: alone, and further than all others ever were."""
        others = [most for generation, most in self.most.items() if generation != one.state.generation]
        return self.alive == [one] and window > max(others, default=0)


class Instance:
    """One running job.

    Args:
        world: the world.
        log: of the clients' stream alone.
        stream: the stage's own.
        periods: when it takes what arrives.
        horizon: seconds for which it remembers a request.
        state: where it begins.
        writers: shared by all instances.
    """

    def __init__(
        self, world: World, log: Log, stream: Stream, periods: Periods, horizon: float, state: State, writers: Writers
    ) -> None:
        self._world, self._log, self._stream = world, log, stream
        self._periods, self._horizon = periods, horizon
        self._writers = writers
        self._waiting: list[tuple[int, list[Row]]] = []
        self._held: list[Row] = []
        self.state = state.copy()
        self.checkpoint = state
        writers.alive.append(self)
        self._turn()

    @property
    def is_alive(self) -> bool:
        """Whether it was not killed."""
        return self in self._writers.alive

    def is_done(self, until: float) -> bool:
        """Whether all that arrived before a time is written."""
        return self.state.closed >= until and not self._waiting and not self._held

    def kill(self, late: Callable[[float, Callable[[], None]], None]) -> None:
        """End it; what it was about to put may be stored yet, in its order."""
        self._writers.alive.remove(self)
        waiting, held = self._waiting, self._held
        self._waiting, self._held = [], []
        # The sink has one call of a key on its way; what was held back for a later one is gone.
        if waiting and not held and self._world.random.random() < 0.5:
            late(self._world.random.uniform(0.0, 1.0), partial(self._store, *waiting[0]))

    def let_go(self) -> None:
        """Store what was to be overtaken: another instance is about to begin."""
        self._put(self._held)
        self._held = []

    def _turn(self) -> None:
        if not self.is_alive:
            return
        for _ in range(AT_ONCE):
            if self.state.closed + WINDOW > self._world.now - DELAY:
                break
            self._close(self.state.closed + WINDOW)
        self._flush()
        if not self._waiting and not self._held and self._world.random.random() < 0.3:
            self.checkpoint = self.state.copy()
        self._world.after(TURN, self._turn)

    def _close(self, window: int) -> None:
        """Count all that arrived before the window's end."""
        state, touched = self.state, set[tuple[str, str]]()
        places, read = self._log.places, state.read
        while read < len(places) and places[read].arrived < window:
            place = places[read]
            read += 1
            amount = amount_of(place.request)
            if amount is not None and self._takes(place) and window > state.writes_from:
                of = place.key, place.request.cmd
                state.totals[of] = state.totals.get(of, 0) + amount
                touched.add(of)
        self.state = replace(state, read=read, closed=window)
        rows = [Row(key, cmd, window, state.totals[key, cmd]) for key, cmd in sorted(touched)]
        if window > state.writes_from:
            self._waiting.append((window, rows))

    def _takes(self, place: Place) -> bool:
        request, seen = place.request, self.state.seen
        if may_count(place, self._periods) and is_too_late(place, self._horizon):
            return False
        name = request.id if request.writer is None else (request.writer, request.counter)
        if name in seen and place.arrived - seen[name] <= memory_of(self._horizon):
            return False
        seen[name] = place.arrived
        return may_count(place, self._periods)

    def _flush(self) -> None:
        """Store what waits, as far as the stream takes it."""
        world = self._world
        while self._waiting:
            if world.strikes("stage's put refused", 0.3):
                return
            window, rows = self._waiting.pop(0)
            if not self._held and self._writers.is_free(self, window) and world.strikes("stage's put overtaken", 0.5):
                self._held = [one for one in rows if world.random.random() < 0.5]
                self._put([one for one in rows if one not in self._held])
                if not self._held:
                    self._store(window, [])
                continue
            self._store(window, rows)

    def _store(self, window: int, rows: list[Row]) -> None:
        self._put(rows)
        if self._world.strikes("stage's answer lost", 0.3):
            self._put(rows)
        self.let_go()
        self._writers.stored[self.state.generation] = max(self._writers.stored[self.state.generation], window)

    def _put(self, rows: list[Row]) -> None:
        of_key: dict[str, list[Request]] = defaultdict(list)
        for one in rows:
            of_key[one.key].append(self._request(one))
            most = self._writers.most
            most[self.state.generation] = max(most[self.state.generation], one.window)
        for key, requests in of_key.items():
            if len(requests) > 1:
                self._stream.put(key, pack(UserRecord(key, encode(request)) for request in requests))
            else:
                self._stream.put(key, encode(requests[0]))

    def _request(self, row: Row) -> Request:
        generation = self.state.generation
        return Request(
            id=f"{generation}/{row.cmd}/{row.window}/{row.key}",
            cmd=row.cmd,
            key=row.key,
            writer=f"stage/{generation}/{row.cmd}",
            counter=row.window,
            data={"total": row.total, "of": row.window},
        )
