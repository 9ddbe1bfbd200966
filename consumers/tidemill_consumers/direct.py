"""The direct function: applies one HTTP request at once by the same rules, and answers in the response.

Room: composition root, above composition.py. The stream's cost is compared with this function's, so it applies exactly
once too: by the same plan and conditional write. A writer's requests of one key keep their order if it awaits each
answer.

| status | meaning |
|---|---|
| 200 | accepted; the body is the reply |
| 208 | a repeat whose outcome is not kept: it was settled before |
| 400 | no request, or one without a key: nothing is kept of it |
| 409 | rejected by its rule, the body is the reply; or overtaken by its writer's next request, the body has no status |
| 422 | quarantined for ever; the body is the reply |
| 500 | an unforeseen error, as the body says; or the platform's own answer, if a rule ended the process |
| 503 | not now |

After 500 and 503 the same request may be sent again: nothing is lost or applied twice. A rule that ended the function's
process runs in a separate process from then on (isolation/at_work.py): a request that ends that too is quarantined.

A key should use either this function or the stream: its entity's follow-up requests are in order within each of the
two, but not between them.
"""

from __future__ import annotations

import binascii
import logging
from base64 import b64decode
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from secrets import randbits
from typing import Any, NotRequired, TypedDict
from uuid import UUID

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tidemill.contract.attempts import unmarked
from tidemill.contract.request import Document, RefusedRequest, Reply, Request, decode
from tidemill.sending.writer import uuid7
from tidemill_consumers import composition
from tidemill_consumers.adapters.entities import Unloadable
from tidemill_consumers.codec.events import earlier
from tidemill_consumers.codec.metrics import ALARMING, Figures
from tidemill_consumers.composition import (
    ROUNDS,
    Application,
    application,
    half_of,
    is_the_entitys_fault,
    planned,
    planned_apart,
)
from tidemill_consumers.core.batch import (
    UNLIMITED,
    Arrival,
    Emitted,
    Entity,
    Position,
    Time,
    Write,
    fresh,
    with_request,
)
from tidemill_consumers.core.emits import CLOCKS_DIFFER
from tidemill_consumers.core.folding.depth import looped
from tidemill_consumers.core.folding.writers import counter_of
from tidemill_consumers.core.sieve import Sieve
from tidemill_consumers.core.streams import DIRECT

SHARD = DIRECT
"""The shard of these requests in an entity's marks and in the quarantine."""

STATUSES = {
    "accepted": HTTPStatus.OK,
    "rejected": HTTPStatus.CONFLICT,
    "quarantined": HTTPStatus.UNPROCESSABLE_ENTITY,
}

UUID_TIME_SHIFT = 80
"""The first 48 bits of a UUIDv7 are its time in milliseconds since 1970 (RFC 9562, section 5.7)."""

OVERTAKEN = "a later request of its writer was applied before it: if it was not settled by then, it is not applied"

log = logging.getLogger(__name__)


class Context(TypedDict):
    """The HTTP API's request context: its clock in milliseconds since 1970, and the caller's identity."""

    timeEpoch: int
    authorizer: NotRequired[Mapping[str, Any]]


class HttpEvent(TypedDict):
    """An HTTP API's event, payload format 2.0.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """

    requestContext: Context
    body: NotRequired[str]
    isBase64Encoded: NotRequired[bool]


class HttpResponse(TypedDict):
    """The function's response to an HTTP API."""

    statusCode: int
    headers: Mapping[str, str]
    body: str


def direct(event: HttpEvent, app: Application, time: Time = UNLIMITED) -> HttpResponse:
    """Apply one request. Once the time is over, no further round begins; the first always does."""
    context = event["requestContext"]
    try:
        arrival = _arrival(_payload(event), context["timeEpoch"])
    except RefusedRequest as error:
        return _response(HTTPStatus.BAD_REQUEST, {"error": str(error)})
    since = app.metrics.clock()
    response = _answered(arrival, context, app, time)
    if app.traces is not None:
        app.traces.answered(arrival, response["statusCode"], since, app.metrics.clock())
    return response


def _answered(arrival: Arrival, context: Context, app: Application, time: Time) -> HttpResponse:
    try:
        return _apply(arrival, _caller(context), app, time)
    except (Unloadable, ClientError, BotoCoreError) as error:
        log.warning("cannot apply %s: %s", arrival.request.id, error)
        return _not_now()
    except Exception:
        log.exception("cannot apply %s", arrival.request.id)
        return _response(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "it may be applied or not"})


def _payload(event: HttpEvent) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode(errors="surrogatepass")
    try:
        return b64decode(body)
    except (binascii.Error, ValueError) as error:
        raise RefusedRequest(f"no base64: {error}") from None


def _arrival(payload: bytes, now: int) -> Arrival:
    payload, mark = unmarked(payload)
    request = decode(payload)
    if request.key is None:
        raise RefusedRequest("no key")
    position = Position(UUID(uuid7(now, randbits(74))).int, 0)
    tried = earlier(mark, request.tried)
    arrival = Arrival(SHARD, position, now / 1000, request.key, request, payload, tried=tried)
    return with_request(arrival, msgspec.structs.replace(request, tried=None))


def _caller(context: Context) -> str:
    """The client of a request that names none: the caller, who waits for this response."""
    iam = context.get("authorizer", {}).get("iam") or {}
    identity = (iam.get("cognitoIdentity") or {}).get("identityId")
    return str(identity or iam.get("userArn") or SHARD)


def _apply(arrival: Arrival, caller: str, app: Application, time: Time) -> HttpResponse:
    """The answer once the write is saved and its follow-up requests have left; "not now" if its proof is unreadable,
    or its upload."""
    verified = [_named(one, caller) for one in app.trust.verified([arrival])]
    pending: Sequence[Arrival] = app.uploads.redeem(verified, time).arrivals
    sieve = Sieve()
    for number in range(ROUNDS):
        if not pending or (number and time.is_over):
            break
        entity = app.entities.load([arrival.key]).get(arrival.key) or Entity(arrival.key)
        # Earlier follow-up requests of the key may not have left, if their invocation ended early. Later ones must not
        # overtake them. An entity that has them already recognises the repeat.
        if app.emits.send([_sent_before(one) for one in entity.emits if one.shard == SHARD]):
            break
        one = msgspec.structs.replace(pending[0], position=_place(pending[0].position, entity))
        judged, unasked = app.forgotten.judge([one], {one.key: entity})
        if unasked:
            break
        write = _planned(judged[0], entity, app)
        if app.quarantine.store(write.quarantine) or app.objects.store([write]) or app.forgotten.keep([write]):
            break
        unsaved = app.entities.save([write]) if write.new_entity else {}
        reason = unsaved.get(one.key)
        if not unsaved:
            return _settled(write, fresh(one).request, app)
        if reason is not None and not is_the_entitys_fault(reason, app):
            break  # the table refuses every entity
        pending = sieve.again([fresh(one)], {one.key: reason} if reason is not None else {})
        if not pending:  # it is quarantined, though no mark records that
            return _settled(msgspec.structs.replace(write, new_entity=None), fresh(one).request, app)
    return _not_now()


def _sent_before(emitted: Emitted) -> Emitted:
    """Follow-up requests of an earlier invocation, which may have sent them after its request had come."""
    since = (emitted.position.sequence >> UUID_TIME_SHIFT) / 1000 - CLOCKS_DIFFER
    return emitted._replace(since=since)


def _named(arrival: Arrival, caller: str) -> Arrival:
    if arrival.request.client is not None:
        return arrival
    return with_request(arrival, msgspec.structs.replace(arrival.request, client=caller))


def _settled(write: Write, request: Request, app: Application) -> HttpResponse:
    _count(write, app)
    return _not_now() if app.emits.send(write.emits) else _answer(write, request)


def _count(write: Write, app: Application) -> None:
    quarantined = len(write.quarantine)
    if quarantined or write.evicted or write.untold:
        figures = Figures(
            quarantined=quarantined,
            evicted_marks=write.evicted,
            untold_repeats=write.untold,
            emit_loops=looped(write.quarantine),
        )
        app.metrics.put(figures, ALARMING)


def _planned(arrival: Arrival, entity: Entity, app: Application) -> Write:
    """The plan's write. The command is noted while its rule runs; if it ended a process before, it is planned apart."""
    cmd, entities = arrival.request.cmd, {arrival.key: entity}
    if cmd in app.at_work.ended:
        return planned_apart([arrival], entities, app).writes[0]
    with app.at_work.noting(cmd):
        return planned([arrival], entities, app).writes[0]


def _place(last: Position, entity: Entity) -> Position:
    """The request's position, moved above the entity's mark if below it; at the mark, the request was saved before."""
    mark = entity.marks.get(SHARD)
    if mark is None or last >= mark.position:
        return last
    return Position(mark.position.sequence + 1 + randbits(64), 0)  # random, because it names a quarantine object


def _answer(write: Write, request: Request) -> HttpResponse:
    if write.receipts:
        reply = write.receipts[-1].reply
        return _response(STATUSES[reply.status], reply)
    last = counter_of(write.new_entity.writers, request.writer or "") if write.new_entity else -1
    if request.counter is not None and request.counter < last:
        return _response(HTTPStatus.CONFLICT, {"id": request.id, "error": OVERTAKEN})
    return _response(HTTPStatus.ALREADY_REPORTED, {"id": request.id})


def _not_now() -> HttpResponse:
    return _response(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "not now"})


def _response(status: HTTPStatus, body: Reply | Document) -> HttpResponse:
    headers = {"content-type": "application/json"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    return {"statusCode": status.value, "headers": headers, "body": msgspec.json.encode(body).decode()}


def handler(event: HttpEvent, context: composition.Context) -> HttpResponse:
    """Lambda's entry point."""
    app = application(is_direct=True)
    app.limit.within(context.get_remaining_time_in_millis() / 1000)
    try:
        return direct(event, app, half_of(context))
    finally:
        if app.traces is not None:
            app.traces.flush(context.get_remaining_time_in_millis() / 1000)


if composition.is_entry_point(f"{__name__}.{handler.__name__}"):
    application(is_direct=True)
