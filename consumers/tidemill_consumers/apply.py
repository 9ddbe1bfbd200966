"""The apply function: a batch of requests comes in, each is applied once and in order, and answered.

Room: composition root. Reads as the flow: intake, trust, load, plan, quarantine, save, settle, reply and emit, verdict.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import gettempdir
from time import monotonic
from typing import Protocol, TypeAlias, TypedDict

import boto3
from botocore.config import Config
from msgspec.structs import replace

from tidemill.aws.fast_json import BATCHES, use_msgspec_json
from tidemill_consumers.adapters.devices import Devices
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import TOO_LARGE, Entities
from tidemill_consumers.adapters.metrics import put_metric
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.adapters.trust import Trust
from tidemill_consumers.codec.entity_cache import EntityCache
from tidemill_consumers.codec.events import Intake, KinesisEvent, intake
from tidemill_consumers.core.batch import (
    UNLIMITED,
    Arrival,
    Entity,
    Plan,
    Position,
    Quarantined,
    Rules,
    Time,
    Write,
    fresh,
)
from tidemill_consumers.core.pieces import Piece, pieces
from tidemill_consumers.core.plan import not_begun, plan
from tidemill_consumers.core.settle import is_proven_when_saved, lowest, refusals, settle, waiting
from tidemill_consumers.core.sieve import Sieve
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.isolation.apart import Run, in_a_child, plan_apart
from tidemill_consumers.isolation.at_work import AtWork
from tidemill_consumers.isolation.deliveries import Deliveries
from tidemill_consumers.isolation.progress import Progress
from tidemill_consumers.isolation.time_limit import TimeLimit

ROUNDS = 5
"""Times that a conflicting entity is loaded and planned again before its key is given back."""


DIRECT_CALLS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
"""Of the direct function, so that two in a row that nobody answers end within its time: botocore's own take minutes."""


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


@dataclass(frozen=True, slots=True)
class Application:
    """What a batch is applied with."""

    rules: Rules
    retention: float
    entities: Entities
    quarantine: Quarantine
    replies: Replies
    emits: Emits
    streams: Streams
    trust: Trust = field(default_factory=Trust)
    limit: TimeLimit = field(default_factory=TimeLimit)
    deliveries: Deliveries | None = None
    run: Run = in_a_child
    at_work: AtWork = field(default_factory=AtWork)

    @property
    def progress(self) -> Progress:
        """How far records were done, in the entities' table."""
        return Progress(self.entities)


MakePlan: TypeAlias = Callable[[Sequence[Arrival], Mapping[str, Entity], Application, Time], Plan]


def apply(event: KinesisEvent, app: Application, time: Time = UNLIMITED) -> Response:
    """Apply a batch, or as much of it as there is time for: something is always done.

    A batch is noted: of one that ends its process again and again, requests are planned apart.
    """
    if app.deliveries is None or not event["Records"]:
        return _deliver(event, app, _plan, time)
    first, last = event["Records"][0], event["Records"][-1]
    shard = f"{first['eventSourceARN']}/{first['eventID'].partition(':')[0]}"
    sequences = [int(one["kinesis"]["sequenceNumber"]) for one in (first, last)]
    delivery = app.deliveries.begin(shard, *sequences)
    try:
        response = _deliver(event, app, _plan_apart if delivery.is_apart else _plan, time)
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


def _plan(arrivals: Sequence[Arrival], entities: Mapping[str, Entity], app: Application, time: Time) -> Plan:
    with app.limit.watching() as watch:
        return plan(arrivals, entities, app.rules, app.retention, watch, time)


def _plan_apart(arrivals: Sequence[Arrival], entities: Mapping[str, Entity], app: Application, time: Time) -> Plan:
    return plan_apart(arrivals, entities, app.rules, app.retention, app.limit, app.run, time)


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
        planned = verdict = None  # what is done is not in memory beside what is next
        planned, failed_keys, again = _commit(pending, app, make_plan, time)
        verdict = settle(planned, failed_keys)
        positions += [*verdict.retry_from, *app.replies.send(verdict.receipts)]
        positions += app.emits.send(verdict.emits)
        keys += sum(write.new_entity is not None for write in planned.writes)
        evicted += sum(write.evicted for write in planned.writes)
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
        planned = _with_rest(make_plan(loaded, entities, app, time), pending, left)
        failed = planned.not_begun.keys() & writes.keys()  # their plan from before was not saved
        waits |= {key: first for key, first in planned.not_begun.items() if key not in failed}
        writes |= {write.key: sieve.cut(write) for write in planned.writes}
        unread_keys = {write.key for write in planned.writes if write.key in unread and not is_proven_when_saved(write)}
        unsaved = _save([write for write in planned.writes if write.key not in unread_keys], app)
        failed |= unread_keys | unsaved.keys()
        again |= failed
        refused = {key: reason for key, reason in unsaved.items() if reason is not None}
        pending = sieve.again([fresh(arrival) for arrival in pending if arrival.key in failed], refused)
        tries -= not refused  # each of these rounds halves what is in question
    for key, reason in sieve.hopeless.items():
        # Its request is in the quarantine, and is answered: no mark can say so. If nothing is ever saved, it is not it.
        if app.entities.has_saved or TOO_LARGE in reason:
            failed.discard(key)
            writes[key] = replace(writes[key], new_entity=None)
    return Plan(tuple(writes.values()), waits), failed, again


def _with_rest(planned: Plan, arrivals: Sequence[Arrival], left: set[str]) -> Plan:
    """The plan, in which those keys are not begun for which there is no memory beside the others."""
    return Plan(planned.writes, not_begun(arrivals, {write.key for write in planned.writes})) if left else planned


def _save(writes: Sequence[Write], app: Application) -> dict[str, str | None]:
    """The keys that were not saved, with why the table never takes them, if so.

    The quarantine comes first: a mark must not pass what is not stored.
    """
    quarantined = [one for write in writes for one in write.quarantine]
    not_stored = {one.arrival.key for one in app.quarantine.store(quarantined)}
    changed = [write for write in writes if write.new_entity and write.key not in not_stored]
    return dict.fromkeys(not_stored) | app.entities.save(changed)


@cache
def application(is_direct: bool = False) -> Application:
    """What the function's environment says, once per environment of the function.

    Args:
        is_direct: whether it is the direct function: one request, one key, and many environments. Entities are not
            remembered then, calls are given up in time to say so, and there is a note of whose rule is at work.

    Raises:
        KeyError: a variable is missing.
    """
    # Half of a call's time goes by in looking through what is right anyway, and in putting botocore's name together.
    quick = Config(parameter_validation=False, user_agent=f"tidemill boto3/{boto3.__version__}")
    config = quick.merge(DIRECT_CALLS if is_direct else Config(retries={"mode": "standard"}))
    once = quick.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
    env = os.environ
    rules = import_module(env["TIDEMILL_RULES"]).RULES
    stream, dynamodb = env["TIDEMILL_STREAM"], use_msgspec_json(boto3.client("dynamodb", config=config), BATCHES)
    remembered = int(env["TIDEMILL_REMEMBERED_MIB"]) * 1024 * 1024 if not is_direct else 0
    seals = Seals.read(stream, env["TIDEMILL_APPLICATION_SECRET"])
    streams = Streams(boto3.client("kinesis", config=config), stream)
    entities = Entities(
        dynamodb,
        env["TIDEMILL_TABLE"],
        cache=EntityCache(remembered) if remembered else None,
        own=None if is_direct else streams.own,
    )
    return Application(
        rules=rules,
        retention=float(env["TIDEMILL_RETENTION_HOURS"]) * 3600,
        entities=entities,
        quarantine=Quarantine(boto3.client("s3", config=config), env["TIDEMILL_QUARANTINE_BUCKET"]),
        replies=Replies(boto3.client("sns", config=config), env["TIDEMILL_REPLIES_TOPIC_ARN"]),
        emits=Emits(boto3.client("kinesis", config=once), stream, seals=seals),
        streams=streams,
        trust=Trust(stream, Devices(dynamodb, env["TIDEMILL_DEVICES_TABLE"]), seals),
        limit=TimeLimit(float(env["TIDEMILL_RULE_SECONDS"])),
        deliveries=Deliveries(dynamodb, env["TIDEMILL_DELIVERIES_TABLE"]),
        at_work=AtWork(Path(gettempdir()) if is_direct else None),
    )


class Context(Protocol):
    """What Lambda tells of an invocation: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    def get_remaining_time_in_millis(self) -> int:
        """Until the invocation is ended by force."""


def half_of(context: Context) -> Time:
    """Half of an invocation's time to begin things in; the other half is for what was begun."""
    return Time(monotonic, monotonic() + context.get_remaining_time_in_millis() / 2000)


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
