"""The objects that rules return, in the content bucket: each under the SHA-256 of its bytes, so it is stored once.

Room: adapters. Stores them; `operations.sweep` deletes those that nothing names any more.

An object that is there already need not be stored again, unless the sweep may be about to delete it: one that nothing
has named for a while is put again, as a new version. The sweep deletes versions, and those only that were old before it
looked at the table. So a saved document never names an object that is gone.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tidemill.contract.places import OBJECTS
from tidemill_consumers.adapters.calls import MapCalls, Troubles, at_once
from tidemill_consumers.core.batch import Object, Write

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CALLS_AT_ONCE = 16
"""Several, because a batch may have thousands of objects and an invocation's time is limited."""

IS_THERE = ("PreconditionFailed", "ConditionalRequestConflict")
"""Answers to a put that must not replace anything: the object is there, or somebody else puts or deletes it just now.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""


class ObjectStore:
    """The objects in the content bucket.

    Args:
        s3: a boto3 S3 client.
        bucket: the bucket's name.
        retention: seconds that the stream keeps a record. An object that is older is put again, because it may be
            swept: `operations.sweep` waits longer than this.
        calls: makes several calls; by default some at once.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        s3: S3Client,
        bucket: str,
        retention: float,
        calls: MapCalls | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._retention = retention
        self._map = calls or at_once(CALLS_AT_ONCE, "objects")
        self._clock = clock
        self._troubles = Troubles("cannot store")
        self.count = 0
        """Number of objects that were stored, or were there already."""
        self.puts = 0
        """Number of calls to put one."""

    def store(self, writes: Sequence[Write]) -> set[str]:
        """Store what the writes' documents name; the keys of which an object could not be stored."""
        of_keys = {write.key: {one.name for one in write.objects} for write in writes if write.objects}
        objects = {one.name: one for write in writes for one in write.objects}
        stored = {name for name, is_stored in self._map(self._stored, objects.values()) if is_stored}
        self._troubles.tell()
        self.count += len(stored)
        return {key for key, names in of_keys.items() if not names <= stored}

    def _stored(self, one: Object) -> tuple[str, bool]:
        """The object's name, and whether it is stored."""
        try:
            return one.name, self._put_new(one) or self._is_young(one.name) or self._put(one)
        except Exception as error:  # no answer, or one that cannot be read
            self._troubles.note(one.name, error)
            return one.name, False

    def _put_new(self, one: Object) -> bool:
        """Put an object unless it is there."""
        try:
            return self._put(one, IfNoneMatch="*")
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] not in IS_THERE:
                raise
            return False

    def _is_young(self, name: str) -> bool:
        """Whether an object is there that no sweep may be about to delete; one that cannot be seen is put again."""
        try:
            head = self._s3.head_object(Bucket=self._bucket, Key=name)
        except ClientError:
            return False
        return self._clock() - head["LastModified"].timestamp() <= self._retention

    def _put(self, one: Object, **condition: Any) -> bool:
        """Put an object; S3 looks whether the bytes are those that the name is of."""
        self.puts += 1
        answer = self._s3.put_object(
            Bucket=self._bucket,
            Key=one.name,
            Body=one.data,
            ContentType=one.content_type,
            ChecksumSHA256=b64encode(bytes.fromhex(one.name.removeprefix(OBJECTS))).decode(),
            **condition,
        )
        return bool(answer["ETag"])  # an answer from something other than S3 has none
