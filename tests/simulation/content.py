"""The content bucket in memory, and those who sweep it: what it holds, and what must never be missing from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from greenlet import getcurrent, greenlet

from tests.simulation.services import Table
from tests.simulation.world import Crash, World, error
from tidemill.contract.places import object_names
from tidemill_consumers.operations.sweep import Sweep

YOUNG = 2.0
"""Seconds that stand for the stream's retention: an object that is older is put again."""

SEGMENTS = 2
"""Parts that a sweep reads the table in: each is a call."""

LATE = 4.0
"""Seconds after which nothing comes any more of an invocation that has ended."""


@dataclass
class Version:
    """A version of an object; None as its data makes it a delete marker."""

    id: str
    stored: float
    data: bytes | None


class ContentBucket:
    """S3, as PutObject, HeadObject, ListObjectVersions and DeleteObjects of a bucket that keeps versions."""

    def __init__(self, world: World, table: Table) -> None:
        self._world = world
        self._table = table
        self._numbers = count(1)
        self.versions: dict[str, list[Version]] = defaultdict(list)
        """By name, the oldest first."""
        self.put_by: dict[greenlet, set[str]] = defaultdict(set)
        """By invocation, the names that it began to put."""
        self.puts = self.again = self.deleted = 0
        self.dangling = 0
        """How often an object was deleted that an item names."""

    def is_there(self, name: str) -> bool:
        """Whether the name can be read."""
        return any(one.data is not None for one in self.versions.get(name, [])[-1:])

    def put_object(
        self, Bucket: str, Key: str, Body: bytes, ContentType: str, ChecksumSHA256: str, IfNoneMatch: str = ""
    ) -> dict[str, Any]:
        self.put_by[getcurrent()].add(Key)

        def act() -> bool:
            if IfNoneMatch and self.is_there(Key):
                return False
            self.again += Key in self.versions
            self.puts += 1
            self.versions[Key].append(Version(str(next(self._numbers)), self._world.now, Body))
            return True

        if not self._world.call("objects", act):
            raise error("PreconditionFailed")
        return {"ETag": '"e"'}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        def act() -> float | None:
            return self.versions[Key][-1].stored if self.is_there(Key) else None

        stored = self._world.call("objects' age", act)
        if stored is None:
            raise error("404")
        return {"LastModified": datetime.fromtimestamp(stored, UTC)}

    def list_object_versions(self, Bucket: str, Prefix: str, **marker: str) -> dict[str, Any]:
        """All of a prefix in one page. Looking changes nothing, so it has no faults; but others act meanwhile."""
        self._look()
        found = [
            {"Key": name, "VersionId": one.id, "Size": 1, "LastModified": datetime.fromtimestamp(one.stored, UTC)}
            for name in sorted(self.versions)
            if name.startswith(Prefix)
            for one in reversed(self.versions[name])
            if one.data is not None
        ]
        return {"Versions": found, "IsTruncated": False}

    def delete_objects(self, Bucket: str, Delete: dict[str, Sequence[dict[str, str]]]) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            return {"Deleted": [dict(one) for one in Delete["Objects"] if self._delete(**one)]}

        deleted: dict[str, Any] = self._world.call("sweep", act)
        return deleted

    def _delete(self, Key: str, VersionId: str | None = None) -> bool:
        if VersionId is None:
            self.versions[Key].append(Version(str(next(self._numbers)), self._world.now, None))
        self.versions[Key] = [one for one in self.versions[Key] if one.id != VersionId]
        self.deleted += 1
        if not self.is_there(Key):
            self.dangling += any(Key in names_in(item) for item in self._table.items.values())
        return True

    def _look(self) -> None:
        self._world.sleep(self._world.random.uniform(0.0, 0.1))


class Shelves:
    """DynamoDB, as Scan of the entities' table by segments, in small pages."""

    def __init__(self, world: World, table: Table) -> None:
        self._world = world
        self._table = table

    def scan(
        self,
        TableName: str,
        ConsistentRead: bool,
        Segment: int,
        TotalSegments: int,
        ExclusiveStartKey: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        assert ConsistentRead
        self._world.sleep(self._world.random.uniform(0.0, 0.1))
        after = ExclusiveStartKey["pk"]["S"] if ExclusiveStartKey else ""
        of_segment = (key for key in self._table.items if len(key) % TotalSegments == Segment and key > after)
        some = sorted(of_segment)[:20]
        last = {"LastEvaluatedKey": {"pk": {"S": some[-1]}}} if len(some) == 20 else {}
        return {"Items": [self._table.items[key] for key in some], **last}


def names_in(item: dict[str, Any]) -> set[str]:
    """The objects that an item's document names."""
    return object_names(msgspec.json.encode(item.get("doc")))


class Sweepers:
    """Those who sweep now and then; each may end at any call that deletes.

    In the sweep's code a day stands between the retention and the age of what is deleted, because that is longer than
    an invocation. Here it is as long as the invocation that is at work for longest, and what may come of one late.

    Args:
        oldest: when that of the invocations began that is at work for longest, or may act late.
    """

    def __init__(self, world: World, table: Table, content: ContentBucket, oldest: Callable[[], float]) -> None:
        self._world = world
        self._oldest = oldest
        self._content: Any = content
        self._table: Any = Shelves(world, table)

    def begin(self) -> None:
        """Sweep once."""
        self._world.begin(self._run)

    def _run(self) -> None:
        world = self._world
        slack = world.now - self._oldest() + LATE
        one = Sweep(self._content, "content", self._table, "entities", YOUNG, map, lambda: world.now, slack, SEGMENTS)
        with suppress(Crash, ClientError, BotoCoreError, KeyError):
            for _ in one.delete(one.unnamed(one.find())):
                pass
