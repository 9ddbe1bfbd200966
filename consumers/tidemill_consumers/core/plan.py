"""Folding a batch's requests over its entities: who is skipped, applied, refused, answered.

Room: core. Pure: the same arrivals over the same entities give the same plan.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from tidemill.contract.request import REDRIVE, Reply, Request
from tidemill_consumers.core.batch import (
    UNLIMITED,
    Arrival,
    Emitted,
    Entity,
    Frame,
    Mark,
    Plan,
    Position,
    Quarantined,
    Receipt,
    Rejected,
    Rules,
    State,
    Time,
    Verified,
    Write,
    Writer,
    fresh,
)
from tidemill_consumers.core.calling.asking import Taken, Watch, ask
from tidemill_consumers.core.emits import EMITTERS, kept_bytes
from tidemill_consumers.core.fitting import (
    BYTES_OF_WRITER,
    MAX_RECENT_BYTES,
    MAX_WRITER_BYTES,
    fitting_marks,
    latest_that_fit,
)
from tidemill_consumers.core.outcomes import bytes_of_all, kept, outcome_bytes, reply_of, together
from tidemill_consumers.core.several import (
    displaced,
    has_other_streams,
    room_beside_others,
    streams_of_all,
    with_streams,
)
from tidemill_consumers.core.streams import stream_of_shard
from tidemill_consumers.core.trust import is_of_verified

MAX_WRITERS = 64
"""Writers remembered per entity; the least recently seen goes first."""

MAX_REDRIVEN = 64
"""Writers of one redriven request each that are remembered per entity, apart from those that are at work."""

MAX_EMITTERS = 64
"""Entities that emit to this one that are remembered per entity."""

FEW_WRITERS = min(MAX_WRITERS, MAX_REDRIVEN, MAX_EMITTERS)
"""Up to this many writers in all, nothing is evicted, whatever their kinds."""

MAX_RECENT = 32
"""Outcomes of earlier batches kept per entity; those of the batch at hand are all kept."""

MAX_OUTCOMES = 512
"""Outcomes one write may leave on one entity; the key's later requests wait until their receipts have left."""

MAX_OUTCOME_BYTES = 40 * 1024
"""Bytes of the outcomes and follow-up requests that one write may leave on one entity; the last request may pass it."""


MOST_QUARANTINED = 2_000
"""Requests that a plan sends to the quarantine, by an object each, before the rest waits until they are there: it takes
four seconds."""

MOST_EMITTING = 2_000
"""Requests of a plan whose follow-up requests leave before the rest is begun."""

MAX_REASON = 1000
"""Characters that are kept of why a request was rejected or quarantined."""


def plan(
    arrivals: Sequence[Arrival],
    entities: Mapping[str, Entity],
    rules: Rules,
    retention: float,
    watch: Watch | None = None,
    time: Time = UNLIMITED,
) -> Plan:
    """What the arrivals, in stream order and all of one shard, want done.

    Args:
        arrivals: the batch's requests.
        entities: by key; a key that is missing has no item yet.
        rules: command to rule.
        retention: seconds that the stream keeps a record; a shard last seen before that can be forgotten.
        watch: is told which arrival a rule is at work on; by default nobody looks.
        time: once it is over, no other arrival is begun, but for the first of all: something is always done.
    """
    made: list[Write] = []
    quarantined = emitting = 0
    for write in writes(arrivals, entities, rules, retention, watch or Watch(), time):
        made.append(write)
        quarantined += len(write.quarantine)
        emitting += len(write.emits)
        if time.is_over or quarantined >= MOST_QUARANTINED or emitting >= MOST_EMITTING:
            return Plan(tuple(made), not_begun(arrivals, {write.key for write in made}))
    return Plan(tuple(made))


def not_begun(arrivals: Iterable[Arrival], planned: Container[str]) -> dict[str, Position]:
    """The keys that were not planned, with their first position."""
    first: dict[str, Position] = {}
    for arrival in arrivals:
        if arrival.key not in planned:
            first.setdefault(arrival.key, arrival.position)
    return first


def writes(
    arrivals: Sequence[Arrival],
    entities: Mapping[str, Entity],
    rules: Rules,
    retention: float,
    watch: Watch,
    time: Time = UNLIMITED,
) -> Iterator[Write]:
    """The plan's writes, one after another as they are made: a key's rules are at work before its write comes.

    Once the time is over, of each key that is asked for still, its first arrival alone is taken.
    """
    by_key: defaultdict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_key[arrival.key].append(arrival)
    for key, of_key in by_key.items():
        yield _fold(entities.get(key) or Entity(key), of_key, rules, retention, watch, time)


def _fold(
    entity: Entity, arrivals: Sequence[Arrival], rules: Rules, retention: float, watch: Watch, time: Time
) -> Write:
    if entity.unusable:
        return _refused(entity, arrivals)
    folding = _Folding(entity, arrivals[0].shard, rules, watch)
    stopped = None
    clock, until = time
    for arrival in arrivals:
        if (folding.is_full and not folding.has_passed(arrival)) or (clock() >= until and arrival is not arrivals[0]):
            stopped = arrival.position
            break
        folding.take(arrival)
    becomes = folding.entity(retention) if folding.latest else None
    return Write(
        key=entity.key,
        expected_version=entity.version,
        new_entity=becomes,
        first=arrivals[0].position,
        receipts=tuple(folding.receipts),
        quarantine=tuple(folding.quarantine),
        stopped=stopped,
        emits=tuple(folding.emits),
        evicted=len(folding.writers) - len(becomes.writers) + folding.evicted_marks if becomes else 0,
    )


def _refused(entity: Entity, arrivals: Sequence[Arrival]) -> Write:
    """What becomes of requests for an entity that cannot be read or saved: it stays as it is, and its shard goes on."""
    reason = _brief(f"its entity cannot be used: {entity.unusable}")
    now, later = arrivals[:MOST_QUARANTINED], arrivals[MOST_QUARANTINED:]
    receipts = [
        Receipt(one.request.client, Reply(one.request.id, "quarantined", error=reason), one.position)
        for one in now
        if one.request.client is not None
    ]
    quarantine = [Quarantined(one, reason) for one in now]
    stopped = later[0].position if later else None
    return Write(entity.key, 0, None, arrivals[0].position, tuple(receipts), tuple(quarantine), stopped)


class _Folding:
    """One key's fold in progress. Lives within `_fold` only, for the sake of speed on hot keys."""

    def __init__(self, entity: Entity, shard: str, rules: Rules, watch: Watch) -> None:
        self._shard = shard
        self._stream: str | None = None
        """The shard's, where others feed the entity too; outcomes name it then."""
        self._room = MAX_OUTCOME_BYTES
        if entity.marks and has_other_streams(entity, shard):
            entity = with_streams(entity, shard)
            self._stream = stream_of_shard(shard)
            self._room = min(self._room, room_beside_others(entity, shard))
        self._before = entity
        self._rules = rules
        self._watch = watch
        self._document: State = entity.document
        self._is_flat = False  # as far as is known
        self.latest: dict[str, Arrival] = {}
        """Shard -> the last that was taken and is no redelivery; its mark in the end."""
        self.writers = dict(entity.writers)
        self._counters: dict[str, int] = {}  # the newest's, by writer, as they were before their rules
        self._newest: dict[str, Arrival] = {}  # by writer; they become its time and checksum in the end
        self._outcomes: dict[str, str] = {}
        self._outcome_bytes = 0  # those of what is emitted among them
        self._accepted: set[str] = set()  # the plain ones of this delivery, which are not among the outcomes
        self._since: dict[str, Position] = {}
        self._emitted = entity.emitted
        self._kept = {(one.shard, one.position): one for one in entity.emits} if entity.emits else {}
        self.emits: list[Emitted] = []
        self.receipts: list[Receipt] = []
        self.quarantine: list[Quarantined] = []
        self.evicted_marks: int
        """Of shards whose records the stream may still hold."""
        self.is_full = False
        """Whether there are as many outcomes and follow-up requests as may be."""

    def has_passed(self, arrival: Arrival) -> bool:
        """Whether this is a redelivery: at or below its shard's mark."""
        mark = self._mark(arrival.shard)
        return mark is not None and arrival.position <= mark.position

    def _mark(self, shard: str) -> Mark | None:
        """The shard's mark so far."""
        latest = self.latest.get(shard)
        if latest is None:
            return self._before.marks.get(shard)
        return Mark(latest.position, latest.arrived, self._since[shard])

    def take(self, arrival: Arrival) -> None:
        request, shard = arrival.request, arrival.shard
        latest = self.latest.get(shard)
        if latest is None or arrival.position <= latest.position:
            mark = self._mark(shard)
            if mark and arrival.position <= mark.position:
                self._take_redelivery(arrival, mark)
                return
            self._since.setdefault(shard, arrival.position)
        self.latest[shard] = arrival
        proof = arrival.proof
        # Read before a rule is asked, who may change it.
        client, writer, counter = request.client, request.writer, request.counter
        is_counted = writer is not None and counter is not None
        if proof is not None and proof.problem is not None:
            # Before anything is made of its writer: whoever forged it must not use up the counters of another.
            self._answer(arrival, client, is_counted, self._to_quarantine(arrival, proof.problem))
        elif writer is not None and counter is not None and self._is_surely_new(writer, counter):
            self._counters[writer] = counter
            self._newest[writer] = arrival
            self._answer(arrival, client, True, self._apply(arrival))
        elif self._is_producers_duplicate(arrival) or self._is_known_by_id(request):
            self._repeat(arrival)
        elif self._reuses_counter(request):
            reason = "the writer's counter was used before"
            self._answer(arrival, client, is_counted, self._to_quarantine(arrival, reason))
        else:
            if writer is not None and counter is not None:
                self._counters[writer] = counter
                self._newest[writer] = arrival
            self._answer(arrival, client, is_counted, self._apply(arrival))

    def entity(self, retention: float) -> Entity:
        """The entity after the fold."""
        before = self._before
        marks = dict(before.marks)
        for shard, latest in self.latest.items():
            marks[shard] = Mark(latest.position, latest.arrived, self._since[shard])
        in_retention = _forget_old_shards(marks, retention)
        marks = fitting_marks(in_retention)
        self.evicted_marks = len(in_retention) - len(marks)
        for name, arrival in self._newest.items():
            self.writers[name] = Writer(self._counters[name], arrival.arrived, _checksum(arrival))
        emits = (*self._of_other_shards(marks), *self.emits) if before.emits or self.emits else ()
        recent: dict[str, str] = {}
        if before.recent or self._outcomes:  # most entities keep none
            earlier = {one: text for one, text in before.recent.items() if one not in self._outcomes}
            if self._stream is None:
                left = list(earlier.items())[-MAX_RECENT:]
            else:
                left = displaced(earlier, self._shard, marks, MAX_RECENT)
            recent = _latest(left, self._outcomes, MAX_RECENT_BYTES - sum(map(kept_bytes, emits)))
            marks = self._with_what_is_known(marks, recent)
        return Entity(
            key=before.key,
            version=before.version + 1,
            document=self._document,
            marks=marks,
            writers=_latest_writers(self.writers),
            recent=recent,
            emitted=self._emitted,
            emits=emits,
        )

    def _with_what_is_known(self, marks: dict[str, Mark], recent: Mapping[str, str]) -> dict[str, Mark]:
        """The marks, of which those are marked whose outcomes may have been among the ones that had to go."""
        dropped = self._before.recent.keys() - recent.keys()
        all_of_these = self._outcomes.keys() <= recent.keys()
        if not dropped and all_of_these:
            return marks
        hurt = None if self._stream is None else streams_of_all(self._before.recent, dropped)

        def is_known(shard: str, mark: Mark) -> bool:
            if shard in self._since:  # its mark is new
                return all_of_these
            return mark.known and hurt is not None and stream_of_shard(shard) not in hurt

        return {shard: replace(mark, known=is_known(shard, mark)) for shard, mark in marks.items()}

    def _of_other_shards(self, marks: Mapping[str, Mark]) -> list[Emitted]:
        """What other shards' arrivals emitted and may not have left; the oldest go where there is no room.

        What this shard's arrivals emitted has either been met again or left before this delivery began.
        """
        room = MAX_RECENT_BYTES - self._outcome_bytes
        kept: list[Emitted] = []
        for one in reversed(self._before.emits):
            if one.shard in marks and one.shard not in self._since:
                room -= kept_bytes(one)
                if room < 0:
                    break
                kept.append(one)
        return kept[::-1]

    def _apply(self, arrival: Arrival) -> Reply:
        request = arrival.request
        request_id = request.id
        rule = self._rules.get(request.cmd)
        if rule is None:
            return self._to_quarantine(arrival, f"unknown command {request.cmd}")
        if isinstance(rule, Verified) and (problem := _unverified(arrival)):
            return self._to_quarantine(arrival, problem)
        outcome = ask(rule, self._document, self._is_flat, arrival, self._emitted, self._watch)
        if isinstance(outcome, Taken):
            if outcome.requests:
                self._emitted += len(outcome.requests)
                self._emit(Emitted(arrival.shard, arrival.position, outcome.requests))
            self._document, self._is_flat = outcome.state, outcome.is_flat
            return Reply(request_id, "accepted", outcome.answer)
        if isinstance(outcome, Rejected):
            return Reply(request_id, "rejected", error=_brief(outcome.reason))
        return self._to_quarantine(fresh(arrival), outcome.reason, outcome.trace)

    def _emit(self, emitted: Emitted) -> None:
        self.emits.append(emitted)
        self._add_bytes(kept_bytes(emitted))

    def _to_quarantine(self, arrival: Arrival, reason: str, trace: tuple[Frame, ...] = ()) -> Reply:
        brief = _brief(reason)
        self.quarantine.append(Quarantined(arrival, brief, trace))
        return Reply(arrival.request.id, "quarantined", error=brief)

    def _is_surely_new(self, writer: str, counter: int) -> bool:
        """Whether its counter says so: most requests' does, so it is looked at first."""
        last = self._counters.get(writer)  # the look of `_counter_of`, without a call for each request
        if last is None:
            before = self.writers.get(writer)
            last = -1 if before is None else before.counter
        return counter > last and not writer.startswith(REDRIVE)

    def _counter_of(self, writer: str) -> int | None:
        """The highest so far."""
        newest = self._counters.get(writer)
        if newest is not None:
            return newest
        last = self.writers.get(writer)
        return None if last is None else last.counter

    def _is_producers_duplicate(self, arrival: Arrival) -> bool:
        # With one record in flight per lane a writer's counters reach a key in rising order, so what is at or
        # below the highest came before. Only the highest itself can be told from another body.
        request = arrival.request
        if request.writer is None or request.counter is None:
            return False
        last = self._counter_of(request.writer)
        if last is None or request.counter > last:
            return False
        return request.counter < last or _checksum(arrival) == self._checksum_of(request.writer)

    def _is_known_by_id(self, request: Request) -> bool:
        if request.writer is None or request.counter is None:
            return self._is_known(request.id)
        if not request.writer.startswith(REDRIVE):
            return False
        # Redriven, and settled all the same: rules that were mended took it, or another copy of it was redriven.
        outcome = self._outcome_of(request.id)
        return request.id in self._accepted or (outcome is not None and outcome.status != "quarantined")

    def _reuses_counter(self, request: Request) -> bool:
        if request.writer is None or request.counter is None:
            return False
        return request.counter == self._counter_of(request.writer)

    def _checksum_of(self, writer: str) -> int:
        newest = self._newest.get(writer)
        return self.writers[writer].checksum if newest is None else _checksum(newest)

    def _take_redelivery(self, arrival: Arrival, mark: Mark) -> None:
        request_id = arrival.request.id
        if arrival.position >= mark.since:
            # Its receipt may not have left: what comes after it goes on from here if this delivery fails too.
            self._since.setdefault(arrival.shard, arrival.position)
            if emitted := self._kept.get((arrival.shard, arrival.position)):
                self._emit(emitted)
            if mark.known and not self._is_known(request_id):
                self._accepted.add(request_id)  # an outcome that is not kept was the plain "accepted"
            self._repeat(arrival)
        elif self._is_known(request_id):
            self._repeat(arrival)

    def _is_known(self, request_id: str) -> bool:
        return request_id in self._outcomes or request_id in self._before.recent

    def _repeat(self, arrival: Arrival) -> None:
        """Answer again, if the answer is still known; what is not was answered before."""
        request_id, client = arrival.request.id, arrival.request.client
        if request_id in self._accepted:
            self._receipt(arrival, client, Reply(request_id, "accepted"))
            return
        known = self._outcome_of(request_id)
        self._keep(request_id, known)
        if known:
            self._receipt(arrival, client, known)

    def _answer(self, arrival: Arrival, client: str | None, is_counted: bool, reply: Reply) -> None:
        # The usual outcome need not be kept: a repeat of a writer's request is known by its counter.
        # One that was redriven may have an earlier outcome, which must not be told again.
        is_usual = is_counted and reply.status == "accepted" and reply.data is None
        request_id = reply.id
        if not is_usual or request_id in self._outcomes or request_id in self._before.recent:
            self._keep(request_id, reply)
        else:
            self._accepted.add(request_id)
        if client is not None:
            self._receipt(arrival, client, reply)

    def _outcome_of(self, request_id: str) -> Reply | None:
        text = self._outcomes.get(request_id) or self._before.recent.get(request_id)
        return None if text is None else reply_of(text)

    def _keep(self, request_id: str, outcome: Reply | None) -> None:
        stream = self._stream
        if stream is not None:
            stream = together(self._before.recent.get(request_id), stream)
        text = kept(request_id, outcome, stream)
        size = outcome_bytes(text)
        if request_id in self._outcomes:
            size -= outcome_bytes(self._outcomes[request_id])
        self._outcomes[request_id] = text
        self._add_bytes(size)

    def _add_bytes(self, size: int) -> None:
        self._outcome_bytes += size
        self.is_full = len(self._outcomes) >= MAX_OUTCOMES or self._outcome_bytes >= self._room

    def _receipt(self, arrival: Arrival, client: str | None, reply: Reply) -> None:
        if client is not None:
            self.receipts.append(Receipt(client, reply, arrival.position))


def _unverified(arrival: Arrival) -> str | None:
    """Why a rule that takes requests of verified clients does not take this one."""
    proof, request = arrival.proof, arrival.request
    if proof is not None and proof.client == request.client:
        return None
    why = "unsigned" if proof is None else "sealed, but nobody has proven its client"
    return f"{why}, and {request.cmd} takes requests of verified clients only"


def _brief(reason: str) -> str:
    return reason[:MAX_REASON].encode(errors="replace").decode()


def _checksum(arrival: Arrival) -> int:
    return zlib.crc32(arrival.encoded)


def _latest_writers(writers: dict[str, Writer]) -> dict[str, Writer]:
    if len(writers) <= FEW_WRITERS:
        return writers
    latest = sorted(writers.items(), key=lambda item: item[1].arrived)
    redriven = [item for item in latest if item[0].startswith(REDRIVE)]
    emitters = [item for item in latest if item[0].startswith(EMITTERS)]
    others = [item for item in latest if not item[0].startswith((REDRIVE, *EMITTERS))]
    # Last, so that nobody else's push out those of verified clients.
    others.sort(key=lambda item: is_of_verified(item[0]))
    kinds = others[-MAX_WRITERS:], redriven[-MAX_REDRIVEN:], emitters[-MAX_EMITTERS:]
    return dict([one for kind in kinds for one in latest_that_fit(kind, BYTES_OF_WRITER, MAX_WRITER_BYTES)])


def _forget_old_shards(marks: dict[str, Mark], retention: float) -> dict[str, Mark]:
    # By the stream's own clock: what arrived longer ago than the stream keeps cannot be delivered again.
    arrivals = [mark.arrived for mark in marks.values()]
    horizon = max(arrivals) - retention
    if min(arrivals) >= horizon:
        return marks
    return {shard: mark for shard, mark in marks.items() if mark.arrived >= horizon}


def _latest(left: Sequence[tuple[str, str]], now: Mapping[str, str], max_bytes: int) -> dict[str, str]:
    """What is left of earlier outcomes, and those of the delivery at hand, less the first where there is no room."""
    latest = [*left, *now.items()]
    room = max_bytes - bytes_of_all([text for _, text in latest])
    oldest = 0
    while room < 0:
        room += outcome_bytes(latest[oldest][1])
        oldest += 1
    return dict(latest[oldest:])
