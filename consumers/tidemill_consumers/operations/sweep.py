"""Sweep: deletes objects that no document names any more, and those that were stored before a crash and never named.

Room: operations. Uses S3 and the entities' table.

A sweep runs beside functions that store and save, and must not delete what they are about to name:

- Only versions are deleted that are older than the stream keeps records, and a day. A redelivery that names such an
  object comes too late to be, and whoever stores an old object anew puts a new version (`adapters.content.objects`).
- The table is read after the age is reckoned, consistently. Between storing and saving lies an invocation, not a day.
- By its version, so that a new version of the same name stays.

Every text of an item that has an object's name counts, so a sweep rather leaves too much.
"""

from __future__ import annotations

import logging
import re
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tidemill.contract.places import OBJECTS, object_names
from tidemill_consumers.adapters.calls import MapCalls, at_once
from tidemill_consumers.core.batch import UNLIMITED, Time

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

log = logging.getLogger(__name__)

DAY = 86_400.0
"""Seconds that an object stays beyond the stream's records: longer than any invocation, and than clocks differ."""

CALLS_AT_ONCE = 8

SEGMENTS = 32
"""Parts that the table is read in, some at once."""

AT_A_TIME = 1_000
"""Versions of one DeleteObjects call, its limit."""

DIGITS = "0123456789abcdef"

NUMBER_DIGITS = 16
"""Digits of a name that stand for it in memory, so that ten million take 90 MB. Two names that share them are kept if
one is named."""

_IS_OBJECT = re.compile(rf"{OBJECTS}[0-9a-f]{{64}}").fullmatch


class Unfinished(Exception):
    """There was not enough time to look at everything; nothing was deleted that may be named."""


class Version(NamedTuple):
    """A version of an object: its name, S3's id of it, and its bytes."""

    name: str
    id: str
    size: int


class Old:
    """The names of old objects, and which of them something names.

    Attributes:
        before: they were stored before this time, in seconds since 1970.
    """

    def __init__(self, before: float, numbers: Mapping[str, array[int]]) -> None:
        self.before = before
        self._numbers = numbers
        self._is_named = {digit: bytearray(len(of_digit)) for digit, of_digit in numbers.items()}

    def __len__(self) -> int:
        return sum(map(len, self._numbers.values()))

    @property
    def unnamed(self) -> int:
        """How many nothing names."""
        return sum(of_digit.count(0) for of_digit in self._is_named.values())

    def strike(self, name: str) -> None:
        """Record that something names an object."""
        digit, place = self._place(name)
        if place is not None:
            self._is_named[digit][place] = 1

    def is_unnamed(self, name: str) -> bool:
        """Whether it is an old object that nothing names."""
        digit, place = self._place(name)
        return place is not None and not self._is_named[digit][place]

    def _place(self, name: str) -> tuple[str, int | None]:
        number = number_of(name)
        digit = name[len(OBJECTS)]
        numbers = self._numbers[digit]
        place = bisect_left(numbers, number)
        return digit, place if place < len(numbers) and numbers[place] == number else None


def number_of(name: str) -> int:
    """The number that stands for an object's name."""
    return int(name[len(OBJECTS) : len(OBJECTS) + NUMBER_DIGITS], 16)


class Sweep:
    """The objects of a content bucket, and the table whose documents name them.

    Args:
        s3: a boto3 S3 client.
        bucket: the content bucket, which keeps versions.
        dynamodb: a boto3 DynamoDB client.
        table: the entities' table.
        retention: seconds that the stream keeps a record.
        calls: makes several calls; by default some at once.
        clock: seconds since 1970.
        slack: seconds beyond the retention.
        segments: parts that the table is read in.
    """

    def __init__(
        self,
        s3: S3Client,
        bucket: str,
        dynamodb: DynamoDBClient,
        table: str,
        retention: float,
        calls: MapCalls | None = None,
        clock: Callable[[], float] = time.time,
        slack: float = DAY,
        segments: int = SEGMENTS,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._dynamodb = dynamodb
        self._table = table
        self._age = retention + slack
        self._map = calls or at_once(CALLS_AT_ONCE, "sweep")
        self._clock = clock
        self._segments = segments

    def find(self, time: Time = UNLIMITED, tell: Callable[[str], None] = lambda text: None) -> Old:
        """The old objects, with those marked that an item of the table names.

        Args:
            time: once it is over, no further page is read.
            tell: is told how far it is.

        Raises:
            Unfinished: the time was over.
        """
        before = self._clock() - self._age

        def listed(digit: str) -> tuple[str, array[int]]:
            numbers: array[int] = array("Q")
            for version in self._listed(before, digit, time):
                number = number_of(version.name)  # S3 lists in the order of names
                if not numbers or numbers[-1] != number:
                    numbers.append(number)
            return digit, numbers

        old = Old(before, dict(self._map(listed, DIGITS)))
        tell(f"{len(old):,} objects are old")
        if len(old):
            struck = self._map(lambda segment: self._strike(old, segment, time), range(self._segments))
            for done, _ in enumerate(struck, 1):
                tell(f"{len(old):,} objects are old; {done} of {self._segments} parts of the table read")
        return old

    def unnamed(self, old: Old, time: Time = UNLIMITED) -> Iterator[Version]:
        """The versions to delete: the old ones of old objects that nothing names."""
        for digit in DIGITS:
            for version in self._listed(old.before, digit, time):
                if old.is_unnamed(version.name):
                    yield version

    def delete(self, versions: Iterable[Version]) -> Iterator[list[Version]]:
        """Delete versions, some thousand a call; yields those of each call that are gone."""
        every = iter(versions)
        while some := list(islice(every, AT_A_TIME)):
            wanted: Any = [{"Key": one.name, "VersionId": one.id} for one in some]
            answer = self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": wanted})
            gone = {(one["Key"], one["VersionId"]) for one in answer.get("Deleted", [])}
            for problem in answer.get("Errors", [])[:1]:
                log.warning("cannot delete %d objects, the first: %s", len(answer["Errors"]), problem)
            yield [one for one in some if (one.name, one.id) in gone]

    def _listed(self, before: float, digit: str, time: Time) -> Iterator[Version]:
        """The versions of objects that were stored before a time, whose names begin with a digit."""
        wanted: Any = {"Bucket": self._bucket, "Prefix": f"{OBJECTS}{digit}"}
        while True:
            page = self._s3.list_object_versions(**wanted)
            for one in page.get("Versions", []):
                if one["LastModified"].timestamp() < before and _IS_OBJECT(one["Key"]):
                    yield Version(one["Key"], one["VersionId"], one["Size"])
            if not page["IsTruncated"]:
                return
            if time.is_over:
                raise Unfinished("there was no time to list all objects")
            wanted |= {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def _strike(self, old: Old, segment: int, time: Time) -> None:
        """Mark the objects that a part of the table names."""
        scan: Any = {
            "TableName": self._table,
            "ConsistentRead": True,
            "Segment": segment,
            "TotalSegments": self._segments,
        }
        while True:
            page = self._dynamodb.scan(**scan)
            for name in object_names(msgspec.json.encode(page["Items"])):
                old.strike(name)
            if not page.get("LastEvaluatedKey"):
                return
            if time.is_over:
                raise Unfinished("there was no time to read the whole table")
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"]
