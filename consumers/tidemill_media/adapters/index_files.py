"""The index's files in the content bucket: manifests, which are swapped, and pages, which never change.

Room: adapters. The only module that writes below index/; mending.py puts back what was lost of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from tidemill.contract.content_index import (
    MANIFEST,
    Entry,
    Manifest,
    read_manifest,
    read_page,
    version_in,
    write_manifest,
    write_page,
)
from tidemill.contract.places import INDEX
from tidemill_media.adapters.objects import code_of, delete_all, is_gone, names_below

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
"""Error codes of a conditional put that another one was faster than: 412; 409, "if a conflicting operation occurs"; and
404, if what was to be replaced is gone. https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""

AS_JSON = {"ContentType": "application/json", "ContentEncoding": "gzip"}
"""So that browsers unpack what they read."""

FOR_EVER = "max-age=31536000, immutable"


class Held(NamedTuple):
    """A manifest and the ETag of its file; None if there is no file yet."""

    manifest: Manifest
    etag: str | None


class IndexFiles:
    """The files of all indexes. Several threads may use it.

    Args:
        s3: a boto3 S3 client.
        bucket: the content bucket.
        clock: seconds since 1970.
    """

    def __init__(self, s3: S3Client, bucket: str, clock: Callable[[], float] = time.time) -> None:
        self._s3 = s3
        self._bucket = bucket
        self.clock = clock

    def etag(self, folder: str) -> str:
        """The ETag of the manifest's file, whatever it is."""
        return self._s3.head_object(Bucket=self._bucket, Key=f"{folder}{MANIFEST}")["ETag"]

    def manifest(self, folder: str) -> Held:
        """The manifest of the index in a folder; one without pages if there is none.

        Raises:
            UnreadableIndex: something else is there.
            ClientError, BotoCoreError: it cannot be read.
        """
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=f"{folder}{MANIFEST}")
        except self._s3.exceptions.NoSuchKey:
            return Held(Manifest(), None)
        return Held(read_manifest(answer["Body"].read()), answer["ETag"])

    def page(self, folder: str, name: str) -> tuple[Entry, ...]:
        """The entries of a page.

        Raises:
            UnreadableIndex: something else is there.
            ClientError, BotoCoreError: it cannot be read, or is not there.
        """
        return read_page(self._s3.get_object(Bucket=self._bucket, Key=f"{folder}{name}")["Body"].read())

    def put_page(self, folder: str, name: str, entries: Sequence[Entry]) -> None:
        """Write a page. Doing so again changes nothing: its name says what is in it."""
        file: Any = {"Key": f"{folder}{name}", "Body": write_page(entries), "CacheControl": FOR_EVER, **AS_JSON}
        self._s3.put_object(Bucket=self._bucket, **file)

    def swap(self, folder: str, manifest: Manifest, etag: str | None) -> bool:
        """Write a manifest in place of the one with that ETag, or of none; False if another is there by now."""
        file: Any = {"Key": f"{folder}{MANIFEST}", "Body": write_manifest(manifest), "CacheControl": "no-cache"}
        file |= AS_JSON | ({"IfMatch": etag} if etag else {"IfNoneMatch": "*"})
        try:
            self._s3.put_object(Bucket=self._bucket, **file)
        except ClientError as error:
            if code_of(error) in LOST:
                return False
            raise
        return True

    def collect(self, folder: str, manifest: Manifest) -> None:
        """Delete pages that neither the manifest, which was just written, nor any later one can name.

        A page's name has the version of the manifest that first lists it. So a page of this version or an earlier one
        that is not listed now never will be: it was replaced, or is of a writer that was slower, or that crashed.
        """
        kept = {page.name for page in manifest.pages} | {page.name for page in manifest.replaced}
        names = ((name, version_in(name)) for name in self.names(folder))
        gone = [name for name, version in names if version is not None and version <= manifest.version]
        delete_all(self._s3, self._bucket, [f"{folder}{name}" for name in gone if name not in kept])

    def folders(self) -> Iterator[str]:
        """The folders of all indexes that have a file."""
        for prefix in (INDEX, f"{INDEX}by/"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, Delimiter="/"
            )
            for folder in (one["Prefix"] for page in pages for one in page.get("CommonPrefixes", ())):
                if folder != f"{INDEX}by/":
                    yield folder

    def drop(self, folder: str, names: Container[str]) -> None:
        """Take pages out of the manifest, whoever else writes it; their entries are listed no more, and it says so."""
        while True:
            manifest, etag = self.manifest(folder)
            kept = tuple(page for page in manifest.pages if page.name not in names)
            left = Manifest(manifest.version + 1, kept, manifest.replaced, int(self.clock() * 1000))
            if kept == manifest.pages or self.swap(folder, left, etag):
                return

    def names(self, folder: str) -> Iterator[str]:
        """The names of the files of an index, within its folder."""
        return (name.removeprefix(folder) for name in names_below(self._s3, self._bucket, folder))

    def had_versions(self, name: str) -> bool:
        """Whether an object was ever there, as far as the bucket knows."""
        asked: Any = {"Bucket": self._bucket, "Prefix": name, "MaxKeys": 1}
        answer = self._s3.list_object_versions(**asked)
        return bool(answer.get("Versions") or answer.get("DeleteMarkers"))

    def earlier(self, name: str) -> Iterator[bytes]:
        """The bodies of an object's versions, the newest first."""
        for answer in self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=name):
            for one in answer.get("Versions", ()):
                try:
                    found = self._s3.get_object(Bucket=self._bucket, Key=name, VersionId=one["VersionId"])
                except ClientError as error:
                    if not is_gone(error):
                        raise
                else:
                    yield found["Body"].read()
