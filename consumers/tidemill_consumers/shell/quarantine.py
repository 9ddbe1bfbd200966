"""The quarantine: requests that can never be applied, whole, with their reason, as objects in S3.

Room: shell. The only S3 here.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tidemill_consumers.core.batch import Arrival, Quarantined
from tidemill_consumers.shell.calls import MapCalls, at_once

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


log = logging.getLogger(__name__)

CALLS_AT_ONCE = 16
"""An aggregate may hold thousands of requests to quarantine, and an invocation has its time-out."""


class Quarantine:
    """The quarantine bucket.

    An object is named by its request's place in the stream, so that storing it again changes nothing.

    Args:
        s3: a boto3 S3 client.
        bucket: the bucket's name.
        calls: makes several calls; by default some at once.
    """

    def __init__(self, s3: S3Client, bucket: str, calls: MapCalls | None = None) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._map = calls or at_once(CALLS_AT_ONCE, "quarantine")

    def store(self, quarantined: Iterable[Quarantined]) -> tuple[Quarantined, ...]:
        """Store each; those that could not be stored."""
        every = tuple(quarantined)
        stored = self._map(self._stored, every)
        return tuple(one for one, is_stored in zip(every, stored, strict=True) if not is_stored)

    def _stored(self, one: Quarantined) -> bool:
        try:
            self._s3.put_object(
                Bucket=self._bucket, Key=object_key(one), Body=body(one), ContentType="application/json"
            )
        except (ClientError, BotoCoreError) as error:
            log.warning("cannot quarantine %s: %s", object_key(one), error)
            return False
        return True


def object_key(one: Quarantined) -> str:
    """Where it lies: by the day it arrived and its place in the stream."""
    at = one.arrival
    day = datetime.fromtimestamp(at.arrived, UTC).strftime("%Y-%m-%d")
    return f"quarantine/dt={day}/{at.shard}/{at.position.sequence}-{at.position.sub}.json"


def body(one: Quarantined) -> bytes:
    """What is kept of it, as JSON: reason, place, key, id where it has one, and the payload in base64."""
    at = one.arrival
    request = at.request if isinstance(at, Arrival) else None
    return msgspec.json.encode(
        {
            "reason": one.reason,
            "id": request.id if request else None,
            "cmd": request.cmd if request else None,
            "key": at.key,
            "shard": at.shard,
            "sequence": str(at.position.sequence),
            "sub": at.position.sub,
            "arrived": at.arrived,
            "payload": b64encode(at.payload).decode(),
        }
    )
