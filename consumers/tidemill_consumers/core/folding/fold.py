"""Folds one key's requests over its entity, in stream order, into one write.

Room: core. Pure. Tests: tests/consumers/tidemill_consumers/core/test_plan.py. One idea: what each kind of arrival does.

`classify` tells what each arrival is, and rules decide the new ones. Four journals (marks, writers, outcomes, follow-up
requests) collect what the entity must store afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from tidemill.contract.geohash import geohash_in
from tidemill.contract.request import Reply
from tidemill_consumers.core.batch import (
    GUARDS,
    Aggregatable,
    Arrival,
    Entity,
    Forgotten,
    Frame,
    Object,
    Quarantined,
    Receipt,
    Rejected,
    Rule,
    Rules,
    State,
    Time,
    Write,
    fresh,
)
from tidemill_consumers.core.calling.admission import not_for
from tidemill_consumers.core.calling.asking import Taken, Watch, ask, unpacked
from tidemill_consumers.core.emits import kept_bytes
from tidemill_consumers.core.fitting import FEW_WRITERS, MAX_RECENT_BYTES
from tidemill_consumers.core.folding.budget import MAX_OUTCOME_BYTES, Budget
from tidemill_consumers.core.folding.classify import classify
from tidemill_consumers.core.folding.depth import EMIT_DEPTH, counted, why_looped
from tidemill_consumers.core.folding.emits import EmitJournal
from tidemill_consumers.core.folding.item_size import bytes_beside_writers
from tidemill_consumers.core.folding.marks import MarkJournal
from tidemill_consumers.core.folding.objects import named_by
from tidemill_consumers.core.folding.outcomes import OutcomeJournal
from tidemill_consumers.core.folding.totals import TotalsJournal
from tidemill_consumers.core.folding.writers import COUNTERS, ENTRY_BYTES, WriterJournal, forgotten, has_awaited
from tidemill_consumers.core.several import has_other_streams, room_beside_others, with_streams
from tidemill_consumers.core.streams import DIRECT, stream_of_shard

MOST_QUARANTINED = 2_000
"""Requests in a plan that go to the quarantine, one object each; then the others wait until these are stored, which
takes four seconds."""

UNTOLD = "cannot be told from a repeat"
"""How the reason begins for which a re-send is quarantined."""

WHY_UNTOLD = f"{UNTOLD}: its first attempt may have been stored, and what its key remembered of that is gone"

MAX_REASON = 1000
"""Characters that are kept of the reason why a request was rejected or quarantined."""


def fold(
    entity: Entity,
    arrivals: Sequence[Arrival],
    rules: Rules,
    retention: float,
    watch: Watch,
    time: Time,
    emit_depth: int = EMIT_DEPTH,
) -> Write:
    """The write that results from the arrivals.

    Args:
        entity: as it is stored.
        arrivals: at least one, in stream order, all of one key and one shard.
        rules: command to rule.
        retention: seconds that the stream keeps a record.
        watch: is told which arrival a rule is at work on.
        time: once it is over, no arrival but the first begins.
        emit_depth: the most emits that may lead to a request.
    """
    if entity.unusable:
        return _refused(entity, arrivals)
    folding = _Folding(entity, arrivals[0].shard, rules, watch, emit_depth)
    marks, budget = folding.marks, folding.budget
    stopped = None
    clock, until = time
    for arrival in arrivals:
        if (budget.is_full and arrival.position > marks.last) or (clock() >= until and arrival is not arrivals[0]):
            stopped = arrival.position
            break
        if arrival.proof is None or not folding.take_window(arrival):
            folding.take(arrival)
    taken = len(arrivals) if stopped is None else sum([one.position < stopped for one in arrivals])
    new_entity = folding.entity(retention) if marks.latest else None
    return Write(
        key=entity.key,
        expected_version=entity.version,
        new_entity=new_entity,
        first=arrivals[0].position,
        receipts=tuple(folding.receipts),
        quarantine=tuple(folding.quarantine),
        stopped=stopped,
        emits=tuple(folding.emits.now),
        leaves_place=bool(new_entity and geohash_in(entity.document) and not geohash_in(new_entity.document)),
        objects=folding.stored,
        evicted=marks.evicted,
        forgotten=folding.forgotten,
        untold=folding.untold,
        taken=taken,
        rejected=folding.rejected,
        repeated=folding.repeated,
        redelivered=folding.redelivered,
        document_bytes=len(folding.packed),
    )


def _refused(entity: Entity, arrivals: Sequence[Arrival]) -> Write:
    """The write of an unusable entity, which stays as it is: its requests are quarantined, and the shard goes on."""
    reason = _brief(f"its entity cannot be used: {entity.unusable}")
    now, later = arrivals[:MOST_QUARANTINED], arrivals[MOST_QUARANTINED:]
    receipts = [
        Receipt(one.request.client, Reply(one.request.id, "quarantined", error=reason), one.position)
        for one in now
        if one.request.client is not None
    ]
    quarantine = [Quarantined(one, reason) for one in now]
    stopped = later[0].position if later else None
    first = arrivals[0].position
    return Write(entity.key, 0, None, first, tuple(receipts), tuple(quarantine), stopped, taken=len(now))


class _Folding:
    """One key's fold in progress, used only within `fold`."""

    forgotten: Forgotten | None = None
    stored: tuple[Object, ...] = ()
    untold = rejected = repeated = redelivered = 0

    def __init__(self, entity: Entity, shard: str, rules: Rules, watch: Watch, emit_depth: int) -> None:
        stream, most = None, MAX_OUTCOME_BYTES
        if entity.marks and has_other_streams(entity, shard):
            entity = with_streams(entity, shard)
            stream = stream_of_shard(shard)
            most = min(most, room_beside_others(entity, shard))
        self._before = entity
        self._shard = shard
        self._rules = rules
        self._watch = watch
        self._emit_depth = emit_depth
        self._document: State = entity.document
        self._is_flat = False  # as far as is known
        self.packed = b""
        self.budget = Budget(most)
        self.marks = MarkJournal.of(entity.marks, shard)
        self.writers = WriterJournal(entity.writers, entity.redriven, entity.forgotten, entity.awaited, shard == DIRECT)
        self._is_usual = self.writers.is_usual
        self.outcomes = OutcomeJournal(self.budget, entity.recent, stream)
        self.emits = EmitJournal(self.budget, entity.emitted, entity.emits)
        self.totals = TotalsJournal(entity.totals)
        self.objects: dict[str, Object] | None = None
        self.receipts: list[Receipt] = []
        self.quarantine: list[Quarantined] = []

    def take(self, arrival: Arrival) -> None:
        """Take the next arrival, of whatever kind."""
        kind = classify(arrival, self.marks, self.writers, self.outcomes)
        if kind == "redelivery":
            self.redelivered += 1
            self._take_redelivery(arrival)
            return
        marks, position = self.marks, arrival.position  # the shard's mark moves on; `marks.move`, without its call
        marks.latest, marks.last = arrival, position
        if marks.since is None:
            marks.since = position
        if kind == "repeat":
            self.repeated += 1
            self._answer_again(arrival)
            return
        request = arrival.request
        # Read before the rule is asked, which may change the request.
        client, writer, counter = request.client, request.writer, request.counter
        is_counted = False
        if kind == "new":
            if writer is not None and counter is not None and counter < COUNTERS:
                is_counted = True
                if arrival.tried is None and self._is_usual:
                    self.writers.newest[writer] = counter, arrival
                else:
                    self._take_watched(writer, counter, arrival)
            # Of data that was read, `request` has no ref any more.
            reply = self._apply(arrival) if request.ref is None else self._to_quarantine(arrival, str(arrival.upload))
        elif kind == "forged":
            reply = self._to_quarantine(arrival, _problem(arrival))
        elif kind == "counter reused":
            reply = self._to_quarantine(arrival, "the writer's counter was used before")
        else:
            reply = self._take_untold(arrival)
        self.outcomes.note(reply, is_counted)
        if client is not None:
            self.receipts.append(Receipt(client, reply, arrival.position))

    def entity(self, retention: float) -> Entity:
        """The entity after the fold."""
        before, shard = self._before, self._shard
        if self.objects:
            self.stored = named_by(self._document, self.objects)
        marks = self.marks.after(retention)
        emits = self.emits.after(marks, shard) if before.emits or self.emits.now else ()
        recent: dict[str, str] = {}
        if before.recent or self.outcomes.now:  # most entities keep none
            recent = self.outcomes.after(shard, marks, MAX_RECENT_BYTES - sum(map(kept_bytes, emits)))
            marks = self.outcomes.with_known(marks, recent, shard)
        writers = self.writers.after()
        # Positional arguments take half of the time.
        entity = Entity(
            before.key,
            before.version + 1,
            self._document,
            marks,
            writers,
            recent,
            self.emits.emitted,
            emits,
            self.writers.redriven,
            before.forgotten,
            before.awaited,
            before.lost,
            self.totals.after(self._rules),
        )
        if self.marks.evicted:
            # The table is asked by the marks' shards: what batches of dropped ones put there is not found.
            until = self.writers.up_to(writers, before.marks)
            entity = replace(entity, forgotten=until, lost=until)
        return entity if len(writers) <= ENTRY_BYTES * FEW_WRITERS else self._fitting(entity)

    def _fitting(self, entity: Entity) -> Entity:
        """The entity with the writers that it has room for; the others are to be put into the table."""
        stay, gone = self.writers.divided(entity.writers, bytes_beside_writers(entity))
        if not gone:
            return entity
        self.forgotten = forgotten(self._shard, entity.key, gone)
        until = self.writers.up_to(gone, self._before.marks)
        awaited = max(entity.awaited, until) if has_awaited(gone) else entity.awaited
        return replace(entity, writers=stay, forgotten=max(entity.forgotten, until), awaited=awaited)

    def _take_redelivery(self, arrival: Arrival) -> None:
        mark = self.marks.current
        if mark and arrival.position >= mark.since:
            # Its receipt may be unsent, so the mark's range must begin here in case this delivery fails too.
            self.marks.answer_from(arrival)
            self.emits.add_again(arrival)
            if mark.known:
                self.outcomes.note_accepted(arrival.request.id)
            self._answer_again(arrival)
        elif self.outcomes.is_known(arrival.request.id):
            self._answer_again(arrival)

    def _answer_again(self, arrival: Arrival) -> None:
        outcome = self.outcomes.again(arrival.request.id)
        if outcome is not None and arrival.request.client is not None:
            self.receipts.append(Receipt(arrival.request.client, outcome, arrival.position))

    def take_window(self, arrival: Arrival) -> bool:
        """Take the next arrival if the analytics stage brings a window of an aggregatable command; whether it does.

        Its writer is not remembered: the entity's totals tell what is new of it. Nobody is answered.
        """
        rule = self._rules.get(arrival.request.cmd)
        if not (isinstance(rule, Aggregatable) and arrival.proof and arrival.proof.is_staged):
            return False
        if arrival.position <= self.marks.last:
            self.redelivered += 1
            self._take_redelivery(arrival)
            return True
        self.marks.move(arrival)
        cmd = arrival.request.cmd  # read before the rule is asked
        following = self.totals.step(arrival)
        if isinstance(following, str):
            self._to_quarantine(arrival, following)
        elif following.amount is None:
            self.repeated += 1
            self.totals.note(cmd, following)
        elif self._ask(arrival, rule.adding(following.amount)).status != "quarantined":
            self.totals.note(cmd, following)
        return True

    def _take_watched(self, writer: str, counter: int, arrival: Arrival) -> None:
        self.writers.note(writer, counter, arrival)
        if writer in self.writers.stay:
            self.budget.take_resent()

    def _take_untold(self, arrival: Arrival) -> Reply:
        """Quarantine a re-send that cannot be told from a repeat, and remember it, so that its copies are repeats."""
        request = arrival.request
        if request.writer is not None and request.counter is not None:
            self.writers.note_untold(request.writer, request.counter, arrival)
            self.budget.take_resent()
        self.untold += 1
        return self._to_quarantine(arrival, WHY_UNTOLD)

    def _apply(self, arrival: Arrival) -> Reply:
        """Ask the arrival's rule and take over its document; the reply."""
        if arrival.request.depth:
            if (found := counted(arrival, self._emit_depth)) is None:
                return self._to_quarantine(arrival, why_looped(arrival.request.depth, self._emit_depth))
            arrival = found
        request = arrival.request
        rule = self._rules.get(request.cmd)
        if rule is None:
            return self._to_quarantine(arrival, f"unknown command {request.cmd}")
        if isinstance(rule, GUARDS) and (problem := not_for(rule, arrival)):
            return self._to_quarantine(arrival, problem)
        return self._ask(arrival, rule)

    def _ask(self, arrival: Arrival, rule: Rule) -> Reply:
        """Ask a rule about an arrival and take over its document; the reply."""
        request_id = arrival.request.id
        packed = self.packed
        outcome = ask(
            rule, self._document, self._is_flat, arrival, self.emits.emitted, self._watch, may_lend=packed != b""
        )
        if isinstance(outcome, Taken):
            if outcome.requests:
                self.emits.add(arrival, outcome.requests)
            if outcome.objects:
                self._collect(outcome.objects)
            self._document, self._is_flat, self.packed = outcome.state, outcome.is_flat, outcome.packed
            return Reply(request_id, "accepted", outcome.answer)
        if packed:
            self._document = unpacked(packed)  # the rule was lent the other, and may have changed it
        if isinstance(outcome, Rejected):
            self.rejected += 1
            return Reply(request_id, "rejected", error=_brief(outcome.reason))
        return self._to_quarantine(fresh(arrival), outcome.reason, outcome.trace)

    def _collect(self, objects: Sequence[Object]) -> None:
        collected = self.objects = self.objects or {}
        for one in objects:
            if one.name not in collected:
                self.budget.take_object(len(one.data))
            collected[one.name] = one

    def _to_quarantine(self, arrival: Arrival, reason: str, trace: tuple[Frame, ...] = ()) -> Reply:
        brief = _brief(reason)
        self.quarantine.append(Quarantined(arrival, brief, trace))
        return Reply(arrival.request.id, "quarantined", error=brief)


def _problem(arrival: Arrival) -> str:
    """Why a request counts as forged."""
    return "" if arrival.proof is None else arrival.proof.problem or ""


def _brief(reason: str) -> str:
    return reason[:MAX_REASON].encode(errors="replace").decode()
