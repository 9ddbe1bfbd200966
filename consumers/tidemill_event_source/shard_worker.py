"""One shard at work: a thread that does what decisions/shard.py says, and tells it what came of it.

Room: event source, I/O.
Tests: tests/consumers/tidemill_event_source/test_source.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_event_source.checkpoints import Checkpoints
from tidemill_event_source.counts import Tally
from tidemill_event_source.decisions.batches import Batch, InvocationResponse
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.failures import Failure
from tidemill_event_source.decisions.sequencer import Discard, Invoke
from tidemill_event_source.decisions.shard import Deliver, Read, Shard
from tidemill_event_source.destinations import Tell
from tidemill_event_source.files import NotWritten
from tidemill_event_source.invoking import Invoke as CallFunction
from tidemill_event_source.streams import Reader
from tidemill_event_source.troubles import is_throttled, log_trouble

RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """What the workers of one mapping share.

    Attributes:
        config: the mapping's settings.
        invoke: calls the function.
        on_failure: tells the destination of records that are given up, if there is one.
        checkpoints: keeps how far each shard is.
        tally: counts what is done.
        stopping: set once all are to end, after the invocations in flight.
    """

    config: MappingConfig
    invoke: CallFunction
    on_failure: Tell | None
    checkpoints: Checkpoints
    tally: Tally
    stopping: Event


@dataclass(frozen=True, slots=True)
class _Answer:
    sequencer: int
    batch: Batch
    response: InvocationResponse


class ShardWorker:
    """Follows one shard on a thread of its own, until the shard is drained, or all are to end.

    Args:
        shared: what it shares with the mapping's other workers.
        shard: decides what to do next.
        reader: reads the shard.
        clock: seconds since 1970 that never step.
        ended: called when it has ended, whatever the reason.

    Attributes:
        shard: the shard, for its numbers.
        thread: to be started and joined.
    """

    def __init__(
        self, shared: Shared, shard: Shard, reader: Reader, clock: Callable[[], float], ended: Callable[[], None]
    ) -> None:
        self.shard = shard
        self.thread = Thread(target=self._run, daemon=True)
        self._shared = shared
        self._reader = reader
        self._clock = clock
        self._ended = ended
        self._inbox: SimpleQueue[_Answer | None] = SimpleQueue()
        """Answers of the invocations; None wakes the thread."""
        self._is_abandoned = False

    def wake(self) -> None:
        """Have it look whether it is to end."""
        self._inbox.put(None)

    def abandon(self) -> None:
        """End without keeping the checkpoint: the stream is no more."""
        self._is_abandoned = True
        self.wake()

    def _run(self) -> None:
        name = self.shard.shard_id
        try:
            self._follow()
        except NotWritten as error:
            log.warning("%s is begun again at its checkpoint: %s", name, error)
            self._shared.stopping.wait(RETRY_SECONDS)
        except Exception:  # a shard must not stand still for ever
            log.exception("%s is begun again at its checkpoint", name)
            self._shared.stopping.wait(RETRY_SECONDS)
        self._ended()

    def _follow(self) -> None:
        with ThreadPoolExecutor(self._shared.config.parallelization_factor, "invoke") as invocations:
            while not (self._shared.stopping.is_set() or self._is_abandoned or self.shard.drained):
                match self.shard.next(self._clock()):
                    case Read(limit):
                        self._read(limit)
                    case Deliver(sequencer, Invoke(batch)):
                        invocations.submit(self._call, sequencer, batch)
                    case Deliver(sequencer, Discard(failure)):
                        self._discard(sequencer, failure)
                    case None:
                        self._await_answer()
        while not self._inbox.empty():  # answers that came while it was stopping
            self._take(self._inbox.get())
        self._save()

    def _read(self, limit: int) -> None:
        try:
            page = self._reader.read(limit)
        except (ClientError, BotoCoreError) as error:
            if is_throttled(error):
                log.debug("cannot read %s, trying again: %s", self.shard.shard_id, error)
            elif not self._shared.stopping.is_set():
                log_trouble(log, f"cannot read {self.shard.shard_id}", error)
                self._shared.tally.add(result=f"PROBLEM: {error}")
            self.shard.read_failed(self._clock())
        else:
            self.shard.took(page, self._clock())

    def _call(self, sequencer: int, batch: Batch) -> None:
        try:
            response = self._shared.invoke(batch.event)
        except BaseException:  # of the caller's own, it must not end the shard
            log.exception("the invocation itself failed")
            response = InvocationResponse(invoked=False)
        # One who stops waits a while and then may end the service: what is in flight fails, and is no news.
        if response.trouble and not self._shared.stopping.is_set():
            log.warning("%s", response.trouble)
        self._inbox.put(_Answer(sequencer, batch, response))

    def _await_answer(self) -> None:
        wait = self.shard.wake() - self._clock()
        try:
            answer = self._inbox.get(timeout=None if wait == float("inf") else max(0.0, wait))
        except Empty:
            return
        self._take(answer)

    def _take(self, answer: _Answer | None) -> None:
        if answer is None:
            return
        now = self._clock()
        records = answer.batch.records
        result = self.shard.answered(answer.sequencer, records, answer.response, now)
        if not answer.response.invoked:
            self._shared.tally.add(throttles=1)
            return
        done = result.done if result else 0
        whole = result is not None and done == len(records)
        self._save()
        self._shared.tally.add(
            invocations=1,
            errors=not whole,
            records=done,
            age=now - records[-1].arrived if records else None,
            result="OK" if whole else "PROBLEM: Function call failed",
        )

    def _discard(self, sequencer: int, failure: Failure) -> None:
        count, shard_id = len(failure.records), self.shard.shard_id
        if self._shared.on_failure:
            try:
                self._shared.on_failure(failure, shard_id)
            except (ClientError, BotoCoreError) as error:
                # As on AWS, where DestinationDeliveryErrors counts these: the records are dropped all the same.
                destination = self._shared.config.on_failure
                log.error("cannot tell %s of %d records given up: %s", destination, count, error)
        self.shard.discarded(sequencer, failure.records)
        self._save()
        log.warning("%s: %d records of %s are given up", failure.condition, count, shard_id)
        self._shared.tally.add(records=count, discarded=count)

    def _save(self) -> None:
        if self._is_abandoned:
            return
        try:
            self._shared.checkpoints.save(self.shard.shard_id, self.shard.checkpoint)
        except OSError as error:
            # It goes on: without this checkpoint a restart begins at an earlier one, and repeats what came since.
            log.warning("cannot keep the checkpoint of %s: %s", self.shard.shard_id, error)
