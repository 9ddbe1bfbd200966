"""The contents that a batch of the table's stream changed.

Room: media application, pure. A record says which content changed, and what was listed of it: where its entry may
stand. What is to be listed is for the table to say. Records of contents that changed in nothing but their counts are
passed over before they are looked at any closer.
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias, TypedDict

from tidemill.contract.content_index import Entry
from tidemill.contract.places import index_folder
from tidemill.contract.request import Document
from tidemill_consumers.codec.items import Attribute, from_attribute
from tidemill_media.contents import MEMBERS
from tidemill_media.indexing.entries import entry_of
from tidemill_media.indexing.pages import Change

Image: TypeAlias = Mapping[str, Attribute]


class TableEvent(TypedDict):
    """The part of a batch of a table's stream that is read."""

    Records: Sequence[Mapping[str, Any]]


class Content(NamedTuple):
    """A content and the documents that it had, as far as they matter here: the oldest first, and one at least."""

    key: str
    documents: tuple[Document, ...]


class Listed(NamedTuple):
    """A content that is to be listed anew, and its entries that an index may have."""

    key: str
    entries: frozenset[Entry]


def contents(event: TableEvent) -> list[Content]:
    """The contents that the batch changed, each once."""
    found: dict[str, list[Document]] = {}
    for record in event["Records"]:
        change = record["dynamodb"]
        old, new = _members(change.get("OldImage", {})), _members(change.get("NewImage", {}))
        if old != new:
            documents = found.setdefault(change["Keys"]["pk"]["S"], [])
            documents += map(_document, (new,) if documents else (old, new))
    return [Content(key, tuple(documents)) for key, documents in found.items()]


def relisted(changed: Sequence[Content]) -> list[Listed]:
    """Those whose entry changed, with what was listed of them."""
    every = [(one.key, {entry_of(one.key, document) for document in one.documents}) for one in changed]
    return [Listed(key, frozenset(filter(None, entries))) for key, entries in every if len(entries) > 1]


def folders(changed: Sequence[Listed]) -> dict[str, str | None]:
    """The indexes that list these contents: by their folders, whose contents, which is None for that of all."""
    found: dict[str, str | None] = {index_folder(): None} if changed else {}
    for owner in {entry.owner for content in changed for entry in content.entries}:
        with suppress(ValueError):  # no file can have its name: such contents are in the index of all
            found[index_folder(owner)] = owner
    return found


def change_of(changed: Sequence[Listed], documents: Mapping[str, Document], owner: str | None) -> Change:
    """The change of an index.

    Args:
        changed: the contents that may be in it.
        documents: their documents as they are now, by their keys.
        owner: whose contents it lists; None for those of all.
    """
    of_owner = [(key, entries) for key, entries in changed if owner is None or owner in {one.owner for one in entries}]
    now = [entry_of(key, documents.get(key)) for key, _ in of_owner]
    here = tuple(entry for entry in now if entry and owner in (None, entry.owner))
    return Change(frozenset(entry.position for _, entries in of_owner for entry in entries), here)


def _members(image: Image) -> Image:
    document = image.get("doc", {}).get("M", {})
    return {name: document[name] for name in MEMBERS if name in document}


def _document(members: Image) -> Document:
    return {name: from_attribute(value) for name, value in members.items()}
