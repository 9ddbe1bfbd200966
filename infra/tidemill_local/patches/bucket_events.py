"""EventBridge's events of a bucket's objects, field by field as AWS documents them.

Room: local platform; fitted into the emulator by `install`. The emulator leaves out which version an event is of, gives
deletions a size, and the delete marker no ETag.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from __future__ import annotations

import json
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Detail: TypeAlias = "Mapping[str, Any]"

NOTHING = "d41d8cd98f00b204e9800998ecf8427e"
"""The MD5 of no bytes, which is a delete marker's ETag."""

_version: ContextVar[str | None] = ContextVar("version", default=None)
"""The version of the object that is being told of, in the thread that tells."""


def install() -> None:
    """Have rules of EventBridge hear of a bucket's objects what they hear on AWS.

    Needs of the emulator:
        s3._fire_s3_event: tells what happened to an object, in a thread of its own.
        eventbridge._dispatch_event: hands an event to the rules that it matches.
    """
    from ministack.services import eventbridge, s3

    require(s3, "_fire_s3_event")
    require(eventbridge, "_dispatch_event")
    s3._fire_s3_event = noting(s3._fire_s3_event)
    eventbridge._dispatch_event = completing(eventbridge._dispatch_event)


def noting(fire: Callable[..., None]) -> Callable[..., None]:
    """Notes the version of the object that an event is of."""

    def put_right(*args: Any, **named: Any) -> None:
        before = _version.set(named.get("version_id"))
        try:
            fire(*args, **named)
        finally:
            _version.reset(before)

    return put_right


def completing(dispatch: Callable[..., None]) -> Callable[..., None]:
    """Completes an event of a bucket before rules see it."""

    def put_right(event: dict[str, Any], *rest: Any, **named: Any) -> None:
        if event.get("Source") == "aws.s3" and event.get("DetailType") in ("Object Created", "Object Deleted"):
            detail = completed(json.loads(event["Detail"]), _version.get())
            event = {**event, "Detail": json.dumps(detail)}
        dispatch(event, *rest, **named)

    return put_right


def completed(detail: Detail, version: str | None) -> dict[str, Any]:
    """The detail of an event of an object, with the object's version, if it has one."""
    stored = {**detail["object"], **({"version-id": version} if version else {})}
    if "deletion-type" in detail:
        stored.pop("size", None)
        stored["etag"] = stored.get("etag") or NOTHING
    return {**detail, "object": stored}
