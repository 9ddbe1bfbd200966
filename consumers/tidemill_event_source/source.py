"""The event source mapping at work: reads a stream's shards and invokes a function with batches.

Room: event source, thin I/O: a thread per shard does what shard.py decides.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_event_source.checkpoints import Checkpoints
from tidemill_event_source.decisions.batches import Batch, InvocationResponse
from tidemill_event_source.decisions.checkpoint import Checkpoint, Start
from tidemill_event_source.decisions.config import InvalidMapping, MappingConfig
from tidemill_event_source.decisions.failures import Failure
from tidemill_event_source.decisions.sequencer import Discard, Invoke
from tidemill_event_source.decisions.shard import Deliver, Read, Shard, readable
from tidemill_event_source.destinations import Tell
from tidemill_event_source.files import NotWritten
from tidemill_event_source.invoking import Invoke as CallFunction
from tidemill_event_source.streams import Reader, stream_of
from tidemill_event_source.troubles import is_lasting, is_throttled

DISCOVERY_SECONDS = 10.0
"""How often the shards are listed, beside each time that one has ended."""

RETRY_SECONDS = 1.0

SKEW_ERROR = 1.0
"""Seconds by which another machine's clock may be misjudged: `Date` counts whole ones."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a mapping did so far.

    Attributes:
        invocations: that ran.
        errors: of them, those that failed, wholly or in part.
        throttles: invocations that did not run: throttled, or the service failed.
        records: records done: applied, discarded or filtered out.
        discarded: records given up.
        filtered: records that no filter let through.
        iterator_age: seconds; how old the last record of the last batch was when the batch ended.
        last_result: in Lambda's words.
    """

    invocations: int = 0
    errors: int = 0
    throttles: int = 0
    records: int = 0
    discarded: int = 0
    filtered: int = 0
    iterator_age: float = 0.0
    last_result: str = "No records processed"


@dataclass(frozen=True, slots=True)
class _Answer:
    sequencer: int
    batch: Batch
    response: InvocationResponse


class EventSource:
    """An event source mapping, at work from `start` to `stop`.

    Args:
        client: a boto3 client of the stream's service: `kinesis`, or `dynamodbstreams` for a table's stream.
        invoke: calls the function: `through_lambda`, `in_process`, or anything like them.
        config: the mapping's settings.
        on_failure: tells the destination that the settings name: see `destination`.
        checkpoints: a file that keeps how far it is, for the next one that is given it; without one a restart
            begins at the starting position. One process at a time.

    Raises:
        InvalidMapping: the settings name a destination, and nothing tells it.

    Example:
        config = MappingConfig(stream_arn, batch_size=1_000, window=5)
        with EventSource(boto3.client("kinesis"), in_process(handler), config):
            time.sleep(60)
    """

    def __init__(
        self,
        client: Any,
        invoke: CallFunction,
        config: MappingConfig,
        *,
        on_failure: Tell | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        if config.on_failure and on_failure is None:
            raise InvalidMapping(f"DestinationConfig: nothing tells {config.on_failure}")
        self.config = config
        self._stream = stream_of(config, client)
        self._invoke = invoke
        self._on_failure = on_failure
        self._checkpoints = Checkpoints(checkpoints)
        self._clock = _steady_clock()
        self._stopping = Event()
        self._changed = Event()
        self._lock = Lock()
        self._counts = Counts()
        self._identity = ""
        self._over = Event()
        """Set once the stream is another one: for those that follow the shards of the former."""
        self._shards: dict[str, Shard] = {}
        self._inboxes: dict[str, SimpleQueue[_Answer | None]] = {}
        self._threads: dict[str, Thread] = {}
        self._thread = Thread(target=self._run, name=f"event-source-{config.uuid}", daemon=True)

    @property
    def counts(self) -> Counts:
        """A snapshot of what was done."""
        filtered = sum(shard.filtered for shard in list(self._shards.values()))
        return replace(self._counts, filtered=filtered, records=self._counts.records + filtered)

    @property
    def waiting(self) -> int:
        """Records read and not yet done."""
        return sum(shard.waiting for shard in list(self._shards.values()))

    def __enter__(self) -> EventSource:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to poll, in the background.

        Raises:
            UnreadableFile: the file of checkpoints holds something else.
        """
        self._checkpoints.check()
        self._thread.start()

    def stop(self, patience: float | None = None) -> bool:
        """Stop after the invocations in flight. What is not done is delivered again at the next start.

        Args:
            patience: seconds to wait for those; None waits as long as they take.

        Returns:
            Whether they have ended.
        """
        self._stopping.set()
        self._changed.set()
        self._wake_all()
        if self._thread.ident is not None:
            self._thread.join(patience)
        return not self._thread.is_alive()

    def _wake_all(self) -> None:
        for inbox in list(self._inboxes.values()):
            inbox.put(None)

    # ── Shards, as they come and go ──────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._changed.clear()
            try:
                self._look()
            except (ClientError, BotoCoreError) as error:
                self._tell(f"cannot list the shards of {self.config.stream_arn}", error)
                self._stopping.wait(RETRY_SECONDS)
            except NotWritten as error:
                log.warning("cannot follow %s, trying again: %s", self.config.stream_arn, error)
                self._stopping.wait(RETRY_SECONDS)
            except Exception:  # it must go on, whatever it is
                log.exception("cannot follow %s, trying again", self.config.stream_arn)
                self._stopping.wait(RETRY_SECONDS)
            else:
                self._changed.wait(DISCOVERY_SECONDS)
        for thread in list(self._threads.values()):
            thread.join()

    def _look(self) -> None:
        """Follow each shard that may be read and is not followed."""
        identity = self._stream.identity()
        if identity != self._identity:
            self._begin_anew(identity)
        shards = self._stream.shards()
        fresh = self._begin(shards)
        self._checkpoints.keep(shards)
        drained = {name for name, one in self._checkpoints.all.items() if one.drained}
        drained |= {name for name, shard in list(self._shards.items()) if shard.drained}
        for name in readable(shards, frozenset(drained)):
            if name not in self._threads or not self._threads[name].is_alive():
                checkpoint = self._checkpoints.all[name]
                reader = self._stream.reader(name, fresh.get(name, checkpoint.start), checkpoint.after)
                self._threads[name] = Thread(
                    target=self._follow, args=(name, reader, checkpoint, self._over), daemon=True
                )
                self._threads[name].start()

    def _begin_anew(self, identity: str) -> None:
        """At the start, and when the stream was deleted and made again, whose shards have the same names.

        The stream's clock is taken for this machine's from then on.
        """
        self._over.set()
        self._wake_all()
        self._over = Event()
        self._shards, self._inboxes, self._threads = {}, {}, {}
        self._checkpoints.load(identity)
        self._clock = _steady_clock(self._stream.skew)
        self._identity = identity

    def _begin(self, shards: Mapping[str, Sequence[str]]) -> dict[str, Start]:
        """Give each new shard a checkpoint; what to open with, where that is not what a restart opens with."""
        known = self._checkpoints.all
        fresh: dict[str, Start] = {}
        for name in shards.keys() - known.keys():
            start = Start("TRIM_HORIZON")  # a shard made later: none of its records is to be missed
            if not known:
                start = Start(self.config.starting_position, self.config.starting_timestamp)
            if start.position == "LATEST":
                # The latest is another one after a restart, and what came meanwhile would be skipped.
                fresh[name], start = start, Start("AT_TIMESTAMP", self._clock() - abs(self._stream.skew and SKEW_ERROR))
            self._checkpoints.save(name, Checkpoint(start))
        return fresh

    # ── One shard ────────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, name: str, reader: Reader, checkpoint: Checkpoint, over: Event) -> None:
        shard = Shard(self.config, name, checkpoint, self._stream.render)
        inbox: SimpleQueue[_Answer | None] = SimpleQueue()
        self._shards[name], self._inboxes[name] = shard, inbox
        try:
            self._work(shard, reader, inbox, over)
        except NotWritten as error:
            log.warning("%s is begun again at its checkpoint: %s", name, error)
            self._stopping.wait(RETRY_SECONDS)
        except Exception:  # a shard must not stand still for ever
            log.exception("%s is begun again at its checkpoint", name)
            self._stopping.wait(RETRY_SECONDS)
        self._changed.set()

    def _work(self, shard: Shard, reader: Reader, inbox: SimpleQueue[_Answer | None], over: Event) -> None:
        with ThreadPoolExecutor(self.config.parallelization_factor, "invoke") as invocations:
            while not self._stopping.is_set() and not over.is_set() and not shard.drained:
                match shard.next(self._clock()):
                    case Read(limit):
                        self._read(shard, reader, limit)
                    case Deliver(sequencer, Invoke(batch)):
                        invocations.submit(self._call, sequencer, batch, inbox)
                    case Deliver(sequencer, Discard(failure)):
                        self._discard(shard, sequencer, failure)
                    case None:
                        self._await_answer(shard, inbox)
        self._take_answers(shard, inbox)
        self._save(shard)

    def _read(self, shard: Shard, reader: Reader, limit: int) -> None:
        try:
            page = reader.read(limit)
        except (ClientError, BotoCoreError) as error:
            if is_throttled(error):
                log.debug("cannot read %s, trying again: %s", shard.shard_id, error)
            else:
                self._tell(f"cannot read {shard.shard_id}", error)
            shard.read_failed(self._clock())
        else:
            shard.took(page, self._clock())

    def _tell(self, what: str, error: Exception) -> None:
        """Log why nothing moves, and say so as Lambda's API would; what does not pass by itself, as an error."""
        lasting = is_lasting(error)
        hint = "; it does not pass by itself" if lasting else ""
        log.log(logging.ERROR if lasting else logging.WARNING, "%s, trying again: %s%s", what, error, hint)
        self._count(result=f"PROBLEM: {error}")

    def _call(self, sequencer: int, batch: Batch, inbox: SimpleQueue[_Answer | None]) -> None:
        try:
            response = self._invoke(batch.event)
        except BaseException:  # of the caller's own, it must not end the shard
            log.exception("the invocation itself failed")
            response = InvocationResponse(invoked=False)
        inbox.put(_Answer(sequencer, batch, response))

    def _await_answer(self, shard: Shard, inbox: SimpleQueue[_Answer | None]) -> None:
        wait = shard.wake() - self._clock()
        try:
            answer = inbox.get(timeout=None if wait == float("inf") else max(0.0, wait))
        except Empty:
            return
        if answer:
            self._take(shard, answer)

    def _take_answers(self, shard: Shard, inbox: SimpleQueue[_Answer | None]) -> None:
        """Those that came while it was stopping."""
        while not inbox.empty():
            if answer := inbox.get():
                self._take(shard, answer)

    def _take(self, shard: Shard, answer: _Answer) -> None:
        now = self._clock()
        records = answer.batch.records
        result = shard.answered(answer.sequencer, records, answer.response, now)
        if not answer.response.invoked:
            self._count(throttles=1)
            return
        done = result.done if result else 0
        whole = result is not None and done == len(records)
        self._save(shard)
        self._count(
            invocations=1,
            errors=not whole,
            records=done,
            age=now - records[-1].arrived if records else None,
            result="OK" if whole else "PROBLEM: Function call failed",
        )

    def _discard(self, shard: Shard, sequencer: int, failure: Failure) -> None:
        count = len(failure.records)
        if self._on_failure:
            try:
                self._on_failure(failure, shard.shard_id)
            except (ClientError, BotoCoreError) as error:
                # As on AWS, where DestinationDeliveryErrors counts these: the records are dropped all the same.
                log.error("cannot tell %s of %d records given up: %s", self.config.on_failure, count, error)
        shard.discarded(sequencer, failure.records)
        self._save(shard)
        log.warning("%s: %d records of %s are given up", failure.condition, count, shard.shard_id)
        self._count(records=count, discarded=count)

    def _save(self, shard: Shard) -> None:
        if self._shards.get(shard.shard_id) is not shard:
            return  # of a stream that is no more
        try:
            self._checkpoints.save(shard.shard_id, shard.checkpoint)
        except OSError as error:
            # It goes on: what is lost is that a restart would begin here and not earlier.
            log.warning("cannot keep the checkpoint of %s: %s", shard.shard_id, error)

    def _count(
        self,
        *,
        invocations: int = 0,
        errors: int = 0,
        throttles: int = 0,
        records: int = 0,
        discarded: int = 0,
        age: float | None = None,
        result: str | None = None,
    ) -> None:
        with self._lock:
            now = self._counts
            self._counts = Counts(
                invocations=now.invocations + invocations,
                errors=now.errors + errors,
                throttles=now.throttles + throttles,
                records=now.records + records,
                discarded=now.discarded + discarded,
                iterator_age=now.iterator_age if age is None else age,
                last_result=result or now.last_result,
            )


def _steady_clock(skew: float = 0.0) -> Callable[[], float]:
    """Seconds since 1970 that never step, whatever becomes of the machine's clock, which is wrong by `skew`."""
    offset = time.time() + skew - time.monotonic()
    return lambda: offset + time.monotonic()
