"""S3 in memory: a bucket with versions, delete markers, conditions, and sequencers, which tells of what changes.

Semantics as documented, each where it matters. One bucket, whose name nobody looks at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from io import BytesIO
from typing import Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError

from tests.simulation.world import World

BUCKET = "content"
DIGITS = 16
"""Of a sequencer, at least."""

ATTEMPTS = 3
"""As boto3's standard mode has it."""

LATEST = 3.0
"""Seconds after which S3 acts at the latest on a call whose answer does not come: boto3 waits for that for a minute."""

TRANSIENT = ("ThrottlingException", "InternalServerError")
"""Codes of what it tries again: https://docs.aws.amazon.com/boto3/latest/guide/retries.html."""

STATUS = {"PreconditionFailed": 412, "ConditionalRequestConflict": 409}
"""The others are 404."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an object; a delete marker has no body."""

    name: str
    id: str
    sequencer: str
    modified: datetime
    body: bytes | None
    metadata: dict[str, str] = field(default_factory=dict)
    content_type: str = ""

    @property
    def etag(self) -> str:
        """In quotes, as S3 has it."""
        return f'"{md5(self.body or b"").hexdigest()}"'

    @property
    def padded(self) -> str:
        """Its sequencer as text that sorts by when it came."""
        return self.sequencer.lower().ljust(32, "0")

    @property
    def number(self) -> int:
        """Greater than that of all which came before it in the bucket."""
        return int(self.id.removeprefix("v"), 16)


PERMANENTLY = "Permanently Deleted"
"""Stands for the kind of an event of a version that was deleted for good; S3 says so beside it."""

Tell: TypeAlias = Callable[[str, str, Version], None]
"""Is told the kind of an event, its reason, and the version that came."""


class Storage:
    """A bucket, as boto3's S3 client.

    Args:
        world: the world.
        tell: is told of versions that come, as S3's event `Object Created` or `Object Deleted`.
    """

    def __init__(self, world: World, tell: Tell = lambda kind, reason, one: None) -> None:
        self._world = world
        self._tell = tell
        self.versions: dict[str, list[Version]] = {}
        """By name, the oldest first."""
        self.purged: dict[str, list[Version]] = {}
        """By name, deletions for good of its versions: each with the id of the version, and a sequencer of its own."""
        self.puts: Counter[str] = Counter()
        """By name."""
        self._numbered = 0x617F08299329D189
        self.exceptions = _Exceptions

    # ── What is there ────────────────────────────────────────────────────────────────────────────────────────

    def current(self, name: str) -> Version | None:
        """The object; None if there is none, or its last version is a delete marker."""
        last = self.versions.get(name, [None])[-1]
        return last if last and last.body is not None else None

    def names(self, prefix: str = "") -> list[str]:
        """The objects' names, in order."""
        return sorted(name for name in self.versions if name.startswith(prefix) and self.current(name))

    def bodies(self, prefix: str) -> dict[str, bytes]:
        """The objects' bodies, by name."""
        return {name: one.body for name in self.names(prefix) if (one := self.current(name)) and one.body is not None}

    # ── Objects ──────────────────────────────────────────────────────────────────────────────────────────────

    def put_object(
        self,
        Bucket: str,
        Key: str,
        Body: bytes,
        ContentType: str = "binary/octet-stream",
        Metadata: dict[str, str] | None = None,
        IfMatch: str | None = None,
        IfNoneMatch: str | None = None,
        **more: str,
    ) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            self._check(Key, IfMatch, IfNoneMatch)
            one = self.put(Key, bytes(Body), Metadata, ContentType)
            return {"ETag": one.etag, "VersionId": one.id}

        return self._call("content put", act)

    def _check(self, name: str, if_match: str | None, if_none_match: str | None) -> None:
        """Both conditions are of the current version: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html."""
        assert if_none_match in (None, "*"), "S3 takes no other"
        if if_match is None and if_none_match is None:
            return
        if self._world.strikes("conditional put conflicts", 0.3):
            raise error("ConditionalRequestConflict")
        current = self.current(name)
        if if_match is not None and current is None:
            raise error("NoSuchKey")
        if (if_none_match and current) or (if_match and current and not _is_of(if_match, current)):
            raise error("PreconditionFailed")

    def put(self, name: str, body: bytes, metadata: dict[str, str] | None = None, content_type: str = "") -> Version:
        """Store an object, without a call."""
        self.puts[name] += 1
        return self._add(name, body, metadata or {}, content_type, "Object Created", "PutObject")

    def get_object(self, Bucket: str, Key: str, VersionId: str | None = None, **more: str) -> dict[str, Any]:
        assert more.keys() <= {"Range", "IfMatch"}

        def act() -> dict[str, Any]:
            one = self._found(Key, VersionId, "NoSuchKey")
            if "IfMatch" in more and not _is_of(more["IfMatch"], one):
                raise error("PreconditionFailed")
            assert one.body is not None
            most = int(more["Range"].removeprefix("bytes=0-")) + 1 if "Range" in more else None
            return self._head(one) | {"Body": BytesIO(one.body[:most])}

        return self._call("content get", act)

    def head_object(self, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        # "a HEAD request … returns a generic code": https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
        return self._call("content head", lambda: self._head(self._found(Key, VersionId, "404")))

    def delete_object(self, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            self.delete(Key, VersionId)
            return {}

        return self._call("content delete", act)

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        objects = Delete["Objects"]
        assert 0 < len(objects) <= 1_000

        def act() -> dict[str, Any]:
            failed = [one for one in objects if self._world.strikes("object not deleted", 0.1)]
            for one in objects:
                if one not in failed:
                    self.delete(one["Key"], one.get("VersionId"))
            done = [] if Delete.get("Quiet") else [one for one in objects if one not in failed]
            problems = [{**one, "Code": "InternalError", "Message": "again"} for one in failed]
            return {"Deleted": done} | ({"Errors": problems} if problems else {})

        return self._call("content delete", act)

    def delete(self, name: str, version: str | None = None) -> None:
        """Put a delete marker, or delete a version for good; without a call. What is not there is no error."""
        if version is None:
            self._add(name, None, {}, "", "Object Deleted", "DeleteObject")
            return
        before = self.versions.get(name, [])
        left = [one for one in before if one.id != version]
        if len(left) == len(before):
            return
        self.versions[name] = left
        if not left:
            del self.versions[name]
        gone = Version(name, version, self._sequencer(), self._modified(), None)
        self.purged.setdefault(name, []).append(gone)
        self._tell(PERMANENTLY, "DeleteObject", gone)

    # ── Lists ────────────────────────────────────────────────────────────────────────────────────────────────

    def list_objects_v2(
        self, Bucket: str, Prefix: str = "", StartAfter: str = "", ContinuationToken: str = "", MaxKeys: int = 1_000
    ) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            names = [name for name in self.names(Prefix) if name > max(StartAfter, ContinuationToken)]
            page = names[: self._most(MaxKeys)]
            found = [self._listed(one) for name in page if (one := self.current(name))]
            answer = {"Contents": found} if found else {}
            more = len(names) > len(page)
            return {**answer, "KeyCount": len(page), "IsTruncated": more} | (
                {"NextContinuationToken": page[-1]} if more else {}
            )

        return self._call("content list", act)

    def list_object_versions(
        self, Bucket: str, Prefix: str = "", KeyMarker: str = "", VersionIdMarker: str = "", MaxKeys: int = 1_000
    ) -> dict[str, Any]:
        def act() -> dict[str, Any]:
            found = list(self._after(Prefix, KeyMarker, VersionIdMarker))
            page = found[: self._most(MaxKeys)]
            answer: dict[str, Any] = {"IsTruncated": len(found) > len(page)}
            for name, is_marker in (("Versions", False), ("DeleteMarkers", True)):
                if listed := [self._listed(one) for one in page if (one.body is None) is is_marker]:
                    answer[name] = listed
            if len(found) > len(page):
                answer |= {"NextKeyMarker": page[-1].name, "NextVersionIdMarker": page[-1].id}
            return answer

        return self._call("content list", act)

    def generate_presigned_url(self, operation: str, Params: dict[str, str], ExpiresIn: int) -> str:
        return f"https://{Params['Bucket']}/{Params['Key']}"

    def get_paginator(self, operation: str) -> _Paginator:
        return _Paginator(getattr(self, operation), _TOKENS[operation])

    def _after(self, prefix: str, name_marker: str, id_marker: str) -> Iterator[Version]:
        """All versions behind the markers: by name, "within" one the newest first."""
        for name in sorted(one for one in self.versions if one.startswith(prefix) and one >= name_marker):
            of_name = self.versions[name][::-1]
            if name == name_marker:
                ids = [one.id for one in of_name]
                of_name = of_name[ids.index(id_marker) + 1 :] if id_marker in ids else []
            yield from of_name

    def _most(self, asked: int) -> int:
        return min(asked, self._world.random.choice([1, 3, 1_000])) if self._world.rate else asked

    def _listed(self, one: Version) -> dict[str, Any]:
        listed = {"Key": one.name, "VersionId": one.id, "LastModified": one.modified}
        is_latest = self.versions[one.name][-1] is one
        return listed | {"ETag": one.etag, "Size": len(one.body or b""), "IsLatest": is_latest}

    # ── All the same for several ─────────────────────────────────────────────────────────────────────────────

    def _add(
        self, name: str, body: bytes | None, metadata: dict[str, str], content_type: str, kind: str, reason: str
    ) -> Version:
        one = Version(name, f"v{self._numbered:x}", self._sequencer(), self._modified(), body, metadata, content_type)
        self.versions.setdefault(name, []).append(one)
        self._tell(kind, reason, one)
        return one

    def _modified(self) -> datetime:
        return datetime.fromtimestamp(int(self._world.now), UTC)

    def _sequencer(self) -> str:
        """One that is greater once the shorter is padded on the right; as a number it need not be."""
        chance = self._world.random
        self._numbered += 1 + chance.getrandbits(6)
        more = "".join(chance.choices("0123456789abcdef", k=chance.choice([0, 0, 0, 1, 2])))
        text = f"{self._numbered:0{DIGITS}x}{more}"
        return text.upper() if chance.random() < 0.2 else text

    def _found(self, name: str, version: str | None, code: str) -> Version:
        if version is None:
            one = self.current(name)
        else:
            one = next((one for one in self.versions.get(name, []) if one.id == version), None)
            code = code if one or code == "404" else "NoSuchVersion"
        if one is None or one.body is None:
            raise error(code)
        return one

    def _head(self, one: Version) -> dict[str, Any]:
        assert one.body is not None
        head = {"ETag": one.etag, "ContentLength": len(one.body), "VersionId": one.id, "LastModified": one.modified}
        return head | {"Metadata": dict(one.metadata), "ContentType": one.content_type}

    def _call(self, service: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A call, which boto3 makes again: so a conditional put may fail because it had succeeded."""
        for _ in range(ATTEMPTS - 1):
            try:
                return self._world.call(service, act)
            except ReadTimeoutError:
                self._world.sleep(LATEST)
            except BotoCoreError:
                pass
            except ClientError as failure:
                if failure.response["Error"]["Code"] not in TRANSIENT:
                    raise
        try:
            return self._world.call(service, act)
        except ReadTimeoutError:
            self._world.sleep(LATEST)
            raise


def _is_of(etag: str, one: Version) -> bool:
    """Whether it is that version's ETag, which S3 takes without its quotes, too."""
    return etag.strip('"') == one.etag.strip('"')


_TOKENS = {
    "list_objects_v2": {"ContinuationToken": "NextContinuationToken"},
    "list_object_versions": {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"},
}
"""How each list goes on: its argument, and what a page names it."""


@dataclass(frozen=True, slots=True)
class _Paginator:
    """boto3's."""

    ask: Callable[..., dict[str, Any]]
    tokens: dict[str, str]

    def paginate(self, **asked: Any) -> Iterable[dict[str, Any]]:
        while True:
            page = self.ask(**asked)
            yield page
            if not page["IsTruncated"]:
                return
            asked |= {argument: page[name] for argument, name in self.tokens.items()}


class NoSuchKey(ClientError):
    """There is no such object."""


class _Exceptions:
    """The client's own."""

    NoSuchKey = NoSuchKey
    ClientError = ClientError


def error(code: str) -> ClientError:
    """An error of S3's, with its status."""
    answer: Any = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": STATUS.get(code, 404)},
    }
    return (NoSuchKey if code == "NoSuchKey" else ClientError)(answer, "Simulated")
