"""Reads the demo's photos from bucket, table and index, and makes the contact sheet of them.

Room: command line, I/O. Tests: tests/e2e/test_demo_photos.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from tidemill import Reader
from tidemill.contract.places import PHOTOS, THUMBNAILS
from tidemill_cli.commands.demo import stored
from tidemill_cli.commands.demo.photos.agreement import Found, Wanted
from tidemill_cli.commands.demo.photos.contact_sheet import Picture, contact_sheet

if TYPE_CHECKING:
    from tidemill.contract.content_index import Entry
    from tidemill.contract.request import Document
    from tidemill_local.platform import Platform

SHEET_SIZE = 512
"""The size of thumbnails on the contact sheet, in pixels of the longest side."""


class Holdings:
    """The contents of a platform's bucket, table and index.

    Args:
        platform: it runs, with Photos=on.
    """

    def __init__(self, platform: Platform) -> None:
        outputs, client = platform.outputs, platform.emulator.client
        self._platform = platform
        self._bucket = outputs["ContentBucketName"]
        self._s3 = client("s3")
        self._reader = Reader(outputs["TableName"], self._bucket, dynamodb=client("dynamodb"), s3=self._s3)

    def documents(self) -> dict[str, Document]:
        """The documents, by key."""
        return {key: document or {} for key, document in stored.documents(self._platform).items()}

    def found(self, owners: Iterable[str]) -> Found:
        """All that must agree."""
        made = self._objects(THUMBNAILS)
        return Found(
            self.documents(),
            self._objects(PHOTOS),
            frozenset(name for name in made if not name.endswith(".json")),
            {owner: list(self._reader.contents(owner)) for owner in (None, *owners)},
        )

    def sheet(self, wanted: Mapping[str, Wanted], refused: Iterable[tuple[str, str]]) -> str:
        """The contact sheet: what the index lists, as its readers see it, the other contents, and the refused files."""
        listed, documents = list(self._reader.contents()), self.documents()
        others = wanted.keys() - {entry.key for entry in listed}
        pictures = [self._picture(entry, documents[entry.key], wanted[entry.key].change) for entry in listed]
        pictures += [
            Picture(one.title, _why(documents.get(key, {}), one.change)) for key, one in wanted.items() if key in others
        ]
        pictures += [Picture(name, [f"not uploaded: {why}"]) for name, why in refused]
        return contact_sheet(pictures, f"{len(listed)} of {len(pictures)} files are in the index, newest first")

    def _objects(self, prefix: str) -> dict[str, int]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}

    def _picture(self, entry: Entry, document: Document, change: str) -> Picture:
        photo = document["photo"]
        lines = [f"{photo['format']}, {entry.width} x {entry.height}, by {entry.owner}"]
        lines += [f"taken {entry.taken.replace('T', ' ')}"] if entry.taken else []
        lines += [f"camera: {photo['camera']}"] if "camera" in photo else []
        lines += ["at {latitude:.4f}, {longitude:.4f}".format(**photo["place"])] if "place" in photo else []
        lines += [change] if change else []
        return Picture(entry.title, lines, "image/webp", self._reader.thumbnail(entry, SHEET_SIZE) or b"")


def _why(document: Document, change: str) -> list[str]:
    return [one for one in (document.get("photo", {}).get("reason"), change) if one] or ["not looked at"]
