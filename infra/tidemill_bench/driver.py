"""One part of a load test from its first request to its last answer: sent, heard, counted and checked for its order.

Room: local platform, I/O. Local and AWS alike: where the stack is, and how what it used is counted, are given.
Tests: tests/e2e/test_bench.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self

from botocore.config import Config
from botocore.credentials import Credentials
from msgspec.structs import replace

from tidemill.sending.scheduler import LINGER
from tidemill_bench.counting import ItemMeter, PutMeter
from tidemill_bench.fleet import Fleet, FleetSender
from tidemill_bench.order_checker import faults
from tidemill_bench.pacing import drain, send_on_time
from tidemill_bench.reply_reader import TrackedReplies
from tidemill_bench.sending import DirectSender, Sender, StreamSender
from tidemill_consumers.adapters.entities import Entities
from tidemill_load.assessment.aggregate import Part, part
from tidemill_load.results.faults import Faults
from tidemill_load.results.request_tracker import RequestTracker
from tidemill_load.results.result import Mode
from tidemill_load.results.spent import Spent
from tidemill_load.workloads.scheduled_request import ScheduledRequest

PROBLEMS: Final = 3
"""Reasons for which requests were given up that are told."""

TRIAL_CALLS: Final = 4
"""Direct requests on each connection that tell how many a machine sends."""

TRIAL_REQUESTS: Final = 500
"""Requests to the stream that tell how many a machine sends: one call's records."""

ONCE: Final = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
"""For a producer's Kinesis client: the producer itself sends again what was refused."""

FUNCTIONS: Final = {"direct": "DirectFunctionName"}
"""The output that names a mode's function; of all others it is ApplyFunctionName."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the stack is.

    Attributes:
        client: makes a new boto3 client of a service, with a botocore Config if one is given.
        outputs: the stack's.
        credentials: who signs what is sent to the HTTP API.
        region: where.
        window: the mapping's batching window, in seconds.
        connections: to the HTTP API: so many requests are under way at most.
    """

    client: Callable[..., Any]
    outputs: Mapping[str, str]
    credentials: Credentials
    region: str
    window: float
    connections: int

    def function(self, mode: Mode) -> str:
        """The name of the function that applies a mode's requests."""
        return self.outputs[FUNCTIONS.get(mode, "ApplyFunctionName")]


class Counting(Protocol):
    """Counts the usage of functions and table during a part."""

    def begin(self) -> None:
        """A part begins."""

    def end(self, mode: Mode) -> Spent:
        """All of it is answered; `records`, where they are counted, are those that the stream took."""


class Driver:
    """Runs parts, one after the other; a context manager.

    Args:
        stack: where.
        queue: the URL of a queue that hears all of its replies.
        counting: how what it used is counted.
        tell: told how far a part is, often; such as "12 of 50 sent, 3 answered, p95 4.1 s".
        producers: how many send; each part has new ones.
    """

    def __init__(
        self, stack: Stack, queue: str, counting: Counting, tell: Callable[[str], None], producers: int = 1
    ) -> None:
        self._producers = producers
        self._stack = stack
        self._counting = counting
        self._tell = tell
        self._kinesis, self._dynamodb = stack.client("kinesis", ONCE), stack.client("dynamodb")
        self._sqs = stack.client("sqs")
        self._puts = PutMeter(self._kinesis.meta.events)
        self._items = ItemMeter(self._dynamodb.meta.events)
        self._entities = Entities(self._dynamodb, stack.outputs["TableName"])
        self._replies = TrackedReplies(queue, self._sqs)
        self.stopped = False
        """Whether a part was stopped by Ctrl-C."""
        self._acknowledged = 0.0
        """When all that was sent last had left, on the monotonic clock."""
        self.notes: list[str] = []
        """Remarks for the reader of the result, such as requests that were given up."""

    def __enter__(self) -> Self:
        self._replies.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._replies.__exit__(kind, error, trace)
        for client in (self._kinesis, self._dynamodb, self._sqs):
            client.close()

    @property
    def shards(self) -> int:
        """Open shards of the stream."""
        answer = self._kinesis.describe_stream_summary(StreamName=self._stack.outputs["StreamName"])
        shards: int = answer["StreamDescriptionSummary"]["OpenShardCount"]
        return shards

    def memory_mb(self, mode: Mode) -> int:
        """Memory of the mode's function."""
        with closing(self._stack.client("lambda")) as functions:
            answer = functions.get_function_configuration(FunctionName=self._stack.function(mode))
        memory: int = answer["MemorySize"]
        return memory

    def warm_up(self, mode: Mode, tag: str) -> float:
        """Have the environments of the mode's function begin, so that the first requests measured need not wait.

        Returns:
            Requests a second that leave this machine at most in that mode, about.
        """
        if mode == "direct":
            self._trial(mode, self._stack.connections, f"{tag}-begin")
            return self._trial(mode, TRIAL_CALLS * self._stack.connections, tag)
        return self._trial(mode, TRIAL_REQUESTS, tag)

    def _trial(self, mode: Mode, requests: int, tag: str) -> float:
        begun = time.monotonic()
        tracker = RequestTracker(tag, self._producers > 1)
        scheduled = [ScheduledRequest(0.0, "content.view", str(n), "bench", {}) for n in range(requests)]
        self._go(mode, scheduled, tracker)
        # Direct requests are answered as they leave; of the others those are timed that leave together.
        end = tracker.last_answer if mode == "direct" else self._acknowledged
        return requests / max(1e-3, end - begun - (0.0 if mode == "direct" else LINGER))

    def run(self, mode: Mode, scheduled: Iterable[ScheduledRequest], tag: str) -> Part:
        """Send the scheduled requests, and wait for the answers. Ctrl-C ends it at once with the counts up to then.

        Args:
            mode: the way that they take.
            scheduled: `at` is in seconds from now.
            tag: what the keys begin with, so that the entities are new.
        """
        tracker = RequestTracker(tag, self._producers > 1)
        messages = self._replies.messages
        self._counting.begin()
        self._puts.take()
        sender = self._go(mode, scheduled, tracker)
        spent = self._spent(mode, sender, self._replies.messages - messages)
        self.notes += [
            f"{mode}: {count:,} requests were given up: {problem}"
            for problem, count in tracker.problems.most_common(PROBLEMS)
        ]
        found = None if self.stopped else self._faults(tracker)
        return part(tracker, found, sender.retries, spent, self._items.take())

    def _go(self, mode: Mode, scheduled: Iterable[ScheduledRequest], tracker: RequestTracker) -> Sender:
        self._replies.tracker = tracker
        with closing(self._sender(mode, tracker)) as sender:
            try:
                send_on_time(sender, tracker, () if self.stopped else scheduled, self._tell)
                self._acknowledged = drain(sender, tracker, 20 + 3 * self._stack.window, self._tell)
            except KeyboardInterrupt:
                self.stopped = True
        return sender

    def _sender(self, mode: Mode, tracker: RequestTracker) -> Sender:
        stack = self._stack
        if mode == "direct":
            url = stack.outputs["DirectUrl"]
            return DirectSender(tracker, url, stack.credentials, stack.region, stack.connections, self._producers)
        name, aggregate = stack.outputs["StreamName"], mode == "aggregated"
        if self._producers == 1:
            return StreamSender(tracker, self._kinesis, name, aggregate)
        return FleetSender(tracker, Fleet(name, self._kinesis, self._producers, aggregate=aggregate))

    def _spent(self, mode: Mode, sender: Sender, messages: int) -> Spent:
        put, used = self._puts.take(), self._counting.end(mode)
        if used.records not in (0, put.records):
            self.notes.append(
                f"{mode}: {put.records:,} records were put and the stream took {used.records:,}: somebody else uses it."
            )
        return replace(
            used,
            http_requests=sender.http_requests,
            records=put.records,
            put_calls=put.put_calls,
            put_units=put.put_units,
            stream_bytes=put.stream_bytes,
            reply_messages=messages,
        )

    def _faults(self, tracker: RequestTracker) -> Faults:
        sent = tracker.by_key()
        found = self._entities.load(sent)
        every = Faults()
        for key, its in sent.items():
            every = every.plus(faults(its, found[key].document if key in found else None))
        return every
