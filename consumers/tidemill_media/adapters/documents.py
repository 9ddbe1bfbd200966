"""Reads documents of contents from the table of entities, as they are now.

Room: adapters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tidemill.contract.request import Document
from tidemill_consumers.adapters.entities import (
    KEYS_PER_READ,
    READS_OF_UNPROCESSED,
    Unloadable,
    chunks,
    read_items,
)
from tidemill_consumers.codec.items import from_attribute
from tidemill_media.contents import SHOWN

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class Documents:
    """The table of entities, of which some members of documents are read.

    Args:
        dynamodb: a boto3 DynamoDB client.
        table: the table's name, with a string partition key `pk`.
        members: the names of the members; by default those that an index shows.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str, members: Sequence[str] = SHOWN) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._names = {"#pk": "pk", "#doc": "doc"} | {f"#{name}": name for name in members}
        self._wanted = ", ".join(["#pk", *(f"#doc.#{name}" for name in members)])

    def read(self, keys: Iterable[str]) -> dict[str, Document]:
        """The documents of the keys, as of now (consistent reads); a key without one is left out.

        Raises:
            Unloadable: the table left keys unprocessed again and again.
            ClientError, BotoCoreError: the read failed.
        """
        return {key: document for page in chunks(keys, KEYS_PER_READ) for key, document in self._page(page).items()}

    def scan(self, prefix: str, segment: int, segments: int) -> Iterator[tuple[str, Document]]:
        """The keys that begin with a prefix, and their documents, of one of so many parts of the table.

        Raises:
            ClientError, BotoCoreError: the read failed.
        """
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="begins_with(#pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
            ProjectionExpression=self._wanted,
            ExpressionAttributeNames=self._names,
            ConsistentRead=True,
            Segment=segment,
            TotalSegments=segments,
        )
        for page in pages:
            for one in page["Items"]:
                yield one["pk"]["S"], from_attribute(one.get("doc", {"M": {}}))

    def _page(self, keys: list[str]) -> dict[str, Document]:
        request: Any = {
            self._table: {
                "Keys": [{"pk": {"S": key}} for key in keys],
                "ProjectionExpression": self._wanted,
                "ExpressionAttributeNames": self._names,
                "ConsistentRead": True,
            }
        }
        found: dict[str, Document] = {}
        for _ in range(READS_OF_UNPROCESSED):
            items, request, _ = read_items(self._dynamodb, self._table, request)
            found |= {one["pk"]["S"]: from_attribute(one.get("doc", {"M": {}})) for one in items}
            if not request:
                return found
        raise Unloadable(f"{self._table}: items stay unprocessed")
