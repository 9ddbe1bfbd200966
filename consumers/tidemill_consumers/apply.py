"""The apply function: a batch of requests comes in, each is applied once and in order, and answered.

Room: composition root, above composition.py. Reads as the flow: intake, trust, load, plan, quarantine, save, settle,
reply and emit, verdict.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import TypedDict

from msgspec.structs import replace

from tidemill_consumers.adapters.metrics import put_metric
from tidemill_consumers.codec.events import Intake, KinesisEvent, intake
from tidemill_consumers.composition import (
    ROUNDS,
    Application,
    Context,
    MakePlan,
    application,
    half_of,
    is_the_entitys_fault,
    planned,
    planned_apart,
    save,
)
from tidemill_consumers.core.batch import UNLIMITED, Arrival, Plan, Position, Quarantined, Time, Write, fresh
from tidemill_consumers.core.pieces import Piece, pieces
from tidemill_consumers.core.plan import not_begun
from tidemill_consumers.core.settle import is_proven_when_saved, lowest, refusals, settle, waiting
from tidemill_consumers.core.sieve import Sieve


class ItemFailure(TypedDict):
    """The sequence number from which to deliver again."""

    itemIdentifier: str


class Response(TypedDict):
    """What Lambda is told: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html."""

    batchItemFailures: list[ItemFailure]
    applied: Applied


class Applied(TypedDict):
    """What the batch was and cost; Lambda passes over it, load tests add it up."""

    records: int
    requests: int
    keys: int
    write_calls: int
    quarantined: int


def apply(event: KinesisEvent, app: Application, time: Time = UNLIMITED) -> Response:
    """Apply a batch, or as much of it as there is time for: something is always done.

    A batch is noted: of one that ends its process again and again, requests are planned apart.
    """
    if app.deliveries is None or not event["Records"]:
        return _deliver(event, app, planned, time)
    first, last = event["Records"][0], event["Records"][-1]
    shard = f"{first['eventSourceARN']}/{first['eventID'].partition(':')[0]}"
    sequences = [int(one["kinesis"]["sequenceNumber"]) for one in (first, last)]
    delivery = app.deliveries.begin(shard, *sequences)
    try:
        response = _deliver(event, app, planned_apart if delivery.is_apart else planned, time)
    except Exception:
        app.deliveries.end(delivery)
        raise
    if response["batchItemFailures"][:1] == [{"itemIdentifier": str(sequences[0])}]:
        app.deliveries.end(delivery)
    return response


def _deliver(event: KinesisEvent, app: Application, make_plan: MakePlan, time: Time) -> Response:
    """Apply a batch with plans that are made so."""
    calls_before, quarantined_before = app.entities.write_calls, app.quarantine.count
    batch = intake(event, app.streams.of(event["Records"]))
    keys, evicted, again = _in_pieces(batch, app, make_plan, time)
    if evicted:
        put_metric("EvictedWriters", evicted)

    applied: Applied = {
        "records": batch.records,
        "requests": len(batch.arrivals) + len(batch.unreadable),
        "keys": keys,
        "write_calls": app.entities.write_calls - calls_before,
        "quarantined": app.quarantine.count - quarantined_before,
    }
    failures: list[ItemFailure] = [] if again is None else [{"itemIdentifier": str(again.sequence)}]
    return {"batchItemFailures": failures, "applied": applied}


def _in_pieces(batch: Intake, app: Application, make_plan: MakePlan, time: Time) -> tuple[int, int, Position | None]:
    """How many entities were changed and writers forgotten, and from where to deliver again.

    A piece is begun once the one before is done, and there is time. What is not, is delivered again: from its record on
    by Lambda, and within its record by the note of how far it was done.
    """
    keys = evicted = 0
    first = batch.first
    begun = app.progress.of(first.shard, first.position.sequence) if first and batch.begins_with_several else None
    again: Position | None = None
    for piece in pieces(batch.arrivals, batch.unreadable, begun):
        failed = _refuse(piece, app)
        arrivals = app.trust.verified(piece.arrivals)
        failed += [one.position for one in piece.arrivals[len(arrivals) :][:1]]
        changed, forgotten, failed = _apply(arrivals, failed, app, make_plan, time)
        keys, evicted = keys + changed, evicted + forgotten
        again = lowest(failed) if failed else piece.rest
        if failed or time.is_over:
            break
    if first and again is not None and again.sub and (begun is None or again > begun):
        app.progress.note(first.shard, again)
    return keys, evicted, again


def _refuse(piece: Piece, app: Application) -> list[Position]:
    """Have what is no request in the quarantine, and answer where it names somebody; the positions that failed."""
    not_stored = app.quarantine.store([Quarantined(one, one.reason) for one in piece.refused])
    failed = {Position(one.arrival.position.sequence, 0) for one in not_stored}
    stored = [one for one in piece.unreadable if Position(one.position.sequence, 0) not in failed]
    return [*failed, *app.replies.send(refusals(stored))]


def _apply(
    arrivals: Sequence[Arrival], failed: Sequence[Position], app: Application, make_plan: MakePlan, time: Time
) -> tuple[int, int, list[Position]]:
    """How many entities were changed and writers forgotten, and the positions that failed, with those that had before.

    A key that stopped goes on here: the next delivery may have to begin with the same record, and stop there again.
    It does so only when all went well, for then nothing asks for the outcomes and the follow-up requests that make
    room for the next.
    """
    keys = evicted = 0
    positions = list(failed)
    pending = arrivals
    while pending:
        saved = verdict = None  # what is done is not in memory beside what is next
        saved, failed_keys, again = _commit(pending, app, make_plan, time)
        verdict = settle(saved, failed_keys)
        positions += [*verdict.retry_from, *app.replies.send(verdict.receipts)]
        positions += app.emits.send(verdict.emits)
        keys += sum(write.new_entity is not None for write in saved.writes)
        evicted += sum(write.evicted for write in saved.writes)
        # Rules may have met those that wait, before another wrote their entity and the plan was made again.
        pending = [fresh(one) if one.key in again else one for one in waiting(pending, verdict)]
        if positions or time.is_over:
            positions += [arrival.position for arrival in pending[:1]]
            break
    return keys, evicted, positions


def _commit(
    arrivals: Sequence[Arrival], app: Application, make_plan: MakePlan, time: Time
) -> tuple[Plan, set[str], set[str]]:
    """The plan as it was saved, the keys that were not, and those that were planned more than once."""
    again: set[str] = set()
    writes: dict[str, Write] = {}
    waits: dict[str, Position] = {}
    pending = arrivals
    failed: set[str] = set()
    sieve = Sieve()
    tries = ROUNDS
    while pending and tries:
        entities, unread, left = app.entities.recall(arrival.key for arrival in pending)
        loaded = [one for one in pending if one.key not in left] if left else pending
        made = _with_rest(make_plan(loaded, entities, app, time), pending, left)
        failed = made.not_begun.keys() & writes.keys()  # their plan from before was not saved
        waits |= {key: first for key, first in made.not_begun.items() if key not in failed}
        writes |= {write.key: sieve.cut(write) for write in made.writes}
        unread_keys = {write.key for write in made.writes if write.key in unread and not is_proven_when_saved(write)}
        unsaved = save([write for write in made.writes if write.key not in unread_keys], app)
        failed |= unread_keys | unsaved.keys()
        again |= failed
        refused = {key: reason for key, reason in unsaved.items() if reason is not None}
        pending = sieve.again([fresh(arrival) for arrival in pending if arrival.key in failed], refused)
        tries -= not refused  # each of these rounds halves what is in question
    for key, reason in sieve.hopeless.items():
        # Its request is in the quarantine, and is answered: no mark can say so. If nothing is ever saved, it is not it.
        if is_the_entitys_fault(reason, app):
            failed.discard(key)
            writes[key] = replace(writes[key], new_entity=None)
    return Plan(tuple(writes.values()), waits), failed, again


def _with_rest(made: Plan, arrivals: Sequence[Arrival], left: set[str]) -> Plan:
    """The plan, in which those keys are not begun for which there is no memory beside the others."""
    return Plan(made.writes, not_begun(arrivals, {write.key for write in made.writes})) if left else made


def handler(event: KinesisEvent, context: Context) -> Response:
    """Lambda's entry."""
    time = half_of(context)
    app = application()
    app.limit.within(context.get_remaining_time_in_millis() / 1000)
    # A batch makes some hundred thousand objects, and they are free when it ends: hardly any are in cycles. To look for
    # those while it grows takes as long as all the rest.
    gc.disable()
    try:
        return apply(event, app, time)
    finally:
        gc.enable()
