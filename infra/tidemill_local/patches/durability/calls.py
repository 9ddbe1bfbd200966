"""Calls of AWS's API: which ones change the kept state, and how a call is journaled and replayed.

Room: local platform. `effect_of` decides and is pure; `watching` wraps the emulator's dispatcher of all services.
"""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tidemill_local.patches.durability import drawn_ids
from tidemill_local.patches.durability.queues import BY_HANDLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tidemill_local.patches.durability.recorder import Recorder

Call: TypeAlias = "Callable[..., Awaitable[tuple[Any, ...]]]"
"""One of the emulator's handlers: method, path, headers, body and query in, status, headers and body out."""

JOURNALED = ("dynamodb", "sqs", "sns")
"""Services whose changing calls are journaled. Puts on a stream are journaled too, in a form of their own."""

_READS = (
    *("Get", "List", "Describe", "BatchGet", "Query", "Scan", "TransactGet", "Receive", "SubscribeToShard", "Lookup"),
    *("Search", "Select", "Filter", "Check", "Simulate", "Validate", "Decrypt", "Encrypt", "GenerateDataKey", "Verify"),
)
_NO_READS = ("GetId",)
"""Calls that are named as if they read; this one makes an identity."""

_UNKEPT = ("sts",)
"""Services that do not change the kept state."""

_PUTS = ("PutRecord", "PutRecords")

_CONTENTS = (
    *("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"),
    *("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"),
    *("SendMessage", "SendMessageBatch", "PurgeQueue", "Publish", "PublishBatch"),
)
"""Journaled calls that need no snapshot: the things they make have no name or time of their own."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Effect:
    """How the effect of a call is kept.

    Attributes:
        journaled: whether the call itself is journaled, to be replayed.
        snapshot: when a snapshot must follow, if at all.
    """

    journaled: bool = False
    snapshot: Literal["at once", "soon"] | None = None


def effect_of(service: str, action: str, path: str) -> Effect:
    """How the effect of a call is kept that was neither a GET nor refused."""
    reads = action.startswith(_READS) and action not in _NO_READS
    if reads or service in _UNKEPT or action in _PUTS or action in BY_HANDLE:
        return Effect()
    if service in JOURNALED:
        return Effect(journaled=True, snapshot=None if action in _CONTENTS else "at once")
    if service == "kinesis":
        return Effect(snapshot="at once")  # a record may be put on the new shard next
    if (service == "lambda" and path.endswith("/invocations")) or _is_object(service, path):
        return Effect()
    return Effect(snapshot="soon")


def watching(dispatch: Call, recorder: Recorder) -> Call:
    """The emulator's dispatcher of calls; each call's effect is kept before its caller is answered."""

    async def watched(
        method: str, path: str, headers: dict[str, str], body: bytes, query: Any, request_id: str
    ) -> tuple[Any, ...]:
        ids = drawn_ids.noted()
        answer = await dispatch(method, path, headers, body, query, request_id)
        if method in ("GET", "HEAD") or answer[0] >= 300:
            return answer
        service = service_of(headers)
        effect = effect_of(service, action_of(headers, body), path)
        try:
            if effect.journaled:
                recorder.append({"service": service, **_entry(method, path, headers, body, query), "ids": ids})
            if effect.snapshot == "at once":
                recorder.snapshot_if_settled()
            elif effect.snapshot == "soon":
                recorder.snapshot_soon()
        except OSError as error:  # a full disk
            return _not_kept(headers, error)
        return answer

    return watched


def call_again(handle: Call, entry: dict[str, Any]) -> None:
    """Replay a call. It runs synchronously, because no journaled call waits for anything."""
    body = base64.b64decode(entry["body"])
    with drawn_ids.given(entry["ids"]):
        handling = handle(entry["method"], entry["path"], entry["headers"], body, entry["query"])
        try:
            handling.send(None)  # type: ignore[attr-defined] # a coroutine
        except StopIteration as end:
            if end.value[0] >= 300:
                log.warning("a call of the journal is refused now: %s", end.value)
        except Exception:
            log.exception("a call of the journal could not be handled again")
        else:
            log.warning("a call of the journal to %s waits for something; it is left out", entry["service"])


def service_of(headers: dict[str, str]) -> str:
    """The service that a signed request is for, by its credential's scope."""
    _, _, scope = headers.get("authorization", "").partition("Credential=")
    parts = scope.partition(",")[0].split("/")
    return parts[3] if len(parts) > 4 else ""


def action_of(headers: dict[str, str], body: bytes) -> str:
    """The call's name from a header or a form; empty if its protocol has none there."""
    target = headers.get("x-amz-target", "").rpartition(".")[2]
    if target or "urlencoded" not in headers.get("content-type", ""):
        return target
    return parse_qs(body.decode(errors="replace")).get("Action", [""])[0]


def _entry(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> dict[str, Any]:
    kept = {name: value for name, value in headers.items() if name in ("x-amz-target", "content-type", "host")}
    return {"method": method, "path": path, "headers": kept, "query": query, "body": base64.b64encode(body).decode()}


def _is_object(service: str, path: str) -> bool:
    """Whether a call is about an object of S3, which the emulator writes to disk itself."""
    return service == "s3" and "/" in path.strip("/")


def _not_kept(headers: dict[str, str], error: OSError) -> tuple[int, dict[str, str], bytes]:
    """The error for a call that was carried out but cannot be kept, in the caller's protocol."""
    if "urlencoded" in headers.get("content-type", ""):
        detail = f"<Error><Code>InternalFailure</Code><Message>{escape(str(error))}</Message></Error>"
        return 500, {"Content-Type": "text/xml"}, f"<ErrorResponse>{detail}</ErrorResponse>".encode()
    told = json.dumps({"__type": "InternalFailure", "message": str(error)})
    return 500, {"Content-Type": "application/x-amz-json-1.0"}, told.encode()
