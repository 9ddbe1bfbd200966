"""The direct function: one request comes by HTTP, is applied at once by the same rules, and answered in the response.

Room: composition root. It is what the stream is measured against, and so is applied as exactly once: the same plan, the
same conditional write. A writer's requests of one key keep their order if it awaits each answer.

| status | it says |
|---|---|
| 200 | accepted; the body is the reply |
| 208 | a repeat whose outcome is not kept: it was settled before |
| 400 | no request, or one without a key: nothing is kept of it |
| 409 | rejected by its rule, and the body is the reply; or overtaken by its writer's next, and the body has no status |
| 422 | quarantined; the body is the reply |
| 503 | not now: nothing is lost by sending the same again |

A key should take one way only, this or the stream: what its entity emits is in order within each of them, not between.
"""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Mapping
from http import HTTPStatus
from secrets import randbits
from typing import Any, NotRequired, TypedDict
from uuid import UUID

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tidemill.request import Document, RefusedRequest, Reply, Request, decode
from tidemill.writer import uuid7
from tidemill_consumers.apply import ROUNDS, Application, application
from tidemill_consumers.core.batch import Arrival, Entity, Position, Write, fresh, with_request
from tidemill_consumers.core.plan import plan
from tidemill_consumers.shell.entities import Unloadable
from tidemill_consumers.shell.metrics import put_metric

SHARD = "direct"
"""Where these requests stand, in an entity's marks and in the quarantine."""

STATUSES = {
    "accepted": HTTPStatus.OK,
    "rejected": HTTPStatus.CONFLICT,
    "quarantined": HTTPStatus.UNPROCESSABLE_ENTITY,
}

OVERTAKEN = "a later request of its writer was applied before it: if it was not settled by then, it is not applied"

log = logging.getLogger(__name__)


class Context(TypedDict):
    """What the API knows of the request: its own clock in milliseconds since 1970, and who asks."""

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
    """Its answer."""

    statusCode: int
    headers: Mapping[str, str]
    body: str


def direct(event: HttpEvent, app: Application) -> HttpResponse:
    """Apply one request."""
    context = event["requestContext"]
    try:
        arrival = _arrival(_payload(event), context["timeEpoch"])
    except RefusedRequest as error:
        return _response(HTTPStatus.BAD_REQUEST, {"error": str(error)})
    try:
        return _apply(arrival, _caller(context), app)
    except (Unloadable, ClientError, BotoCoreError) as error:
        log.warning("cannot apply %s: %s", arrival.request.id, error)
        return _not_now()


def _payload(event: HttpEvent) -> bytes:
    body = event.get("body") or ""
    return b64decode(body) if event.get("isBase64Encoded") else body.encode(errors="surrogatepass")


def _arrival(payload: bytes, now: int) -> Arrival:
    request = decode(payload)
    if request.key is None:
        raise RefusedRequest("no key")
    position = Position(UUID(uuid7(now, randbits(74))).int, 0)
    arrival = Arrival(SHARD, position, now / 1000, request.key, request, payload)
    return with_request(arrival, request)


def _caller(context: Context) -> str:
    """Who sends it, if the request does not say: there is always somebody who waits for this response."""
    iam = context.get("authorizer", {}).get("iam") or {}
    identity = (iam.get("cognitoIdentity") or {}).get("identityId")
    return str(identity or iam.get("userArn") or SHARD)


def _apply(arrival: Arrival, caller: str, app: Application) -> HttpResponse:
    """The answer once the write is saved and what it emits has left."""
    (arrival,) = app.trust.verified([arrival])
    if arrival.request.client is None:
        arrival = with_request(arrival, msgspec.structs.replace(arrival.request, client=caller))
    for _ in range(ROUNDS):
        entity = app.entities.load([arrival.key]).get(arrival.key) or Entity(arrival.key)
        # What the key's last request emitted may not have left: its sender may be gone, and those to come must not
        # overtake it. Whoever has it already knows the repeat.
        if app.emits.send([one for one in entity.emits if one.shard == SHARD]):
            break
        arrival = msgspec.structs.replace(arrival, position=_place(arrival.position, entity))
        with app.limit.watching() as watch:
            (write,) = plan([arrival], {arrival.key: entity}, app.rules, app.retention, watch).writes
        if app.quarantine.store(write.quarantine):
            break
        if write.becomes and app.entities.save([write]):
            arrival = fresh(arrival)
            continue
        if write.evicted:
            put_metric("EvictedWriters", write.evicted)
        return _not_now() if app.emits.send(write.emits) else _answer(write, arrival.request)
    return _not_now()


def _place(last: Position, entity: Entity) -> Position:
    """Behind all that the entity has taken by this way; or where this request was saved last, though nobody said so."""
    mark = entity.marks.get(SHARD)
    if mark is None or last >= mark.position:
        return last
    return Position(mark.position.sequence + 1 + randbits(64), 0)  # at random, for the quarantine has it as a name


def _answer(write: Write, request: Request) -> HttpResponse:
    if write.receipts:
        reply = write.receipts[-1].reply
        return _response(STATUSES[reply.status], reply)
    last = write.becomes and write.becomes.writers.get(request.writer or "")
    if last and request.counter is not None and request.counter < last.counter:
        return _response(HTTPStatus.CONFLICT, {"id": request.id, "error": OVERTAKEN})
    return _response(HTTPStatus.ALREADY_REPORTED, {"id": request.id})


def _not_now() -> HttpResponse:
    return _response(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "not now"})


def _response(status: HTTPStatus, body: Reply | Document) -> HttpResponse:
    headers = {"content-type": "application/json"}
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = "1"
    return {"statusCode": status.value, "headers": headers, "body": msgspec.json.encode(body).decode()}


def handler(event: HttpEvent, context: object) -> HttpResponse:
    """Lambda's entry."""
    return direct(event, application(remembers=False))  # one request, one key, and many environments
