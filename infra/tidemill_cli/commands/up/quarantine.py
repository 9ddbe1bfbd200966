"""The quarantine of a stack that is watched: its newest objects, and redriving one of them.

Room: command line.
Tests: tests/e2e/test_page.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_cli.commands.redrive.put_back import put_back_silently
from tidemill_cli.commands.redrive.shown import iso
from tidemill_consumers.adapters.quarantine import PREFIX
from tidemill_consumers.operations.newest import Newest
from tidemill_consumers.operations.redrive import Found, Objects
from tidemill_page import QuarantinedObject, Redrove

LOOK_SECONDS: Final = 5.0
"""Between two looks at the bucket, unless something is known to have changed it."""

LONGEST: Final = 1_000
"""Characters of a client's text that are kept: each second all of it goes to each open page."""


class WatchedQuarantine:
    """A stack's quarantine.

    Args:
        s3: a boto3 S3 client.
        bucket: the quarantine's bucket.
        objects: reads and moves its objects.
        stream: the name of the stream that requests go back to.
        kinesis: makes a boto3 client as a Producer needs it.
        seconds: between two looks.
        clock: a monotonic one.

    Attributes:
        has_changed: whether something was redriven since the last look.
    """

    def __init__(
        self,
        s3: Any,
        bucket: str,
        objects: Objects,
        stream: str,
        kinesis: Callable[[], Any],
        seconds: float = LOOK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._newest = Newest(s3, bucket, objects)
        self._objects = objects
        self._stream = stream
        self._kinesis = kinesis
        self._seconds = seconds
        self._clock = clock
        self._looked_at = -seconds
        self._count: int | None = None
        self._shown: list[QuarantinedObject] = []
        self.has_changed = False

    def newest(self, count: int = 0) -> list[QuarantinedObject]:
        """The objects that were stored last, the newest first; as they were, while S3 does not answer.

        Args:
            count: a number of quarantined requests: if it is another one than the last time, the bucket is looked at.
        """
        now = self._clock()
        if self.has_changed or count != self._count or now - self._looked_at >= self._seconds:
            self.has_changed, self._count, self._looked_at = False, count, now
            try:
                self._shown = [_shown(one) for one in self._newest.look()]
            except (ClientError, BotoCoreError):
                self._count = None  # so that the next look asks again
        return self._shown

    def redrive(self, object_key: str) -> Redrove:
        """Put one object back on the stream; says what came of it, or why it is refused."""
        if not object_key.startswith(PREFIX):
            return Redrove(done=False, text="it is no object of the quarantine")
        try:
            return self._put_back(object_key)
        except (ClientError, BotoCoreError) as error:
            return Redrove(done=False, text=f"{error}")
        finally:
            self.has_changed = True

    def _put_back(self, object_key: str) -> Redrove:
        found = self._objects.named([object_key])
        for one in found:
            if one.problem is not None:
                return Redrove(done=False, text=f"it cannot be redriven: {one.problem}")
        for became in put_back_silently(self._objects, self._stream, self._kinesis(), found):
            if became.outcome == "redriven":
                return Redrove(done=True, text="put back on the stream; it is applied once, late, and answered again")
            if became.outcome == "failed":
                return Redrove(done=False, text=f"not put back: {became.problem}")
        return Redrove(done=True, text="it had been put back before")


def _shown(one: Found) -> QuarantinedObject:
    kept, problem = one.kept, one.problem and one.problem[:LONGEST]
    if kept is None:
        return QuarantinedObject(one.object_key, "", problem or "", None, "", None, problem)
    reason, cmd, key, request_id = (text and text[:LONGEST] for text in (kept.reason, kept.cmd, kept.key, kept.id))
    return QuarantinedObject(one.object_key, iso(kept.arrived), reason or "", cmd, key or "", request_id, problem)
