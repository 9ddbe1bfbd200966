"""The application, built from environment variables, and the steps that the functions share.

Room: composition, below the functions. A function is a module above this one (apply, direct) with a `handler` that
takes `application()` and a `Time`, and reads as its own flow: plan, then `save`, then answer. None imports another.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from math import inf
from pathlib import Path
from tempfile import gettempdir
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeAlias

import boto3
from botocore.config import Config

from tidemill.aws.fast_calls import use_fast_calls
from tidemill.aws.fast_json import BATCHES, use_msgspec_json
from tidemill.aws.fast_sns import use_fast_sns
from tidemill.contract.request import PROBE
from tidemill_consumers.adapters.clients import at_need, made
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.content.uploads import CALLS_AT_ONCE, Uploads
from tidemill_consumers.adapters.devices import Devices
from tidemill_consumers.adapters.emits import Emits
from tidemill_consumers.adapters.entities import TOO_LARGE, Entities
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.adapters.metrics import Metrics
from tidemill_consumers.adapters.quarantine import Quarantine
from tidemill_consumers.adapters.replies import Replies
from tidemill_consumers.adapters.streams import Streams
from tidemill_consumers.adapters.trust import StoredSeals, Trust
from tidemill_consumers.codec.entity_cache import EntityCache
from tidemill_consumers.core.batch import UNLIMITED, Arrival, Entity, Plan, Rules, Time, Write
from tidemill_consumers.core.calling.probe import probe
from tidemill_consumers.core.folding.depth import EMIT_DEPTH
from tidemill_consumers.core.plan import plan
from tidemill_consumers.core.stage.leaving import Leaving, periods_in
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.isolation.apart import Run, in_a_child, plan_apart
from tidemill_consumers.isolation.at_work import AtWork
from tidemill_consumers.isolation.deliveries import Deliveries
from tidemill_consumers.isolation.progress import Progress
from tidemill_consumers.isolation.time_limit import TimeLimit

if TYPE_CHECKING:
    from tidemill_consumers.tracing.traces import Traces

log = logging.getLogger(__name__)

ROUNDS = 5
"""Rounds of load, plan and save for an entity with conflicts; after these its key has failed."""

DIRECT_CALLS = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
"""For calls of the direct function: two calls without an answer end within its time; botocore's defaults take
minutes."""


UPLOADS_CALLS = DIRECT_CALLS.merge(
    Config(max_pool_connections=CALLS_AT_ONCE, response_checksum_validation="when_required")
)
"""For reading uploads, which a whole batch waits for; their SHA-256 is compared in any case."""


@dataclass(frozen=True, slots=True)
class Application:
    """The rules, services and limits by which requests are applied."""

    rules: Rules
    retention: float
    entities: Entities
    quarantine: Quarantine
    objects: ObjectStore
    replies: Replies
    emits: Emits
    streams: Streams
    forgotten: ForgottenWriters
    emit_depth: int = EMIT_DEPTH
    trust: Trust = field(default_factory=Trust)
    leaving: Leaving = field(default_factory=Leaving)
    aggregated: str = ""
    """The ARN of the stream that the analytics stage alone may put to; empty without a stage."""
    uploads: Uploads = field(default_factory=Uploads)
    limit: TimeLimit = field(default_factory=TimeLimit)
    deliveries: Deliveries | None = None
    run: Run = in_a_child
    at_work: AtWork = field(default_factory=AtWork)
    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces | None = None

    @property
    def progress(self) -> Progress:
        """The notes of how far records were applied, in the entities' table."""
        return Progress(self.entities)


MakePlan: TypeAlias = Callable[[Sequence[Arrival], Mapping[str, Entity], Application, Time], Plan]


def planned(
    arrivals: Sequence[Arrival], entities: Mapping[str, Entity], app: Application, time: Time = UNLIMITED
) -> Plan:
    """The plan, made in this process, with a limit on each rule's time."""
    with app.limit.watching() as watch:
        return plan(arrivals, entities, app.rules, app.retention, watch, time, app.emit_depth)


def planned_apart(
    arrivals: Sequence[Arrival], entities: Mapping[str, Entity], app: Application, time: Time = UNLIMITED
) -> Plan:
    """The plan, made in a separate process, which a rule may end without harm."""
    return plan_apart(arrivals, entities, app.rules, app.retention, app.limit, app.run, time, app.emit_depth)


def save(writes: Sequence[Write], app: Application) -> dict[str, str | None]:
    """Store quarantined requests, objects and forgotten writers, then save the entities; the keys that were not saved.

    Each key has the reason why the table will never accept its entity, or None if trying again may help. The quarantine
    comes first: a saved mark must not pass a request that is not stored. So do objects: a saved document must not name
    one that is not there. So do forgotten writers: a saved entity must not have forgotten a writer that the table does
    not know.
    """
    quarantined = [one for write in writes for one in write.quarantine]
    not_stored = {one.arrival.key for one in app.quarantine.store(quarantined)}
    changed = [write for write in writes if write.new_entity and write.key not in not_stored]
    if storing := [write for write in changed if write.objects]:
        not_stored |= app.objects.store(storing)
        changed = [write for write in changed if write.key not in not_stored]
    if forgetting := [write for write in changed if write.forgotten]:
        not_stored |= app.forgotten.keep(forgetting)
        changed = [write for write in changed if write.key not in not_stored]
    return dict.fromkeys(not_stored) | app.entities.save(changed)


def is_the_entitys_fault(reason: str, app: Application) -> bool:
    """Whether the entity itself caused the refusal: a table that never saved anything may refuse every entity."""
    return app.entities.has_saved or TOO_LARGE in reason


@cache
def application(is_direct: bool = False) -> Application:
    """The application that the environment variables describe, made once in each environment of the function.

    Args:
        is_direct: whether it is the direct function, which has one request, one key and many environments. It caches
            no entities, its calls time out early enough to answer 503, and it notes which command's rule is running.

    Raises:
        KeyError: a variable is missing.
        ValueError: the analytics stage's periods are none, or one has no end and there is no stage.
    """
    # Validating parameters and composing botocore's user agent take half of a call's CPU time.
    quick = Config(parameter_validation=False, user_agent=f"tidemill boto3/{boto3.__version__}")
    config = quick.merge(DIRECT_CALLS if is_direct else Config(retries={"mode": "standard"}))
    once = quick.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
    env = os.environ
    rules = {**import_module(env["TIDEMILL_RULES"]).RULES, PROBE: probe}
    stream, dynamodb = (
        env["TIDEMILL_STREAM"],
        use_fast_calls(use_msgspec_json(boto3.client("dynamodb", config=config), BATCHES)),
    )
    horizon = float(env["TIDEMILL_REPEAT_HORIZON_SECONDS"])
    aggregated, periods = env["TIDEMILL_AGGREGATED_STREAM_ARN"], periods_in(env["TIDEMILL_ANALYTICS_PERIODS"])
    if periods and periods[-1].end == inf and not aggregated:
        raise ValueError("requests are to be left to the analytics stage, and there is none: end its last period")
    remembered = int(env["TIDEMILL_REMEMBERED_MIB"]) * 1024 * 1024 if not is_direct else 0
    seals = seals_of(stream, env["TIDEMILL_APPLICATION_SECRET_ARN"], config)
    # Each batch of the apply function needs its stream's life and answers clients; few store or emit anything.
    always = at_need if is_direct else made
    sns = always(lambda: use_fast_calls(use_fast_sns(boto3.client("sns", config=config))))
    streams = Streams(always(partial(boto3.client, "kinesis", config=config)), stream)
    retention = float(env["TIDEMILL_RETENTION_HOURS"]) * 3600
    s3 = at_need(partial(boto3.client, "s3", config=config))
    entities = Entities(
        dynamodb,
        env["TIDEMILL_TABLE"],
        cache=EntityCache(remembered) if remembered else None,
        own=None if is_direct else streams.own,
    )
    return Application(
        rules=rules,
        retention=retention,
        entities=entities,
        quarantine=Quarantine(s3, env["TIDEMILL_QUARANTINE_BUCKET"]),
        objects=ObjectStore(s3, env["TIDEMILL_CONTENT_BUCKET"], retention),
        replies=Replies(sns, env["TIDEMILL_REPLIES_TOPIC_ARN"]),
        emits=Emits(at_need(partial(boto3.client, "kinesis", config=once)), stream, seals=seals),
        streams=streams,
        forgotten=ForgottenWriters(dynamodb, env["TIDEMILL_FORGOTTEN_WRITERS_TABLE"], horizon),
        emit_depth=int(env["TIDEMILL_EMIT_DEPTH"]),
        trust=Trust(stream, Devices(dynamodb, env["TIDEMILL_DEVICES_TABLE"]), seals),
        leaving=Leaving.of(rules, stream, periods, horizon),
        aggregated=aggregated,
        uploads=Uploads(
            at_need(partial(boto3.client, "s3", config=quick.merge(UPLOADS_CALLS))), env["TIDEMILL_CONTENT_BUCKET"]
        ),
        limit=TimeLimit(float(env["TIDEMILL_RULE_SECONDS"])),
        deliveries=Deliveries(dynamodb, env["TIDEMILL_DELIVERIES_TABLE"]),
        at_work=AtWork(Path(gettempdir()) if is_direct else None),
        metrics=Metrics(env.get("AWS_LAMBDA_FUNCTION_NAME", ""), print),  # the log is where they are read
        traces=_traces(env),
    )


def seals_of(stream: str, secret: str, config: Config) -> Seals | None:
    """The application's seals, by the secret of that ARN in Secrets Manager; None, and no call, if it is empty."""
    if not secret:
        return None
    client = boto3.client("secretsmanager", config=config)
    return StoredSeals(stream, lambda: str(client.get_secret_value(SecretId=secret)["SecretString"]))


def _traces(env: Mapping[str, str]) -> Traces | None:
    """The maker of spans; None, without importing anything of OpenTelemetry, if traces are off or cannot be had."""
    where, secret = env["TIDEMILL_TRACES"], env["TIDEMILL_TRACES_HEADERS_SECRET_ARN"]
    if where == "off":
        return None
    try:
        from tidemill_consumers.tracing.traces import traces_to

        return traces_to(where, secret, env["TIDEMILL_REPLIES_TOPIC_ARN"], env.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    except ImportError as error:
        log.error("there are no traces: %s; make the packages with traces: tidemill package --traces", error)
    except Exception:
        log.exception("there are no traces")
    return None


def is_entry_point(handler: str) -> bool:
    """Whether the function's environment begins here: Lambda names its handler before it imports the module.

    An entry point makes its application while it is imported. Lambda gives that phase a whole core, however small the
    function's memory, where an invocation of 256 MB has a seventh of one.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    return os.environ.get("_HANDLER") == handler


class Context(Protocol):
    """The part of Lambda's invocation context that is read: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


def half_of(context: Context) -> Time:
    """The time for beginning work: half of the invocation's. The other half is for finishing it."""
    return Time(monotonic, monotonic() + context.get_remaining_time_in_millis() / 2000)
