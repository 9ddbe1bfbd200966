"""A load test's course, which is the order in which modes send; and its measurements at any moment.

Room: local platform. Modes take turns, and each turn the other way round, so that whatever else the machine does falls
on all alike: A B C, C B A. Only one sends at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from tidemill_bench.driver import Driver
from tidemill_load.assessment.aggregate import Part, bill, measurement
from tidemill_load.cost_model.prices import Prices
from tidemill_load.results.result import MODES, Measurement, Mode, Workload
from tidemill_load.workloads.scheduled_request import ScheduledRequest

STEADY: Final = Workload(kind="poisson", parameters={})


@dataclass(frozen=True, slots=True)
class Course:
    """The plan of a load test.

    Attributes:
        modes: in this order.
        rates: requests a second.
        slices: in how many turns each mode sends.
        scheduled: what is sent at a rate in a turn; the same for each mode.
        seconds: that all turns of a mode at a rate stand for.
        workload: what that is.
        producers: who send it; a client's requests are always the same one's.
    """

    modes: Sequence[Mode]
    rates: Sequence[float]
    slices: int
    scheduled: Callable[[float, int], Iterable[ScheduledRequest]]
    seconds: float
    workload: Workload = STEADY
    producers: int = 1

    def turns(self) -> Iterator[tuple[float, int, Mode]]:
        """Rate, turn and mode, one after the other."""
        for rate in self.rates:
            for turn in range(self.slices):
                for mode in self.modes if turn % 2 == 0 else reversed(self.modes):
                    yield rate, turn, mode


@dataclass(slots=True)
class Session:
    """A course under way.

    Args:
        driver: runs its parts.
        tag: what all keys begin with.
        begins: told of each part before it begins.
    """

    driver: Driver
    tag: str
    begins: Callable[[str], None]
    _parts: dict[tuple[float, Mode], list[Part]] = field(default_factory=dict)
    _memory: dict[Mode, int] = field(default_factory=dict)
    _shards: int = 0
    _spans: dict[tuple[float, Mode], float] = field(default_factory=dict)

    def run(self, course: Course) -> None:
        """Run the course to its end or until Ctrl-C; the measurements up to then stay."""
        self._shards = self.driver.shards
        self._memory = {mode: self.driver.memory_mb(mode) for mode in course.modes}
        for rate, turn, mode in course.turns():
            if self.driver.stopped:
                return
            self.begins(f"{mode} at {rate:g} requests/s, {turn + 1} of {course.slices}")
            part = self.driver.run(mode, course.scheduled(rate, turn), f"{self.tag}-{rate:g}-{turn}-{mode}")
            # A turn without a request is paid for as well; one that was stopped, as far as it came.
            lasted = part.seconds if self.driver.stopped else course.seconds / course.slices
            self._spans[rate, mode] = self._spans.get((rate, mode), 0.0) + lasted
            if part.requests:
                self._parts.setdefault((rate, mode), []).append(part)

    def measurements(self) -> list[Measurement]:
        """The measurements so far."""
        return [
            measurement(
                mode,
                rate,
                parts,
                self._memory[mode],
                0 if mode == "direct" else self._shards,
                self._spans[rate, mode],
            )
            for (rate, mode), parts in self._parts.items()
        ]


def priced(measurements: Iterable[Measurement], prices: Prices) -> tuple[Measurement, ...]:
    """The measurements with their bills, by rate and mode."""
    ordered = sorted(measurements, key=lambda one: (one.rate, MODES.index(one.mode)))
    return tuple(replace(one, bill=bill(one, prices)) for one in ordered)
