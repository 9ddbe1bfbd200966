"""Many producers as one sends: their requests in, their records on the stream, over a few connections.

Room: local platform, I/O by the SDK's wire and a Kinesis client that is given. Records of several producers share a
PutRecords call, which saves connections and changes nothing on the stream: each record has one producer's requests, and
a producer has one record of a lane in flight.
Tests: tests/infra/tidemill_bench/fleet/test_sender.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf
from random import Random
from secrets import token_urlsafe
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

from tidemill.contract.request import Document
from tidemill.delivery.put_records import Wire
from tidemill.errors import StillPending, failure
from tidemill.sending.records import CALL_BYTES, CALL_RECORDS, Call, Outcome, Record, Refused
from tidemill.sending.stream_clock import StreamClock
from tidemill.sending.writer import Writer
from tidemill_bench.fleet.schedulers import Schedulers
from tidemill_bench.fleet.spread import Spread

if TYPE_CHECKING:
    from types_boto3_kinesis import KinesisClient

THREADS: Final = 4
"""Calls under way at most."""

CLOSED: Final = Refused("Closed", "the fleet was closed before it was acknowledged", again=False)


class Fleet:
    """Sends for many producers; each has a writer id and counters of its own. Safe for threads.

    One idea: requests go in, records leave in the background, and what became of them can be asked for.

    Args:
        stream: the stream's name.
        kinesis: a boto3 Kinesis client that does not retry by itself.
        producers: how many; a client's requests are always the same producer's.
        aggregate: whether many requests of a producer share a record.
    """

    def __init__(self, stream: str, kinesis: KinesisClient, producers: int, *, aggregate: bool = True) -> None:
        clock = StreamClock()
        self._wire = Wire(stream, kinesis, clock)
        self._wire.check()  # its answer teaches the clock
        self._spread = Spread(producers)
        self._chance = Random()
        self._schedulers = Schedulers(self._chance, aggregate=aggregate, clock=clock)
        self._writers: dict[int, Writer] = {}
        self._ids: dict[Record, list[str]] = {}
        self._held: tuple[int, Call] | None = None
        self._given_up: list[tuple[str, str]] = []
        self._refused: Refused | None = None
        self._stored: list[tuple[str, int, list[str]]] = []
        self._news = Condition()
        self._ending = False
        self.put_calls = 0
        """PutRecords calls made."""
        self._threads = [Thread(target=self._work, name=f"fleet-{n}", daemon=True) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def writer(self, client: str) -> Writer:
        """The writer of the client's producer."""
        number = self._spread.of(client)
        writer = self._writers.get(number)
        if writer is None:
            writer = self._writers[number] = Writer(token_urlsafe(9), self._chance)
        return writer

    def write(self, cmd: str, *, key: str, data: Document, client: str) -> tuple[str, bytes]:
        """The id and the bytes of the next request of the client's producer; it is to be sent before the next one."""
        return self.writer(client).write(cmd, key, data, client, None, time.time_ns() // 1_000_000)

    def send(self, request_id: str, payload: bytes, *, key: str, client: str) -> None:
        """Send what `write` returned, in the background."""
        with self._news:
            due = self._schedulers.due
            record = self._schedulers.buffer(self._spread.of(client), key, payload, time.monotonic())
            self._ids.setdefault(record, []).append(request_id)
            if self._schedulers.due < due:
                self._news.notify()

    def flush(self, timeout: float) -> None:
        """Wait until all requests have ended.

        Raises:
            StillPending: they have not within so many seconds.
        """
        end = time.monotonic() + timeout
        with self._news:
            self._schedulers.flush(time.monotonic())
            self._news.notify_all()
            while pending := self._schedulers.pending:
                if (left := end - time.monotonic()) <= 0:
                    raise StillPending(pending)
                self._news.wait(left)

    def check(self) -> None:
        """Raise GivenUp if a request was given up."""
        with self._news:
            if self._refused is not None:
                raise failure(self._refused)

    def take_given_up(self) -> list[tuple[str, str]]:
        """The requests given up since the last call: the id of each, and why."""
        with self._news:
            taken, self._given_up = self._given_up, []
        return taken

    @property
    def records(self) -> int:
        """Records acknowledged."""
        return len(self._stored)

    def in_order(self) -> list[str]:
        """The ids of the acknowledged requests as they stand on the stream, shard by shard."""
        return [one for _, _, ids in sorted(self._stored) for one in ids]

    @property
    def retries(self) -> int:
        """Records that were sent again."""
        with self._news:
            return self._schedulers.retries

    @property
    def producers(self) -> int:
        """Producers that have sent."""
        return self._spread.busy

    def close(self) -> None:
        """End; requests that are not acknowledged are given up."""
        with self._news:
            self._ending = True
            self._ended(list(self._schedulers.abandon(CLOSED)))
            self._news.notify_all()
        for thread in self._threads:
            thread.join()

    # ---- in the background

    def _work(self) -> None:
        while True:
            with self._news:
                while not (calls := self._gather()) and not self._ending:
                    due = self._schedulers.due
                    self._news.wait(None if due == inf else max(0.0, due - time.monotonic()))
                if self._ending:
                    return
                self.put_calls += 1
            together = Call()
            together.records = [record for _, call in calls for record in call.records]
            answer = self._wire.put(together)
            with self._news:
                self._settle(calls, answer)
                self._news.notify_all()

    def _gather(self) -> list[tuple[int, Call]]:
        """The calls that are due now, as many as one PutRecords call takes."""
        calls: list[tuple[int, Call]] = []
        records = size = 0
        now = time.monotonic()
        while self._held or self._schedulers.due <= now:
            found = self._held or self._schedulers.next_call(now)
            if not isinstance(found, tuple):
                break
            records, size = records + found[1].count, size + found[1].size
            self._held = found if calls and (records > CALL_RECORDS or size > CALL_BYTES) else None
            if self._held:
                break
            calls.append(found)
        return calls

    def _settle(self, calls: Sequence[tuple[int, Call]], answer: Sequence[Outcome] | Refused) -> None:
        now, begin = time.monotonic(), 0
        for producer, call in calls:
            its = answer if isinstance(answer, Refused) else answer[begin : begin + call.count]
            begin += call.count
            self._ended(self._schedulers.settle(producer, call, its, now))

    def _ended(self, records: Sequence[Record]) -> None:
        for record in records:
            ids = self._ids.pop(record, [])
            if isinstance(record.outcome, Refused):
                self._refused = record.outcome
                why = str(failure(record.outcome))
                self._given_up += [(one, why) for one in ids]
            elif record.outcome is not None:
                self._stored.append((record.outcome.shard, int(record.outcome.sequence), ids))
