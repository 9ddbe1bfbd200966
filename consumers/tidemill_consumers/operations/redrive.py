"""Redrive: finds objects of the quarantine and puts their requests back on the stream.

Room: operations. Uses S3 only; the caller says how to put a request on the stream.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from tidemill.contract.request import RefusedRequest, Request
from tidemill_consumers.adapters.calls import MapCalls, at_once
from tidemill_consumers.adapters.quarantine import MOST_BYTES, PREFIX, Kept, day_of, read, redriven
from tidemill_consumers.core.folding.depth import LOOP
from tidemill_consumers.core.folding.fold import UNTOLD
from tidemill_consumers.core.folding.writers import MAX_REDRIVEN
from tidemill_consumers.core.trust import Seals

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

log = logging.getLogger(__name__)

DONE_PREFIX = "redriven/"
"""Prefix of objects whose requests were put back."""

CALLS_AT_ONCE = 16

READ_AT_ONCE = 128
"""Objects that are in memory at once while `find` reads them."""

STEP = 512
"""Objects that are put back before the first of them is moved."""

IN_DOUBT = MAX_REDRIVEN // 2
"""Objects of one key in a step, at most. After a crash they are put back once more, and their entity must still
remember them, even if another redrive runs at the same time."""

MAY_BE_REPEAT = (
    f"{UNTOLD}: it may have been applied. If the archive has its id once, it was not: redrive it by --untold"
)
"""Why a request is not put back unless that is asked for."""

MAY_LOOP = f"{LOOP}: it would go round again, as often as before. If the rules are mended, redrive it by --loops"
"""Why a follow-up request that too many emits led to is not put back unless that is asked for."""

HELD_BACK = "not put back, for one of its key before it could not be put back, or not be moved"
"""Why an object waits for the next run."""

Wait: TypeAlias = Callable[[], str | None]
"""Waits until a request is on the stream: None, or why it is not."""

Put: TypeAlias = Callable[[Request], Wait]
"""Begins to put a request on the stream. Requests of one key must arrive in the order given."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter of objects; by default all pass. Times in seconds since 1970; `until` is exclusive."""

    reason: str = ""
    """A substring of the reason."""
    key: str | None = None
    since: float | None = None
    until: float | None = None
    untold: bool = False
    """Whether requests may be put back that cannot be told from repeats."""
    loops: bool = False
    """Whether follow-up requests may be put back that too many emits led to; their depth is counted from 0 again."""

    def takes(self, kept: Kept | None) -> bool:
        """Whether the object passes; an unreadable one (None) does only if there is no filter."""
        if kept is None:
            return self == Wanted(untold=self.untold, loops=self.loops)
        return (
            any(self.reason in one.reason and self.key in (None, one.key) for one in kept.all_parts)
            and (self.since is None or kept.arrived >= self.since)
            and (self.until is None or kept.arrived < self.until)
        )


@dataclass(frozen=True, slots=True)
class Found:
    """An object of the quarantine.

    Attributes:
        object_key: its key in the bucket.
        kept: its content without the payloads; None if it cannot be read.
        problem: why it cannot be redriven; None if it can.
        count: the number of its parts, each of which should have been a request.
    """

    object_key: str
    kept: Kept | None
    problem: str | None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Redriven:
    """An object's outcome: put on the stream and moved, gone before, or still there for the reason in `problem`."""

    object_key: str
    outcome: Literal["redriven", "gone", "failed"]
    problem: str | None = None


class Unreadable(BotoCoreError):
    """The answer of S3, or of something in its place, does not tell the call's outcome."""

    fmt = "the answer of S3 cannot be read: {problem}"


class Objects:
    """The objects of the quarantine bucket.

    Every method raises ClientError or BotoCoreError if a call of S3 fails.

    Args:
        s3: a boto3 S3 client.
        bucket: the bucket's name.
        calls: makes several calls; by default some at once.
        seals: the application's; without a secret there are none, and signed requests stay where they are.
    """

    def __init__(self, s3: S3Client, bucket: str, calls: MapCalls | None = None, seals: Seals | None = None) -> None:
        self._s3 = s3
        self._bucket = bucket
        self.map = calls or at_once(CALLS_AT_ONCE, "redrive")
        self.seals = seals

    def find(self, wanted: Wanted) -> Iterator[Found | None]:
        """The wanted objects, in no particular order, and None for each other object."""
        keys = self._keys(wanted)
        while some := list(islice(keys, READ_AT_ONCE)):
            for key, stored in zip(some, self.map(self.read, some), strict=True):
                found = _found(key, stored, self.seals, wanted) if stored is not None else None
                yield _lean(found) if found and wanted.takes(found.kept) else None

    def named(self, object_keys: Sequence[str]) -> list[Found]:
        """Those of the objects that are there, in this order."""
        stored = zip(object_keys, self.map(self.read, object_keys), strict=True)
        return [_lean(_found(key, body, self.seals, Wanted())) for key, body in stored if body is not None]

    def read(self, object_key: str) -> bytes | None:
        """An object's bytes, no more than tell that it is too large; None if there is no such object."""
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=object_key)
            with closing(answer["Body"]) as body:  # which says whether it came whole if it is read to its end
                return body.read() if answer["ContentLength"] <= MOST_BYTES else body.read(MOST_BYTES + 1)
        except ClientError as error:
            if _is_missing(error):
                return None
            raise

    def move(self, object_key: str) -> None:
        """Move an object from the quarantine to `redriven/`. Idempotent."""
        done = DONE_PREFIX + object_key.removeprefix(PREFIX)
        try:
            answer: Any = self._s3.copy_object(
                Bucket=self._bucket, Key=done, CopySource={"Bucket": self._bucket, "Key": object_key}
            )
            if not answer.get("CopyObjectResult", {}).get("ETag"):
                raise Unreadable(problem=f"it does not say that {object_key} was copied")
        except ClientError as error:
            if not _is_missing(error):
                raise
        self._s3.delete_object(Bucket=self._bucket, Key=object_key)

    def _keys(self, wanted: Wanted) -> Iterator[str]:
        """The keys of objects whose day may be wanted: the day is part of the key."""
        after = f"{PREFIX}dt={day_of(wanted.since)}" if wanted.since is not None else PREFIX
        end = f"{PREFIX}dt={day_of(wanted.until)}0" if wanted.until is not None else None  # "0" follows on "/"
        more = True
        while more:
            page = self._page(after)
            for entry in page.get("Contents", []):
                after = entry["Key"]
                if end is not None and after > end:
                    return
                yield after
            more = page["IsTruncated"]

    def _page(self, after: str) -> Any:
        page = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=PREFIX, StartAfter=after)
        if "IsTruncated" not in page:  # must not be taken for an empty list
            raise Unreadable(problem=f"it is no list of {self._bucket}")
        return page


def redrive(objects: Objects, found: Iterable[Found], put: Put) -> Iterator[Redriven]:
    """Put the redrivable objects back on the stream, in the order given, and move each; the outcome of each.

    An object is moved once its request is on the stream. After a crash between the two, the object is put back once
    more, and its entity recognises the repeat. So once an object of a key could not be moved, or its request may or may
    not be on the stream, later steps put back no more of that key: the entity would forget the requests that it has
    had, and the next run, which begins with the same ones, would have them applied again.

    Raises:
        ClientError, BotoCoreError: objects could not be read. Starting again is harmless.
    """
    stuck: set[str] = set()
    for step in steps(one for one in found if one.problem is None):
        keys = {one.object_key: _key_of(one) for one in step}
        yield from [Redriven(one, "failed", HELD_BACK) for one, key in keys.items() if key in stuck]
        for became in _redrive(objects, [one for one, key in keys.items() if key not in stuck], put):
            if became.outcome == "failed":
                stuck.add(keys[became.object_key])
            yield became


def steps(found: Iterable[Found], most: int = STEP, of_a_key: int = IN_DOUBT) -> Iterator[list[Found]]:
    """The objects in lists of at most `most`, with at most `of_a_key` of any key."""
    step: list[Found] = []
    count: Counter[str] = Counter()
    for one in found:
        key = _key_of(one)
        if len(step) == most or count[key] == of_a_key:
            yield step
            step, count = [], Counter()
        step.append(one)
        count[key] += 1
    if step:
        yield step


def oldest_first(found: Iterable[Found]) -> list[Found]:
    """The objects by arrival and place in the stream; unreadable ones come first."""

    def when(one: Found) -> tuple[float, str, int, int]:
        if one.kept is None:
            return 0.0, one.object_key, 0, 0
        position = one.kept.position
        return one.kept.arrived, one.kept.shard, position.sequence, position.sub

    return sorted(found, key=when)


def _key_of(found: Found) -> str:
    return found.kept.key if found.kept else ""


def _is_missing(error: ClientError) -> bool:
    return error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404")


def _found(object_key: str, stored: bytes, seals: Seals | None, wanted: Wanted) -> Found:
    kept = None
    problem = None
    try:
        kept = read(stored)
        redriven(kept, seals)
        if not wanted.untold and kept.reason.startswith(UNTOLD):
            problem = MAY_BE_REPEAT
        if not wanted.loops and kept.reason.startswith(LOOP):
            problem = MAY_LOOP
    except RefusedRequest as error:
        problem = str(error)
    return Found(object_key, kept, problem, len(kept.all_parts) if kept else 1)


def _lean(found: Found) -> Found:
    """The object without its payloads, because there may be many objects."""
    kept = found.kept and msgspec.structs.replace(found.kept, payload=b"", parts=msgspec.UNSET)
    return replace(found, kept=kept)


def _put(stored: bytes, seals: Seals | None, put: Put) -> Wait:
    """Put back the object's present content, which may have changed since it was found."""
    try:
        return put(redriven(read(stored), seals))
    except RefusedRequest as error:
        problem = str(error)
        return lambda: problem


def _redrive(objects: Objects, keys: Sequence[str], put: Put) -> Iterator[Redriven]:
    # Read again here, because another redrive may have put it back meanwhile.
    bodies = zip(keys, objects.map(objects.read, keys), strict=True)
    waits = [(key, _put(stored, objects.seals, put) if stored is not None else None) for key, stored in bodies]
    stored_keys: list[str] = []
    for key, wait in waits:
        if wait is None:
            yield Redriven(key, "gone")
        elif problem := wait():
            yield Redriven(key, "failed", problem)
        else:
            stored_keys.append(key)

    def moved(key: str) -> Redriven:
        try:
            objects.move(key)
        except (ClientError, BotoCoreError) as error:
            log.warning("cannot move %s: %s", key, error)
            return Redriven(key, "failed", f"it is on the stream, but cannot be moved: {error}")
        return Redriven(key, "redriven")

    yield from objects.map(moved, stored_keys)
