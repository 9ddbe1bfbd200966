"""The simulated world: one clock, one source of chance, a calendar of what happens, and faults at every call.

A run follows from its seed alone. Code under test runs in greenlets: each call to a service hands control to the
calendar, so that anything may happen meanwhile, another invocation of the same batch included.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any, NoReturn, TypeVar
from weakref import WeakSet

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError
from greenlet import getcurrent, greenlet

from tidemill_consumers.core.calling.asking import Watch

T = TypeVar("T")

START = 1_764_000_000.0

LOOK_SECONDS = 0.1
"""How often it is looked whether that which is waited for holds: looking costs more than what happens meanwhile."""


GONE = object()
"""What a process that was ended comes back with."""


class Crash(BaseException):
    """The process ends here: nothing catches it."""


class World:
    """Time, chance, calendar and faults.

    Args:
        seed: everything follows from it.
        rate: how likely a fault is at each point where one can be.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self.random = Random(seed)
        self.now = START
        self.rate = rate
        self.faults: Counter[str] = Counter()
        self.down: dict[str, float] = {}
        """Services that are down -> until when."""
        self._calendar: list[tuple[float, int, Callable[[], object]]] = []
        self._planned = 0
        self._hub = getcurrent()
        self._stalling: WeakSet[greenlet] = WeakSet()
        self._died: dict[greenlet, Callable[[], None]] = {}
        self._gone: set[greenlet] = set()
        self.troubled: WeakSet[greenlet] = WeakSet()
        """Code of which a call failed."""
        self.watches: dict[greenlet, Watch] = {}
        """Of the code that runs, who limits its rules' time."""

    # ── The calendar ─────────────────────────────────────────────────────────────────────────────────────────

    def after(self, seconds: float, happen: Callable[[], object]) -> None:
        """Have something happen later."""
        self.at(self.now + seconds, happen)

    def at(self, moment: float, happen: Callable[[], object]) -> None:
        """Have something happen at a time; at once if that has passed."""
        self._planned += 1
        heapq.heappush(self._calendar, (moment if moment > self.now else self.now, self._planned, happen))

    def run(self, until: Callable[[], bool], most: float) -> bool:
        """Go on until something holds; False when it does not after so many seconds."""
        end = self.now + most
        look = self.now
        calendar = self._calendar
        while calendar and calendar[0][0] <= end:
            if self.now >= look:
                if until():
                    return True
                look = self.now + LOOK_SECONDS
            moment, _, happen = heapq.heappop(calendar)
            self.now = max(self.now, moment)  # what a leap has passed happens after it
            happen()
        return until()

    def leap(self, seconds: float) -> None:
        """Let time pass in which nothing happens. What would have happened meanwhile happens after it, at once."""
        self.now += seconds

    def begin(self, work: Callable[[], None], stalls: bool = False, died: Callable[[], None] = lambda: None) -> None:
        """Run code that makes calls, until its first call; then as the calendar has it. It may die, amid a rule.

        What stalls has its calls' answers late, so that it acts on what others have changed meanwhile.
        """
        begun = greenlet(work, self._hub)
        if stalls:
            self._stalling.add(begun)
        self._died[begun] = died
        begun.switch()

    def apart(self, work: Callable[[], None]) -> bool:
        """In such code: run other such code as a process of its own; whether that came to its end."""
        answer: object = greenlet(work).switch()
        return answer is not GONE

    def end_process(self) -> NoReturn:
        """In such code: end its process, so that not even what catches everything goes on."""
        process = getcurrent()
        if process not in self._gone:
            self.faults["process ended by a rule"] += 1
            self._gone.add(process)
            self._died.pop(process, lambda: None)()
            assert process.parent is not None
            process.parent.switch(GONE)
        raise Crash  # it is thrown away

    def bury(self) -> None:
        """Let go of the processes that rules ended: what stands still in them would keep this whole world in memory."""
        for process in list(self._gone):
            process.parent = self._hub
            with suppress(BaseException):
                process.throw()

    def sleep(self, seconds: float) -> None:
        """In such code: let time pass, and others act."""
        self.after(seconds, getcurrent().switch)
        self._hub.switch()

    # ── Faults ───────────────────────────────────────────────────────────────────────────────────────────────

    def strikes(self, fault: str, share: float = 1.0) -> bool:
        """Whether the fault happens at this point."""
        if self.rate and self.random.random() < self.rate * share:
            self.faults[fault] += 1
            return True
        return False

    def call(self, service: str, act: Callable[[], T]) -> T:
        """A call to a service: takes time, and may fail before, after, or without anybody knowing.

        Raises:
            Crash: the caller's process ended.
            ClientError, ReadTimeoutError, ConnectTimeoutError: as boto3 would.
        """
        try:
            return self._call(service, act)
        except BaseException:
            self.troubled.add(getcurrent())
            raise

    def _call(self, service: str, act: Callable[[], T]) -> T:
        if getcurrent() in self._gone or self.strikes(f"crash before {service}", 0.15):
            raise Crash
        self.sleep(self.random.uniform(0.002, 0.02))
        if self.strikes("slow call", 0.2):
            self.sleep(self.random.uniform(0.1, 2.0))
        if self.strikes(f"{service} throttled", 0.3):
            raise error("ThrottlingException")
        if self._is_down(service):
            self.faults[f"{service} is down"] += 1
            raise error("InternalServerError")
        if self.strikes(f"{service} unreachable", 0.2):
            raise ConnectTimeoutError(endpoint_url=service)
        if self.strikes(f"{service} acts after its caller gave up", 0.3):
            self.after(self.random.uniform(0.0, 3.0), lambda: _ignoring(act))
            raise ReadTimeoutError(endpoint_url=service)
        result = act()
        if getcurrent() in self._stalling and self.strikes("stalled after a call", 4.0):
            self.sleep(self.random.uniform(0.1, 1.0))
        if self.strikes(f"{service}'s answer lost", 0.3):
            raise ReadTimeoutError(endpoint_url=service)
        if self.strikes(f"crash after {service}", 0.15):
            raise Crash
        return result

    def _is_down(self, service: str) -> bool:
        if self.strikes(f"{service} goes down", 0.1):
            self.down[service] = self.now + self.random.uniform(0.5, 5.0)
        return self.down.get(service, 0.0) > self.now


class Looked:
    """A clock by which time passes as it is looked at, too: so that it may be over anywhere in a plan."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._looks = 0

    def __call__(self) -> float:
        """The time."""
        self._looks += 1
        return self._world.now + self._looks * 0.001


def error(code: str) -> ClientError:
    """A service's error."""
    return ClientError({"Error": {"Code": code, "Message": code}}, "Simulated")


def _ignoring(act: Callable[[], Any]) -> None:
    with suppress(ClientError):  # nobody hears of it
        act()
