"""Reads what the application knows of contents: documents, thumbnails, the index, and what is near a place.

Room: SDK, I/O. Native reads by the caller's own credentials, without a function between: GetItem, Query and GetObject.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from tidemill.aws.region import make_client
from tidemill.contract.content_index import (
    MANIFEST,
    Entry,
    Manifest,
    Shown,
    UnreadableIndex,
    order,
    read_manifest,
    read_page,
)
from tidemill.contract.geohash import CELL_CHARACTERS, PLACES, Point, point_at, point_of
from tidemill.contract.places import index_folder
from tidemill.reading.attributes import json_of
from tidemill.reading.nearby import cells, distance_km

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_s3 import S3Client

    from tidemill.contract.request import Document

QUERIES_AT_ONCE = 8

_NOT_THERE = ("NoSuchKey", "AccessDenied")
"""Codes for an object that is not there: S3 says so only to whoever may list the bucket, which clients may not."""


class Near(NamedTuple):
    """An entity near a place: its key, how far it is, and where."""

    key: str
    kilometres: float
    point: Point


class Reader:
    """Reads contents. Several threads may use it.

        reader = Reader(table, bucket)
        for entry in reader.contents():
            print(entry.title, len(reader.thumbnail(entry, 256)))

    Args:
        table: the table's name, the stack's output `TableName`.
        bucket: the content bucket's name, the stack's output `ContentBucketName`.
        dynamodb: a boto3 DynamoDB client, in place of one of the environment.
        s3: a boto3 S3 client, in place of one of the environment.

    Raises:
        Misconfigured: there is no region or no such profile, or the AWS settings cannot be used.
    """

    def __init__(
        self, table: str, bucket: str, *, dynamodb: DynamoDBClient | None = None, s3: S3Client | None = None
    ) -> None:
        self._dynamodb: DynamoDBClient = dynamodb or make_client("dynamodb", table)
        self._s3: S3Client = s3 or make_client("s3", bucket)
        self._table = table
        self._bucket = bucket

    def document(self, key: str) -> Document | None:
        """The document of the entity of this key as of now; None if there is none.

        Raises:
            ClientError, BotoCoreError: it cannot be read, or the role may not.
        """
        item = self._dynamodb.get_item(
            TableName=self._table, Key={"pk": {"S": key}}, ProjectionExpression="doc", ConsistentRead=True
        ).get("Item", {})
        document: Document | None = json_of(item.get("doc", {"NULL": True}))
        return document

    def contents(self, owner: str | None = None) -> Iterator[Entry]:
        """The entries, newest first: of all contents, or of one owner's. Those that come meanwhile are not in it.

        Raises:
            UnreadableIndex: the index has another form, or lacks a page; at the end, if it says that it is incomplete.
            ClientError, BotoCoreError: it cannot be read.
        """
        folder = index_folder(owner)
        manifest, last = self._manifest(folder), None
        while True:
            for page in manifest.pages:
                if last and order(page.oldest) <= order(last):
                    continue
                file = self._object(f"{folder}{page.name}")
                if file is None:  # it was replaced over an hour ago
                    break
                for entry in read_page(file):
                    if last is None or order(entry.position) > order(last):
                        yield entry
                        last = entry.position
            else:
                if manifest.incomplete is not None:
                    raise UnreadableIndex(f"{folder} is incomplete: a file of it was lost, and is to be made anew")
                return
            earlier, manifest = manifest, self._manifest(folder)
            if manifest.version == earlier.version:
                raise UnreadableIndex(f"{folder}{page.name} is not there, or this role may not read it")

    def thumbnail(self, entry: Entry, size: int, type: str = "image/webp") -> bytes | None:  # noqa: A002 - as HTTP names it
        """The smallest thumbnail of at least this size, or the largest; None if there is none.

        Args:
            entry: of which content.
            size: the longest side in pixels.
            type: `image/webp` or `image/jpeg`.

        Raises:
            ClientError, BotoCoreError: it cannot be read.
        """
        shown = fitting([one for one in entry.thumbnails if one.type == type], size)
        return self._object(shown.name) if shown else None

    def near(self, latitude: float, longitude: float, kilometres: float) -> list[Near]:
        """The entities with a place within a circle, the nearest first.

        Some seconds may pass until a new place is found. Needs the extra `geo`.

        Raises:
            ValueError: there is no such place or radius; as TooFar, the circle is too large.
            GeohashUnavailable: the library is not installed.
            ClientError, BotoCoreError: the table cannot be read.
        """
        centre = point_at(latitude, longitude)
        if not kilometres >= 0:
            raise ValueError(f"{kilometres} km is no radius")
        with ThreadPoolExecutor(QUERIES_AT_ONCE) as pool:
            found = [one for part in pool.map(self._within, cells(centre, kilometres)) for one in part]
        places = ((key, point_of(geohash)) for key, geohash in found)
        every = [Near(key, distance_km(centre, point), point) for key, point in places]
        return sorted((one for one in every if one.kilometres <= kilometres), key=lambda one: (one.kilometres, one.key))

    def _within(self, cell: str) -> list[tuple[str, str]]:
        """The keys and geohashes of the entities whose geohashes begin so."""
        answers = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=PLACES,
            KeyConditionExpression="cell = :cell AND begins_with(geohash, :begin)",
            ExpressionAttributeValues={":cell": {"S": cell[:CELL_CHARACTERS]}, ":begin": {"S": cell}},
        )
        return [(item["pk"]["S"], item["geohash"]["S"]) for answer in answers for item in answer["Items"]]

    def _manifest(self, folder: str) -> Manifest:
        file = self._object(f"{folder}{MANIFEST}")
        return Manifest() if file is None else read_manifest(file)

    def _object(self, name: str) -> bytes | None:
        """The bytes of an object; None if it is not there."""
        from botocore.exceptions import ClientError

        try:
            return self._s3.get_object(Bucket=self._bucket, Key=name)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            raise


def fitting(thumbnails: list[Shown], size: int) -> Shown | None:
    """The smallest thumbnail of at least this size, or the largest; None of none."""
    by_size = sorted(thumbnails, key=lambda one: one.size)
    return next((one for one in by_size if one.size >= size), by_size[-1] if by_size else None)
