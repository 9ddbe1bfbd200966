"""The schedulers of many producers, on one clock: a record holds requests of one producer alone.

Room: local platform, pure: time and chance are arguments. A scheduler takes some 50 KB and most producers of a fleet
are idle, so a producer has one only while it has requests pending. A scheduler that was never refused anything is the
next one's afterwards, since it has learned nothing but which shards there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from math import inf
from random import Random

from tidemill.contract.lanes import LANES
from tidemill.sending.records import Call, Outcome, Record, Refused
from tidemill.sending.scheduler import Scheduler
from tidemill.sending.stream_clock import StreamClock

TICK = 1e-3
"""Seconds until a scheduler that has no call yet is looked at again, at least."""


class Schedulers:
    """Takes requests of producers by their numbers, hands out their calls and takes the answers.

    Args:
        chance: the source of the back-offs' jitter.
        aggregate: whether requests of a producer share records.
        clock: the stream's, which whoever makes the calls teaches. None is one that knows nothing.
    """

    def __init__(self, chance: Random, *, aggregate: bool = True, clock: StreamClock | None = None) -> None:
        self._clock = clock or StreamClock()
        self._chance = chance
        self._aggregate = aggregate
        self._active: dict[int, Scheduler] = {}
        self._idle: list[Scheduler] = []
        self._queue: list[tuple[float, int]] = []
        self._queued: dict[int, float] = {}
        """The entry of `_queue` that holds for a producer; its others are passed over."""
        self._retries = 0

    @property
    def due(self) -> float:
        """Before this time no call is due, unless something happens."""
        while self._queue and self._queued.get(self._queue[0][1]) != self._queue[0][0]:
            heappop(self._queue)
        return self._queue[0][0] if self._queue else inf

    @property
    def pending(self) -> int:
        """Requests that are neither acknowledged nor given up."""
        return sum(one.pending for one in self._active.values())

    @property
    def retries(self) -> int:
        """Records that were queued again."""
        return self._retries + sum(one.tally.retried_entries for one in self._active.values())

    def buffer(self, producer: int, key: str, payload: bytes, now: float) -> Record:
        """Buffers a producer's request. Returns its record, of which it is the last request."""
        scheduler = self._active.get(producer)
        if scheduler is None:
            scheduler = self._active[producer] = self._idle.pop() if self._idle else self._made()
        record = scheduler.buffer(key, payload, now)
        self._look(producer, scheduler.due)
        return record

    def next_call(self, now: float) -> tuple[int, Call] | float:
        """The next call and its producer's number, or the time until which there is none."""
        while (due := self.due) <= now:
            producer = heappop(self._queue)[1]
            del self._queued[producer]
            scheduler = self._active[producer]
            call = scheduler.next_call(now)
            if isinstance(call, Call):
                self._look(producer, now)  # it may have another
                return producer, call
            if call < inf:
                self._look(producer, max(call, now + TICK))
        return due

    def settle(self, producer: int, call: Call, answer: Sequence[Outcome] | Refused, now: float) -> list[Record]:
        """Takes the answer to a call. Returns the records that have ended."""
        scheduler = self._active[producer]
        if isinstance(answer, Refused):
            scheduler.failed(call, answer, now)
        else:
            scheduler.acknowledged(call, answer, now)
        ended = scheduler.take_news()
        if scheduler.pending:
            self._look(producer, scheduler.due)
        else:
            self._end(producer, scheduler)
        return ended

    def flush(self, now: float) -> None:
        """Makes everything buffered due at once."""
        for producer, scheduler in self._active.items():
            scheduler.flush(now)
            self._look(producer, scheduler.due)

    def abandon(self, why: Refused) -> Iterator[Record]:
        """Gives up everything that is not acknowledged. Returns its records."""
        for scheduler in self._active.values():
            scheduler.abandon(why)
            yield from scheduler.take_news()

    def _made(self) -> Scheduler:
        # 64 lanes for plain records too: the SDK's 512 are for one busy producer.
        return Scheduler(self._chance, lanes=LANES, aggregate=self._aggregate, clock=self._clock)

    def _look(self, producer: int, due: float) -> None:
        """Notes that a producer is to be looked at by `due`."""
        if due < self._queued.get(producer, inf):
            self._queued[producer] = due
            heappush(self._queue, (due, producer))

    def _end(self, producer: int, scheduler: Scheduler) -> None:
        del self._active[producer]
        self._queued.pop(producer, None)
        if retries := scheduler.tally.retried_entries:
            self._retries += retries
        else:
            self._idle.append(scheduler)
