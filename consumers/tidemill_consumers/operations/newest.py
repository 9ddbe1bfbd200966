"""The newest objects of the quarantine, followed while it grows, for whoever watches a stack.

Room: operations. Uses S3 only.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tidemill_consumers.adapters.quarantine import PREFIX
from tidemill_consumers.operations.redrive import Found, Objects

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MOST_CALLS: Final = 64
"""Lists that one look asks S3 for. Where they are too few, the next look goes on behind them."""


class _Entry(NamedTuple):
    stored: datetime
    object_key: str


class Newest:
    """Says at each look which objects were stored last. A look lists those, and what came since the last one.

    S3 lists from the oldest on, so the first look at a day lists all of it.

    Args:
        s3: a boto3 S3 client.
        bucket: the quarantine's bucket.
        objects: reads them.
        count: objects at most.
    """

    def __init__(self, s3: S3Client, bucket: str, objects: Objects, count: int = 20) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._objects = objects
        self._count = count
        self._before: dict[str, str] = {}
        """For each shard of a day, the key behind which its newest objects are."""
        self._read: dict[str, Found] = {}
        self._calls_left = 0

    def look(self) -> list[Found]:
        """The objects, the newest first.

        Raises:
            ClientError, BotoCoreError: a call of S3 failed.
        """
        self._calls_left = MOST_CALLS
        entries: list[_Entry] = []
        for day in reversed(list(self._folders(PREFIX))):
            for folder in self._leaves(day):
                entries += self._newest_of(folder)
            if len(entries) >= self._count:
                break
        keys = [one.object_key for one in islice(sorted(entries, reverse=True), self._count)]
        fresh = self._objects.named([one for one in keys if one not in self._read])
        known = self._read | {one.object_key: one for one in fresh}
        self._read = {one: known[one] for one in keys if one in known}
        return list(self._read.values())

    def _newest_of(self, folder: str) -> list[_Entry]:
        """The newest objects of a shard's day; begins anew once some of those that it knew are gone."""
        entries = self._listed(folder, self._before.get(folder, folder))
        if len(entries) < self._count and folder in self._before and self._calls_left > 0:
            del self._before[folder]
            entries = self._listed(folder, folder)
        if len(entries) > self._count:
            self._before[folder] = entries[-self._count - 1].object_key
        return entries[-self._count :]

    def _listed(self, folder: str, after: str) -> list[_Entry]:
        pages = self._pages(Prefix=folder, StartAfter=after)
        return [_Entry(one["LastModified"], one["Key"]) for page in pages for one in page.get("Contents", ())]

    def _leaves(self, folder: str) -> Iterator[str]:
        """The folders that objects are in: a shard's name may have several parts."""
        below = list(self._folders(folder))
        if not below:
            yield folder
        for one in below:
            yield from self._leaves(one)

    def _folders(self, prefix: str) -> Iterator[str]:
        for page in self._pages(Prefix=prefix, Delimiter="/"):
            yield from (one["Prefix"] for one in page.get("CommonPrefixes", ()))
            if page.get("Contents"):
                return  # a folder of objects has no others

    def _pages(self, **asked: Any) -> Iterator[Any]:
        more = True
        while more and self._calls_left > 0:
            self._calls_left -= 1
            page = self._s3.list_objects_v2(Bucket=self._bucket, **asked)
            yield page
            more = bool(page.get("IsTruncated"))
            asked["ContinuationToken"] = page.get("NextContinuationToken")
