"""The apply function: applies each request of a batch once and in order, and answers it.

Room: composition root, above composition.py. Reads as the flow: intake, what is left to the analytics stage, trust,
uploads, load, plan, quarantine, save, settle, reply and emit, verdict.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from operator import sub
from typing import NamedTuple, TypedDict

from msgspec.structs import replace

from tidemill_consumers.codec.events import Intake, KinesisEvent, intake
from tidemill_consumers.codec.metrics import Figures, spread
from tidemill_consumers.composition import (
    ROUNDS,
    Application,
    Context,
    MakePlan,
    application,
    half_of,
    is_entry_point,
    is_the_entitys_fault,
    planned,
    planned_apart,
    save,
)
from tidemill_consumers.core.batch import UNLIMITED, Arrival, Plan, Position, Quarantined, Time, Write, fresh
from tidemill_consumers.core.pieces import Piece, is_one_piece, pieces
from tidemill_consumers.core.plan import not_begun
from tidemill_consumers.core.settle import (
    Counts,
    accepted,
    is_proven_when_saved,
    lowest,
    refusals,
    settle,
    waiting,
)
from tidemill_consumers.core.sieve import Sieve


class ItemFailure(TypedDict):
    """The sequence number from which to deliver again."""

    itemIdentifier: str


class Response(TypedDict):
    """Response to Lambda: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html."""

    batchItemFailures: list[ItemFailure]
    applied: Applied


class Applied(TypedDict):
    """The batch's size and cost. Lambda ignores it; load tests add it up."""

    records: int
    requests: int
    keys: int
    write_calls: int
    quarantined: int
    object_puts: int


class Served(NamedTuple):
    """What the services did for all batches so far."""

    write_calls: int
    write_units: float
    conflicts: int
    cache_hits: int
    quarantined: int
    replies: int
    reply_failures: int
    unanswered_requests: int
    emits: int
    object_puts: int


def apply(event: KinesisEvent, app: Application, time: Time = UNLIMITED) -> Response:
    """Apply a batch, or as much of it as there is time for; some of it is always begun.

    Each delivery is noted. If deliveries of a batch end the process repeatedly, its requests are planned apart.
    """
    incoming = _incoming(event, app)
    if app.deliveries is None or incoming.is_left or not event["Records"]:
        return _deliver(incoming, app, planned, time)
    first, last = event["Records"][0], event["Records"][-1]
    shard = f"{first['eventSourceARN']}/{first['eventID'].partition(':')[0]}"
    sequences = [int(one["kinesis"]["sequenceNumber"]) for one in (first, last)]
    delivery = app.deliveries.begin(shard, *sequences)
    try:
        response = _deliver(incoming, app, planned_apart if delivery.is_apart else planned, time)
    except Exception:
        app.deliveries.end(delivery)
        raise
    if response["batchItemFailures"][:1] == [{"itemIdentifier": str(sequences[0])}]:
        app.deliveries.end(delivery)
    return response


class _Incoming(NamedTuple):
    """A decoded batch; whether the analytics stage's stream has it; whether all of it is left to the stage.

    A batch that is left needs no table: nothing in it asks a rule, and its answers are few enough for one delivery.
    """

    batch: Intake
    is_of_stage: bool
    is_left: bool


def _incoming(event: KinesisEvent, app: Application) -> _Incoming:
    stream = app.streams.of(event["Records"])
    batch = intake(event, stream)
    is_left = not batch.unreadable and app.leaving.takes_all(batch.arrivals) and is_one_piece(batch.arrivals, ())
    return _Incoming(batch, app.aggregated != "" and stream.arn == app.aggregated, is_left)


def _deliver(incoming: _Incoming, app: Application, make_plan: MakePlan, time: Time) -> Response:
    """Apply a batch with plans from `make_plan`."""
    before = _served(app)
    batch = incoming.batch
    counts = Counts()
    latency: list[float] = []
    again = _in_pieces(incoming, app, make_plan, time, counts, latency)
    served = Served(*map(sub, _served(app), before))
    app.metrics.put(_figures(batch, counts, served, latency, again is not None))
    applied: Applied = {
        "records": batch.records,
        "requests": len(batch.arrivals) + len(batch.unreadable),
        "keys": counts.keys,
        "write_calls": served.write_calls,
        "quarantined": served.quarantined,
        "object_puts": served.object_puts,
    }
    failures: list[ItemFailure] = [] if again is None else [{"itemIdentifier": str(again.sequence)}]
    return {"batchItemFailures": failures, "applied": applied}


def _served(app: Application) -> Served:
    entities, replies = app.entities, app.replies
    of_table = entities.write_calls, entities.write_units, entities.conflicts, entities.cache_hits
    of_replies = replies.sent, replies.failed, replies.given_up
    return Served(*of_table, app.quarantine.count, *of_replies, app.emits.sent, app.objects.puts)


def _figures(batch: Intake, counts: Counts, served: Served, latency: Sequence[float], is_partial: bool) -> Figures:
    """The batch's metrics."""
    requests, hottest = len(batch.arrivals) + len(batch.unreadable), counts.hottest_key
    return Figures(
        records=batch.records,
        requests=requests,
        applied=counts.applied,
        rejected=counts.rejected,
        repeats=counts.repeated,
        untold_repeats=counts.untold,
        emit_loops=counts.looped,
        evicted_marks=counts.evicted,
        partial_failures=int(is_partial),
        hottest_key_share=100 * counts.of_key[hottest] / requests if hottest else 0.0,
        reply_latency=tuple(spread(latency)),
        redelivered=counts.redelivered,
        keys=counts.keys,
        hottest_key=hottest,
        left_to_stage=counts.left,
        **served._asdict(),
    )


def _in_pieces(
    incoming: _Incoming, app: Application, make_plan: MakePlan, time: Time, counts: Counts, latency: list[float]
) -> Position | None:
    """Apply a batch piece by piece, and add to the counts; where to deliver again.

    A piece begins once the previous one is done, if there is time. Lambda delivers the others again from the beginning
    of their record; the progress note says where within that record to go on.
    """
    batch = incoming.batch
    first = None if incoming.is_left else batch.first
    begun = app.progress.of(first.shard, first.position.sequence) if first and batch.begins_with_several else None
    again: Position | None = None
    for piece in pieces(batch.arrivals, batch.unreadable, begun):
        since = app.metrics.clock()
        left, to_apply = app.leaving.divided(piece.arrivals)
        failed = [*_refuse(piece, app), *app.replies.send(accepted(left))]
        arrivals = app.trust.verified(to_apply, incoming.is_of_stage)
        failed += [one.position for one in to_apply[len(arrivals) :][:1]]
        arrivals, unread = app.uploads.redeem(arrivals, time)
        failed += unread
        failed = _apply(arrivals, failed, app, make_plan, time, counts)
        again = lowest(failed) if failed else piece.rest
        counts.left += sum([again is None or one.position < again for one in left])
        now = app.metrics.clock()
        if app.traces is not None:
            app.traces.applied(to_apply, again, since, now)
        if not failed:
            latency += [max(0.0, round(1000 * (now - one.arrived))) for one in spread(to_apply)]
        if failed or time.is_over:
            break
    if first and again is not None and again.sub and (begun is None or again > begun):
        app.progress.note(first.shard, again)
    return again


def _refuse(piece: Piece, app: Application) -> list[Position]:
    """Quarantine a piece's unreadable requests and answer the clients that they name; the positions that failed."""
    not_stored = app.quarantine.store([Quarantined(one, one.reason) for one in piece.refused])
    failed = {Position(one.arrival.position.sequence, 0) for one in not_stored}
    stored = [one for one in piece.unreadable if Position(one.position.sequence, 0) not in failed]
    return [*failed, *app.replies.send(refusals(stored))]


def _apply(
    arrivals: Sequence[Arrival],
    failed: Sequence[Position],
    app: Application,
    make_plan: MakePlan,
    time: Time,
    counts: Counts,
) -> list[Position]:
    """Apply arrivals, and add to the counts; the failed positions, `failed` included.

    A key that stopped goes on in this delivery, because the next might begin with the same record and stop there again.
    It goes on only if nothing failed: then no redelivery needs the outcomes and follow-up requests that the key drops
    to make room.
    """
    positions = list(failed)
    pending = arrivals
    while pending:
        saved = verdict = None  # frees the last round before the next is planned
        saved, failed_keys, again = _commit(pending, app, make_plan, time)
        verdict = settle(saved, failed_keys)
        positions += [*verdict.retry_from, *app.replies.send(verdict.receipts)]
        positions += app.emits.send(verdict.emits)
        counts.add(saved, failed_keys)
        # Rules may have changed the waiting requests, if their key was planned again after a conflict.
        pending = [fresh(one) if one.key in again else one for one in waiting(pending, verdict)]
        if positions or time.is_over:
            positions += [arrival.position for arrival in pending[:1]]
            break
    return positions


def _commit(
    arrivals: Sequence[Arrival], app: Application, make_plan: MakePlan, time: Time
) -> tuple[Plan, set[str], set[str]]:
    """Plan and save, again on conflict; the plan as saved, the keys not saved, and the keys planned more than once."""
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
        loaded, unasked = app.forgotten.judge(loaded, entities)
        made = _with_rest(make_plan(loaded, entities, app, time), pending, left)
        if unasked:  # they fail, as if their entities were not saved
            made = Plan((*made.writes, *[_unasked(key, pending) for key in unasked]), made.not_begun)
        failed = made.not_begun.keys() & writes.keys()  # their earlier plan was not saved
        waits |= {key: first for key, first in made.not_begun.items() if key not in failed}
        writes |= {write.key: sieve.cut(write) for write in made.writes}
        unread_keys = {write.key for write in made.writes if write.key in unread and not is_proven_when_saved(write)}
        unread_keys |= unasked
        unsaved = save([write for write in made.writes if write.key not in unread_keys], app)
        failed |= unread_keys | unsaved.keys()
        again |= failed
        refused = {key: reason for key, reason in unsaved.items() if reason is not None}
        pending = sieve.again([fresh(arrival) for arrival in pending if arrival.key in failed], refused)
        tries -= not refused  # a round after a refusal halves the suspects, and does not count
    for key, reason in sieve.hopeless.items():
        # Its request is quarantined and answered, though no mark records that. If the table may refuse all entities,
        # the key counts as failed instead.
        if is_the_entitys_fault(reason, app):
            failed.discard(key)
            writes[key] = replace(writes[key], new_entity=None)
    return Plan(tuple(writes.values()), waits), failed, again


def _unasked(key: str, arrivals: Sequence[Arrival]) -> Write:
    """The empty write of a key with re-sends that the table of forgotten writers could not be asked about."""
    first = next(arrival.position for arrival in arrivals if arrival.key == key)
    return Write(key, 0, None, first, (), (), None)


def _with_rest(made: Plan, arrivals: Sequence[Arrival], left: set[str]) -> Plan:
    """The plan; the keys that there was no memory for (`left`) count as not begun."""
    return Plan(made.writes, not_begun(arrivals, {write.key for write in made.writes})) if left else made


def handler(event: KinesisEvent, context: Context) -> Response:
    """Lambda's entry point."""
    time = half_of(context)
    app = application()
    app.limit.within(context.get_remaining_time_in_millis() / 1000)
    # A batch makes some hundred thousand objects. Hardly any are in cycles, so they are freed without the collector,
    # whose runs would take as long as everything else together.
    gc.disable()
    try:
        return apply(event, app, time)
    finally:
        if app.traces is not None:
            app.traces.flush(context.get_remaining_time_in_millis() / 1000)
        gc.enable()


if is_entry_point(f"{__name__}.{handler.__name__}"):
    application()
