"""EventBridge and Lambda's asynchronous invocations: at least once, late, more than once, in any order.

"Amazon S3 event notifications are designed to be delivered at least once", says
https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html. "Lambda attempts to run it two more
times, with a one-minute wait between the first two attempts, and two minutes between the second and third attempts",
says https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html. Then the function's destination
for failures has it, from where an operator sends it again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any, TypeAlias

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tests.simulation.photos.storage import BUCKET, PERMANENTLY, Version
from tests.simulation.world import Crash, World
from tidemill.contract.places import PHOTOS

Event: TypeAlias = dict[str, Any]

WAITS = (60.0, 120.0)
"""Seconds before the second and the third attempt."""

LATE = 0.5
"""Share of notifications that are late: those of a minute may stand behind others."""

EXPECTED = (Crash, ClientError, BotoCoreError, RuntimeError)
"""What an invocation may raise; the last are the functions' own errors."""

OPERATOR_SECONDS = 600.0
"""After which an operator has sent again what failed for good."""


class Bus:
    """What S3 tells of, on its way to a function.

    Args:
        world: the world.
        function: what is invoked with each event; whatever it raises is a failed attempt.
    """

    def __init__(self, world: World, function: Callable[[Event], None]) -> None:
        self._world = world
        self._function = function
        self.under_way = 0
        """Notifications that no attempt has come to its end for."""
        self.given_up = 0
        """Invocations that failed three times."""
        self.failures: list[str] = []
        """What invocations raised that no service's fault explains."""

    def tell(self, kind: str, reason: str, version: Version) -> None:
        """Have S3 tell of a version of a photo; the rule lets no other object's through."""
        if not version.name.startswith(PHOTOS):
            return
        event = event_of(kind, reason, version)
        chance = self._world.random
        for _ in range(1 + self._world.strikes("notification repeated")):
            late = chance.choice([5.0, 60.0, 900.0]) if self._world.strikes("notification late", LATE / 0.2) else 0.3
            self.under_way += 1
            self._world.after(chance.uniform(0.0, late), lambda: self._attempt(event, 0))

    def deliver(self, event: Event) -> None:
        """Invoke the function with an event, until it comes to its end."""
        self.under_way += 1
        self._attempt(event, 0)

    def _attempt(self, event: Event, failed: int) -> None:
        world = self._world

        def run() -> None:
            try:
                self._function(msgspec.json.decode(msgspec.json.encode(event)))
            except (Crash, Exception) as failure:
                again(failure)
            else:
                end()

        def end() -> None:
            if world.strikes("event delivered again after its end"):
                world.after(world.random.uniform(0.0, 30.0), lambda: self._attempt(event, 0))
            else:
                self.under_way -= 1

        def again(failure: BaseException) -> None:
            if not isinstance(failure, EXPECTED):
                self.failures.append(repr(failure))
            if failed < len(WAITS):
                world.after(WAITS[failed], lambda: self._attempt(event, failed + 1))
                return
            self.given_up += 1
            world.after(world.random.uniform(0.0, OPERATOR_SECONDS), lambda: self._attempt(event, 0))

        world.begin(run, stalls=world.strikes("slow invocation"))


def event_of(kind: str, reason: str, version: Version) -> Event:
    """S3's event as EventBridge has it: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html."""
    is_created = kind == "Object Created"
    deletion = kind if kind == PERMANENTLY else "Delete Marker Created"
    of_body = {"size": len(version.body or b"")} if is_created else {}
    detail: Event = {
        "version": "0",
        "bucket": {"name": BUCKET},
        "object": {
            "key": version.name,
            **of_body,
            "etag": version.etag.strip('"'),
            "version-id": version.id,
            "sequencer": version.sequencer,
        },
        "request-id": "N4N7GDK58NMKJ12R",
        "requester": "111122223333",
        "source-ip-address": "192.0.2.1",
        "reason": reason,
    }
    return {
        "version": "0",
        "id": f"17793124-05d4-b198-2fde-{version.id[-12:]:0>12}",
        "detail-type": kind if is_created else "Object Deleted",
        "source": "aws.s3",
        "account": "111122223333",
        "time": version.modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": detail if is_created else detail | {"deletion-type": deletion},
    }
