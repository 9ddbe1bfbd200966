"""Statistics of a log, in one pass: requests in each second, and the gaps until keys and clients come again.

Room: load, pure. Memory is bounded by the hours of the log, not by its lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from math import ceil
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

from tidemill_load.assessment.recurrence import Recurrence
from tidemill_load.cost_model.traffic import BINS, EDGES, FOREVER, Gaps, Traffic
from tidemill_load.workloads.key_distribution import KeyDistribution

if TYPE_CHECKING:
    from tidemill_load.assessment.recurrence import Floats, Ids
    from tidemill_load.logs import Columns
    from tidemill_load.workloads.scheduled_request import ScheduledRequest

HOUR: Final = 3600

ROWS: Final = 50_000
"""Requests that are looked at together."""

MAX_HOURS: Final = 10_000
"""With requests in them: 14 months without a pause, some 170 MB."""

NOBODY: Final = b"-"
"""The client of a log that knows none."""


class TooLong(ValueError):
    """More hours than can be kept."""


class _Hour:
    """Counts of one hour."""

    def __init__(self) -> None:
        self.slots = np.zeros(HOUR, np.uint32)
        self.keys = np.zeros((2, BINS + 1), np.float64)
        self.clients = np.zeros((2, BINS + 1), np.float64)


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A log, or an excerpt of it, as it was asked for: at its speed, from second 0 on.

    Attributes:
        begin: of the first request, seconds since 1970; 0 where that is not known.
        speed: times real time.
        traffic: all of it.
        hours: each hour of it that has a request, by number from 0.
        keys: how many there are, and Zipf's law that gives the most popular one its share.
        key_bytes: of a key, on average.
        clients: how many there are.
    """

    begin: float
    speed: float
    traffic: Traffic
    hours: dict[int, Traffic]
    keys: KeyDistribution
    key_bytes: int
    clients: int

    @property
    def minutes(self) -> Floats:
        """Requests of each minute, also of those without."""
        slots = self.traffic.slots
        return np.add.reduceat(slots, np.arange(0, len(slots), 60)) if len(slots) else slots


class Survey:
    """Takes requests in the order of time.

    Args:
        speed: times real time.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._begin: float | None = None
        self._latest = 0.0
        self._hours: dict[int, _Hour] = {}
        self._keys, self._clients = Recurrence(), Recurrence()
        self._known_clients = False
        self._key_bytes = self._requests = 0
        self._waiting: list[tuple[Floats, Ids, Ids]] = []
        self._rows = 0

    def add(self, columns: Columns) -> None:
        """The next requests of a log."""
        self._known_clients = self._known_clients or any(map(NOBODY.__ne__, columns.clients))
        self._take(columns.times, _hashes(columns.keys), _hashes(columns.clients))
        self._key_bytes += sum(map(len, columns.keys))

    def plan(self, scheduled: Iterable[ScheduledRequest]) -> Survey:
        """Requests that are to be sent, instead; their seconds are from 0 on already."""
        self._begin, self._known_clients = 0.0, True
        rest = iter(scheduled)
        while some := list(islice(rest, ROWS)):
            keys = [one.key.encode() for one in some]
            times = np.array([one.at for one in some], np.float64)
            self._take(times, _hashes(keys), _hashes([one.client.encode() for one in some]))
            self._key_bytes += sum(map(len, keys))
        return self

    def done(self, seconds: float | None = None) -> Surveyed:
        """The statistics of all that was added.

        Args:
            seconds: of the whole span; None for up to the last request, whole minutes.
        """
        self._digest()
        span = seconds if seconds is not None else 60.0 * ceil(max(self._latest, 1e-9) / 60)
        length = ceil(span)
        slots = np.zeros(length)
        for number, hour in self._hours.items():
            part = slots[number * HOUR : (number + 1) * HOUR]
            part[:] = hour.slots[: len(part)]
        traffic = Traffic(slots, span, *self._gaps(self._hours.values()))
        hours = {number: self._hour(number, span, hour) for number, hour in sorted(self._hours.items())}
        keys = fitted(self._keys.kinds, self._keys.hottest)
        key_bytes = round(self._key_bytes / max(1, self._requests))
        return Surveyed(self._begin or 0.0, self._speed, traffic, hours, keys, key_bytes, self._clients.kinds)

    def _take(self, times: Floats, keys: Ids, clients: Ids) -> None:
        if self._begin is None and len(times):
            self._begin = float(times[0])
        self._waiting.append((times, keys, clients))
        self._rows += len(times)
        self._requests += len(times)
        if self._rows >= ROWS:
            self._digest()

    def _digest(self) -> None:
        if not self._rows:
            return
        times, keys, clients = map(np.concatenate, zip(*self._waiting, strict=True))
        self._waiting, self._rows = [], 0
        at = np.maximum.accumulate(np.append(self._latest, (times - self._begin) / self._speed))[1:]
        self._latest = float(at[-1])
        numbers = (at // HOUR).astype(np.int64)
        starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(at)]
        by_key, by_client = self._keys.gaps(keys, at), self._clients.gaps(clients, at)
        for start, end in pairwise(starts):
            rows = slice(start, end)
            hour = self._hour_of(int(numbers[start]))
            hour.slots += np.bincount((at[rows] % HOUR).astype(np.int64), minlength=HOUR).astype(np.uint32)
            hour.keys += _histogram(by_key[0][rows], by_key[1][rows])
            hour.clients += _histogram(by_client[0][rows], by_client[1][rows])

    def _hour_of(self, number: int) -> _Hour:
        if number not in self._hours:
            if len(self._hours) >= MAX_HOURS:
                raise TooLong(f"the log has requests in more than {MAX_HOURS:,} hours; name fewer of its files")
            self._hours[number] = _Hour()
        return self._hours[number]

    def _hour(self, number: int, span: float, hour: _Hour) -> Traffic:
        seconds = min(float(HOUR), span - number * HOUR)
        return Traffic(hour.slots[: ceil(seconds)].astype(np.float64), seconds, *self._gaps([hour]))

    def _gaps(self, hours: Iterable[_Hour]) -> tuple[Gaps, Gaps | None]:
        every = list(hours)
        keys = sum((hour.keys for hour in every), np.zeros((2, BINS + 1)))
        clients = sum((hour.clients for hour in every), np.zeros((2, BINS + 1)))
        return Gaps(*keys), Gaps(*clients) if self._known_clients else None


def survey(log: Iterable[Columns], speed: float = 1.0, seconds: float | None = None) -> Surveyed:
    """A log, as far as was asked for.

    Args:
        log: in the order of time.
        speed: times real time.
        seconds: of it, at that speed; None for all.
    """
    found = Survey(speed)
    for columns in _until(log, seconds * speed) if seconds is not None else log:
        found.add(columns)
    return found.done(seconds)


def fitted(count: int, hottest: float) -> KeyDistribution:
    """Zipf's law for so many keys of which the most popular one has that share."""
    low, high = 0.0, 5.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if KeyDistribution(max(1, count), middle).hottest < hottest else (low, middle)
    return KeyDistribution(max(1, count), round((low + high) / 2, 2))


def _until(log: Iterable[Columns], seconds: float) -> Iterator[Columns]:
    """The requests before that many seconds after the first one."""
    parts = (columns for columns in log if len(columns))
    first = next(parts, None)
    if first is None:
        return
    end = float(first.times[0]) + seconds
    for columns in chain([first], parts):
        later = columns.times >= end
        if later.any():
            yield columns.take(np.flatnonzero(~np.maximum.accumulate(later)))
            return
        yield columns


def _hashes(texts: Iterable[bytes]) -> Ids:
    return np.fromiter(map(crc32, texts), np.uint32)


def _histogram(gaps: Floats, weights: Floats) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    known = np.isfinite(gaps)
    bins = np.where(known, np.searchsorted(EDGES, gaps), FOREVER)
    seconds = np.where(known, gaps, 0.0) * weights
    both = [np.bincount(bins, each, minlength=BINS + 1) for each in (weights, seconds)]
    return np.stack(both)
